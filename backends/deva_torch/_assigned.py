"""What an optimizer's parameters are: their groups, rules and layouts, before anything moves."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import torch

from deva_core import Rule
from deva_core.checks import check_arrays, check_rule, check_vector_rule
from deva_core.costs import Costs
from deva_core.explain import explain, warn_of_routes
from deva_core.hyperparameter import plain
from deva_core.lookup import layout_lookup
from deva_core.messages import answered
from deva_core.parameter import DefaultLayout, Parameter, assign
from deva_core.plan import plan
from deva_core.vector_half import default_vector_rule, with_lr
from deva_torch._alike import Work
from deva_torch._backend import backend, checked_compute_dtype
from deva_torch._capturable import check as check_capturable
from deva_torch._checks import (
    Elsewhere,
    check_flags,
    check_group,
    check_keys,
    check_process_group,
    checked_params,
)
from deva_torch._groups import (
    OWN_LR,
    RATIO,
    checked_ratio,
    completed,
    constant,
    from_group,
    layouts_in,
    of_first_release,
    ratio_of,
    restored_if_refused,
    rule_of,
    rules_at,
    to_group,
    vector_rule_of,
)
from deva_torch._options import Rounding
from deva_torch._parameters import check_parameter, is_dtensor, torch_layout
from deva_torch._precision import Precision
from deva_torch._traced import Traceable


class Assigned(torch.optim.Optimizer):
    """The half of `RuleOptimizer` that takes no step: it knows each parameter's name, rule, layout and group."""

    default_layout: DefaultLayout = staticmethod(torch_layout)
    replacements = True
    costs: Costs | None = None
    """What chooses forms and stacks; None for the device's own. `Costs(form="plain")` pins the plain iteration."""

    dialect = Elsewhere(
        "deva_torch.{0}.dialect: a dialect is a rule: RuleOptimizer(params, deva_core.{0}.dialect(name, lr=...))"
    )

    @answered("deva_torch.RuleOptimizer")
    def __init__(
        self,
        params: Any,
        rule: Rule,
        *,
        vector_rule: Rule | None = None,
        vector_learning_rate: Any = None,
        layout: Any = None,
        compute_dtype: Any = "auto",
        state_dtype: Any = None,
        rounding: Rounding = "nearest",
        generator: torch.Generator | None = None,
        foreach: bool | None = None,
        capturable: bool = False,
        maximize: bool = False,
        process_group: Any = None,
    ) -> None:
        owner = f"deva_torch.{type(self).__name__}"
        check_rule(f"{owner}: rule", rule)
        check_vector_rule(f"{owner}: vector_rule", vector_rule)
        for half in (rule, *([] if vector_rule is None else [vector_rule])):
            check_arrays(owner, half, (torch.Tensor,))
        check_flags(owner, foreach=foreach, capturable=capturable, maximize=maximize)
        check_process_group(owner, process_group)
        params = checked_params(owner, params)
        self._process_group, self._shards = process_group, None
        self._parameters: dict[torch.Tensor, Parameter] = {}  # filled once all groups are there
        self._rule = rule
        vector_rule = default_vector_rule(rule) if vector_rule is None else vector_rule
        self._vector_rule = with_lr(rule, vector_rule, vector_learning_rate)
        self._layout = layout
        self._compute_dtype = checked_compute_dtype(compute_dtype)
        self._precision = Precision(rounding, generator, state_dtype)
        self._foreach = foreach is not False
        self._lr_at_construction = constant(getattr(rule, "lr", None))
        with restored_if_refused(params):
            super().__init__(params, {**to_group(rule), "maximize": maximize, "capturable": capturable, "count": 0})
            self._assign()
        warn_of_routes(rule, {p.name: p for p in self._parameters.values()}, self.explain)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with hyperparameters, or under `"rule"` a rule, of their own where given."""
        check_group(f"{type(self).__name__}.add_param_group", param_group)
        check_keys(param_group, rule_of(param_group, self._rule))
        with restored_if_refused([param_group]):
            super().add_param_group(completed(param_group, self.defaults if self.param_groups else {}))
            try:
                self._check_new(self.param_groups[-1])
            except (ValueError, TypeError):
                self.param_groups.pop()
                raise

    def _check_new(self, group: dict[str, Any]) -> None:
        """Raise unless a group that was just added is in order; give its parameters their rules."""
        from_group(type(rule_of(group, self._rule)), group)
        check_flags("a param group", maximize=group["maximize"], capturable=group["capturable"])
        if RATIO in group:
            group[RATIO] = plain(group[RATIO])  # a number of NumPy's could not be loaded with weights_only
            checked_ratio(group)
        if self._parameters:
            self._assign()

    def _settle_ratio(self, group: dict[str, Any], parameters: Iterable[Parameter]) -> None:
        """Give a new group its `vector_lr_ratio`, unless it was given one."""
        if OWN_LR not in group:
            return
        own = rule_of(group, self._rule)
        lr = getattr(own, "lr", None) if "rule" in group else self._lr_at_construction
        ratio = ratio_of(group, all(p.rule is not own for p in parameters), own, self._vector_rule, lr)
        group.setdefault(RATIO, ratio)
        del group[OWN_LR]

    def _named_groups(self) -> Iterable[tuple[Rule, dict[str, torch.Tensor]]]:
        """Each group's rule, and its parameters by name."""
        for k, group in enumerate(self.param_groups):
            names = group.get("param_names") or [f"group{k}.{i}" for i in range(len(group["params"]))]
            yield rule_of(group, self._rule), dict(zip(names, group["params"], strict=True))

    def _named(self) -> Iterable[tuple[str, torch.Tensor]]:
        return chain.from_iterable(named.items() for _, named in self._named_groups())

    def _assign(self) -> None:
        """Give each parameter its rule and layout."""
        named = dict(self._named())
        for name, p in named.items():
            check_parameter(name, p)
        layouts, parameters = layout_lookup(self._layout, named), {}
        for group, (rule, members) in zip(self.param_groups, self._named_groups(), strict=True):
            group |= of_first_release(group, self._vector_rule)  # a pickle's
            shapes = {name: tuple(p.shape) for name, p in members.items()}
            own = layouts_in(group, members, layouts)
            assigned = assign(shapes, rule, self._vector_rule, own, self.default_layout)
            parameters |= {p: assigned[name] for name, p in members.items()}
            self._settle_ratio(group, assigned.values())
            if group["capturable"]:
                ranks = self._process_group is not None or any(map(is_dtensor, members.values()))
                check_capturable(assigned.items(), self._precision.rounding == "stochastic", ranks)
        self._parameters, self._traced = parameters, Traceable()
        if self._process_group is not None or any(map(is_dtensor, parameters)):
            from deva_torch._shards import Shards

            self._shards = self._shards or Shards(self._process_group, self._backend, self._precision)
            self._shards.add(parameters)

    def explain(self) -> str:
        """A table of every parameter: its layout, its rule, how far that moves it at this step, and why.

        `lr` and `ratio` are the group's `lr` and `vector_lr_ratio`; `lr×ratio` is what moves the parameter.
        """
        live = (replace(item.parameter, rule=item.rule) for item in self._live())
        follows = self._followed()
        return explain(live, lambda p: follows.get(p.name))

    def _followed(self) -> dict[str, tuple[Any, float]]:
        """For each parameter whose learning rate follows its group's: that of this step, and the ratio."""
        found = {}
        for group in self.param_groups:
            lr, own = group.get("lr"), rule_of(group, self._rule)
            lr = lr(int(group["count"])) if callable(lr) else lr
            members = [self._parameters[p] for p in group["params"]]
            if group[RATIO] is not None:
                found |= {q.name: (lr, group[RATIO]) for q in members if q.rule is not own}
        return found

    def plan(self) -> str:
        """A table of how each kind of parameter is computed: how many, in which form, in stacks of how many, its FLOPs."""
        kinds = ((q.rule, tuple(part), self._backend(p)) for p, q in self._parameters.items() for part in q.part_shapes)
        return plan(kinds)

    def _backend(self, p: torch.Tensor) -> Any:
        return backend(*self._choices(p))

    def _choices(self, p: torch.Tensor) -> tuple[Any, ...]:
        return p.device.type, self._compute_dtype, self.replacements, self.costs, self._foreach

    def _rules(self, group: Mapping[str, Any]) -> Callable[[Parameter, torch.Tensor], Rule]:
        return rules_at(group, self._rule, self._backend)

    def _live(self) -> Iterator[Work]:
        """Every parameter, its assignment and its rule at this step; itself in place of a gradient."""
        for group in self.param_groups:
            rules = self._rules(group)
            for p in group["params"]:
                yield Work(p, self._parameters[p], p.detach(), rules(self._parameters[p], p))

    def live_rules(self) -> Iterable[tuple[torch.Tensor, Parameter, Rule]]:
        """Every parameter, its assignment, and the rule that it has now, callables as they are."""
        for group in self.param_groups:
            own = rule_of(group, self._rule)
            rule = from_group(type(own), group)
            for p in group["params"]:
                parameter = self._parameters[p]
                is_own = parameter.rule is own
                yield p, parameter, rule if is_own else vector_rule_of(group, parameter.rule, rule)
