"""The host: a `torch.optim.Optimizer` that runs a rule on matrices and another on the rest."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from deva_core import Rule
from deva_core.costs import Costs
from deva_core.eager import ResolvedRules, warn_without_matrix
from deva_core.parameter import (
    DefaultLayout,
    Parameter,
    ambiguous,
    assign,
    check_array,
    check_gradient,
    default_vector_rule,
    explain,
    fields,
    following,
)
from deva_core.plan import plan
from deva_torch._backend import backend, checked_compute_dtype
from deva_torch._groups import from_group, to_group, with_callables, without_callables
from deva_torch._step import Work, advance

CONVOLUTIONS = {4: "out in kh kw", 5: "out in kd kh kw"}


def torch_layout(name: str, shape: tuple[int, ...]) -> tuple[Any, str]:
    """torch's convention: (out, in), and convolutions in four and five axes."""
    if len(shape) < 2:
        return "vector", "not a matrix"
    if len(shape) == 2:
        return "out in", "two axes: (out, in) in torch"
    if len(shape) in CONVOLUTIONS:
        return CONVOLUTIONS[len(shape)], f"{len(shape)} axes: a convolution in torch"
    raise ambiguous(name, shape)


class RuleOptimizer(torch.optim.Optimizer):
    """Any `deva_core` rule as a torch optimizer. `Muon`, `AdaGO`, `DeVA`, … are this with their own signatures.

    The rule's hyperparameters are entries of the param groups, where schedulers and users may change them. The vector
    half's learning rate follows the group's: `group["lr"] * (vector_rule.lr / the group's lr at construction)`.

    Args:
        params: parameters, named parameters or param groups. Names make layouts by name possible.
        rule: for matrices. A rule for vectors (`AdamW`) gets every parameter.
        vector_rule: a `deva_core` rule for the rest; `AdamW()`, beside DeVA `DeVAVector()`.
        layout: how parameters are matrices: a pattern, a mapping by name, or a function of name and shape. Without
            one, two axes are (out, in), four and five are convolutions, and three are an error.
        compute_dtype: dtype of the Newton–Schulz products: `"auto"` (the working dtype on CPUs, bfloat16 on
            accelerators), a dtype or its name. Never narrows float64.
        maximize: climb instead of descend.

    Raises:
        ValueError, TypeError: a hyperparameter outside its domain, or a parameter that needs a layout.

    Example:
        >>> import torch
        >>> from deva_core import Muon
        >>> from deva_torch import RuleOptimizer
        >>> model = torch.nn.Linear(3, 4)
        >>> optimizer = RuleOptimizer(model.named_parameters(), Muon(lr=0.1))
        >>> print(optimizer.explain())
        parameter  shape  layout  rule   why
        weight     4×3    out in  Muon   two axes: (out, in) in torch
        bias       4      -       AdamW  not a matrix
    """

    default_layout: DefaultLayout = staticmethod(torch_layout)
    replacements = True
    costs: Costs | None = None
    """What chooses forms and stacks; None for the device's own. `Costs(form="plain")` pins the plain iteration."""

    def __init__(
        self,
        params: Any,
        rule: Rule,
        *,
        vector_rule: Rule | None = None,
        layout: Any = None,
        compute_dtype: Any = "auto",
        maximize: bool = False,
    ) -> None:
        self._parameters: dict[torch.Tensor, Parameter] = {}  # filled once all groups are there
        self._rule = rule
        self._vector_rule = default_vector_rule(rule) if vector_rule is None else vector_rule
        self._layout = layout
        self._compute_dtype = checked_compute_dtype(compute_dtype)
        super().__init__(params, {**to_group(rule), "maximize": maximize, "count": 0})
        self._assign()
        warn_without_matrix(rule, {p.name: p for p in self._parameters.values()})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with hyperparameters of their own where given."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            from_group(type(self._rule), group)
            group.setdefault("constructed_lr", self._reference_lr(group))
            if self._parameters:
                self._assign()
        except (ValueError, TypeError):
            self.param_groups.pop()
            raise

    def _reference_lr(self, group: Mapping[str, Any]) -> float:
        """The lr at which the vector rule's own lr holds; a schedule's is the rule's default."""
        lr = group.get("lr", 1.0)
        return float(type(self._rule).default("lr") if callable(lr) else lr)

    def _named(self) -> Iterable[tuple[str, torch.Tensor]]:
        for k, group in enumerate(self.param_groups):
            names = group.get("param_names") or [f"group{k}.{i}" for i in range(len(group["params"]))]
            yield from zip(names, group["params"], strict=True)

    def _assign(self) -> None:
        """Give each parameter its rule and layout."""
        named = dict(self._named())
        for name, p in named.items():
            check_parameter(name, p)
        shapes = {name: tuple(p.shape) for name, p in named.items()}
        assigned = assign(shapes, self._rule, self._vector_rule, self._layout, self.default_layout)
        self._parameters = {p: assigned[name] for name, p in named.items()}

    def explain(self) -> str:
        """A table of every parameter, its layout, its rule and why."""
        return explain(self._parameters.values())

    def plan(self) -> str:
        """A table of how each kind of parameter is computed: how many, in which form, in stacks of how many, its FLOPs."""
        kinds = ((q.rule, tuple(part), self._backend(p)) for p, q in self._parameters.items() for part in q.part_shapes)
        return plan(kinds)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step. A parameter without a gradient stays as it is, decay included, and its step does not count.

        Args:
            closure: reevaluates the model and returns the loss.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        work = [item for group in self.param_groups for item in self._work(group)]
        for p, parameter, G, _ in work:
            self._check_gradient(p, parameter, G)
        for group in self.param_groups:
            group["count"] += 1
        advance(work, [self._slot(p, parameter, rule) for p, parameter, _, rule in work], self._backend)
        return loss

    def _work(self, group: Mapping[str, Any]) -> list[Work]:
        """The parameters of a group that have gradients, each with its rule at this step."""
        rules, sign = self._rules(group), -1 if group["maximize"] else 1
        given = [(p, self._parameters[p], p.grad) for p in group["params"]]
        return [Work(p, q, G if sign > 0 else -G, rules(q, p)) for p, q, G in given if G is not None]

    def _backend(self, p: torch.Tensor) -> Any:
        return backend(p.device.type, self._compute_dtype, self.replacements, self.costs)

    def _rules(self, group: Mapping[str, Any]) -> Callable[[Parameter, torch.Tensor], Rule]:
        """The rules of a group at this step, each callable called once."""
        rule, devices, cache = from_group(type(self._rule), group), {}, {}

        def resolved(parameter: Parameter, p: torch.Tensor) -> Rule:
            rules = devices.setdefault(p.device, ResolvedRules(group["count"], self._backend(p)))
            if parameter.rule is self._rule:
                return rules[rule, p]
            vector: Any = rules[parameter.rule, p]
            matrix: Any = rules[rule, p]
            if "lr" not in group or not group["constructed_lr"]:
                return vector
            return vector.with_values(lr=vector.lr * (matrix.lr / group["constructed_lr"]))

        def cached(parameter: Parameter, p: torch.Tensor) -> Rule:
            key = id(parameter.rule), p.dtype, p.device
            if key not in cache:
                cache[key] = resolved(parameter, p)
            return cache[key]

        return cached

    def _check_gradient(self, p: torch.Tensor, parameter: Parameter, G: torch.Tensor) -> None:
        """Refuse what cannot be a gradient, before anything has moved."""
        if G.layout == torch.strided and G.dtype == p.dtype and G.shape == p.shape:
            return
        if G.layout != torch.strided:
            name = parameter.name
            raise TypeError(f"the gradient of {name!r} is sparse: use Embedding(sparse=False), or SparseAdam for it")
        check_gradient(parameter.name, G, p, self._backend(p).xp)

    def _slot(self, p: torch.Tensor, parameter: Parameter, rule: Rule) -> dict[str, Any]:
        """A parameter's state, created at its first gradient, on the device where the parameter then is."""
        slot = self.state[p]
        if not slot:
            slot |= {"step": 0, **fields(parameter.init(p.detach(), rule, self._backend(p)))}
        return slot

    @torch.no_grad()
    def init_state(self) -> None:
        """Create the states that do not exist yet, for those who want them before the first gradient."""
        for group in self.param_groups:
            rules = self._rules(group)
            for p in group["params"]:
                self._slot(p, self._parameters[p], rules(self._parameters[p], p))

    def live_rules(self) -> Iterable[tuple[torch.Tensor, Parameter, Rule]]:
        """Every parameter, its assignment, and the rule that it has now, callables as they are."""
        for group in self.param_groups:
            rule = from_group(type(self._rule), group)
            for p in group["params"]:
                parameter = self._parameters[p]
                yield p, parameter, rule if parameter.rule is self._rule else following(rule, parameter.rule)

    def state_dict(self) -> dict[str, Any]:
        """State and groups, as names and primitives (`torch.load(weights_only=True)`); callables are only marked."""
        state = super().state_dict()
        return {**state, "param_groups": [without_callables(group) for group in state["param_groups"]]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what `state_dict` gave. Callables are kept as they are here; states keep their own precision.

        Raises:
            ValueError: groups or state fields that do not belong to these parameters; nothing is changed.
        """
        saved = state_dict["param_groups"]
        if len(saved) == len(self.param_groups):  # otherwise torch's own error says what differs
            saved = [
                {key: with_callables(value, live.get(key)) for key, value in group.items()}
                for group, live in zip(saved, self.param_groups, strict=True)
            ]
            self._check_fields(saved, state_dict["state"])
        super().load_state_dict({**state_dict, "param_groups": saved})
        for group, live in zip(saved, self.param_groups, strict=True):
            for key, p in zip(group["params"], live["params"], strict=True):
                self._restore(p, state_dict["state"].get(key, {}))

    def _check_fields(self, saved: list[dict[str, Any]], state: Mapping[Any, Mapping[str, Any]]) -> None:
        for group, live in zip(saved, self.param_groups, strict=True):
            for key, p in zip(group["params"], live["params"], strict=False):
                expected, found = {"step", *self._parameters[p].field_names}, set(state.get(key, ()))
                if found and found != expected:
                    name, rule = self._parameters[p].name, type(self._parameters[p].rule).__name__
                    raise ValueError(
                        f"the state of {name!r} is not {rule}'s: it has {sorted(found)}, expected {sorted(expected)}"
                    )

    def _restore(self, p: torch.Tensor, saved: Mapping[str, Any]) -> None:
        """Undo torch's cast of states to the parameter's dtype: they are float32 or wider."""
        for name, value in saved.items():
            if isinstance(value, torch.Tensor):
                self.state[p][name] = value.detach().to(p.device, copy=True)

    def __getstate__(self) -> dict[str, Any]:
        own = ("_rule", "_vector_rule", "_layout", "_compute_dtype", "costs")
        return {**super().__getstate__(), **{name: getattr(self, name) for name in own}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "_rule"):
            self._assign()


def check_parameter(name: str, p: torch.Tensor) -> None:
    """Refuse parameters that no rule can move, with advice."""
    if p.dtype.is_complex:
        raise TypeError(f"parameter {name!r} is complex ({p.dtype}): pass its torch.view_as_real instead")
    if p.dtype.is_floating_point and p.dtype.itemsize < 2:
        raise TypeError(f"parameter {name!r} is {p.dtype}: keep a bfloat16 or float32 master copy and optimise that")
    check_array(name, p, backend("cpu", None).xp)
