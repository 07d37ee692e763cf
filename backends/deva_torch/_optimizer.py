"""The host: a `torch.optim.Optimizer` that runs a rule on matrices and another on the rest."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar, overload

import torch

from deva_core import Rule
from deva_core.parameter import Parameter
from deva_torch._alike import Work
from deva_torch._assigned import Assigned
from deva_torch._capturable import check_not_capturing, cond, on_device
from deva_torch._checks import check_closure
from deva_torch._device import without_autocast
from deva_torch._groups import without_callables
from deva_torch._load import check_form, loading
from deva_torch._parameters import check_gradient
from deva_torch._precision import COMPENSATION, initial
from deva_torch._step import advance
from deva_torch._traced import advance_traced, outside, traced_backend

Loss = TypeVar("Loss")
OWN = (
    "_rule",
    "_vector_rule",
    "_lr_at_construction",
    "_layout",
    "_compute_dtype",
    "_precision",
    "_foreach",
    "_process_group",
    "_shards",
    "costs",
)
"""What a copy or a pickle takes along besides torch's own."""


class RuleOptimizer(Assigned):
    """Any `deva_core` rule as a torch optimizer. `Muon`, `AdaGO`, `DeVA`, … are this with their own signatures.

    The rule's hyperparameters are entries of the param groups, where schedulers and users may change them. The vector
    half's learning rate is `group["lr"] * group["vector_lr_ratio"]`; a group of vectors only, with an `"lr"` in its dict, is
    moved by exactly that (docs/hosts.md).

    Args:
        params: parameters, named parameters or param groups. Names make layouts by name possible. A group may have
            hyperparameters of its own, or under `"rule"` a rule: `{"params": …, "rule": AdamW(lr=1e-3)}`; and a
            `"layout"`, which goes before the argument. `param_groups(model)` makes groups by module type.
        rule: for matrices. A rule for vectors (`AdamW`) gets every parameter.
        vector_rule: a `deva_core` rule for the rest; `AdamW()`, beside DeVA `DeVAVector()`. Without an lr it follows the
            matrix rule's; an lr given there is exact at construction and then follows `group["lr"]` in proportion.
        vector_learning_rate: the vector rule's lr, whatever `vector_rule` says: a number, a 0-d tensor or a callable of the
            number of steps made, which is exact.
        layout: how parameters are matrices: a pattern, a mapping by name, or a function of name and shape. Without
            one, two axes are (out, in), four and five are convolutions, and three are an error.
        compute_dtype: dtype of the Newton–Schulz products: `"auto"` (the working dtype on CPUs, bfloat16 on
            accelerators), a dtype or its name. Never narrows float64.
        state_dtype: `"bfloat16"` keeps momenta so between steps; None and `"float32"` keep them as they are computed.
        rounding: of bfloat16 and float16 parameters: to the `"nearest"`; `"stochastic"`, on average right; `"kahan"`,
            what a parameter's bits do not hold beside it in the state, so that nothing is lost.
        generator: where stochastic rounding draws its seeds; a CPU generator, None for torch's global one.
        foreach: False steps parameters one by one, equal ones otherwise in stacks.
        capturable: counts of steps are tensors on the parameters' device, and `step` reads no value, so that a CUDA graph
            can capture it. Not for DeVA, whose steps differ. An entry of groups, as in torch's own optimizers.
        maximize: climb instead of descend.
        process_group: ranks that hold the same plain parameters (as under DDP) and divide the work on them: each matrix
            is stepped, and its state kept, by one of them. DTensors (FSDP2) divide their work without being asked.

    Raises:
        ValueError, TypeError: a hyperparameter outside its domain, or a parameter that needs a layout.

    Example:
        >>> import torch
        >>> from deva_core import Muon
        >>> from deva_torch import RuleOptimizer
        >>> model = torch.nn.Linear(3, 4)
        >>> optimizer = RuleOptimizer(model.named_parameters(), Muon(lr=0.1))
        >>> print(optimizer.explain())
        parameter  shape  layout  rule   lr   ratio  lr×ratio  factor  step    decay  why
        weight     4×3    out in  Muon   0.1  -      0.1       1.15    0.0577  0      two axes: (out, in) in torch
        bias       4      -       AdamW  0.1  0.2    0.02      -       0.02    0.01   not a matrix
    """

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], Loss]) -> Loss: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step. A parameter without a gradient stays as it is, decay included, and its step does not count.

        Args:
            closure: reevaluates the model and returns the loss.
        """
        check_closure(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if torch.compiler.is_compiling() and self._is_traceable:
            for part in self._traceable():
                with torch.autocast(part.work[0].p.device.type, enabled=False):
                    advance_traced(*part)
        else:
            self._advance()
        return loss

    @outside
    def _advance(self) -> None:
        """A step by the fast paths."""
        with without_autocast():
            work = self._begun()
            if self._shards:
                self._shards.step(work, self.state)
            else:
                advance(work, self._slots(work), self._stepping_backend, self._precision)

    @outside
    def _traceable(self) -> list[Any]:
        """A step as `torch.compile` takes it, device by device."""
        work = self._begun()
        return self._traced.parts(work, self._slots(work), lambda p: traced_backend(*self._choices(p)), self._precision)

    def _stepping_backend(self, p: torch.Tensor) -> Any:
        """As the step computes: where a graph may capture it, no tensor chooses a branch."""
        b = self._backend(p)
        return replace(b, cond=cond) if any(group["capturable"] for group in self.param_groups) else b

    @property
    def _is_traceable(self) -> bool:
        """Ranks talk to each other, and random bits come from a generator, outside of graphs."""
        return self._shards is None and self._precision.rounding != "stochastic"

    def _begun(self) -> list[Work]:
        """The parameters that have gradients, all of which are in order; the step is counted."""
        check_not_capturing(self.param_groups)
        self.settle_counts()
        work = [item for group in self.param_groups for item in self._work(group)]
        for p, parameter, G, _ in work:
            check_gradient(p, parameter, G)
        for group in self.param_groups:
            group["count"] += 1
        return work

    def _slots(self, work: list[Work]) -> list[dict[str, Any]]:
        slots = [self._slot(p, parameter, rule) for p, parameter, _, rule in work]
        self.settle_counts()
        return slots

    def settle_counts(self) -> None:
        """Have the counts of what is captured on its device; new and loaded ones are numbers."""
        for group in self.param_groups:
            if group["capturable"] and group["params"]:
                group["count"] = on_device(group["count"], group["params"][0].device)
                for p in group["params"]:
                    if slot := self.state.get(p):
                        slot["step"] = on_device(slot["step"], p.device)

    def _work(self, group: Mapping[str, Any]) -> list[Work]:
        """The parameters of a group that have gradients, each with its rule at this step."""
        rules, sign = self._rules(group), -1 if group["maximize"] else 1
        given = [(p, self._parameters[p], p.grad) for p in group["params"]]
        return [Work(p, q, G if sign > 0 else -G, rules(q, p)) for p, q, G in given if G is not None]

    def _slot(self, p: torch.Tensor, parameter: Parameter, rule: Rule) -> dict[str, Any]:
        """A parameter's state, created at its first gradient, on the device where the parameter then is."""
        slot = self.state[p]
        if not slot:
            slot |= {"step": 0, **initial(p, parameter, rule, self._backend(p), self._precision)}
        return slot

    @torch.no_grad()
    def init_state(self) -> None:
        """Create the states that do not exist yet, for those who want them before the first gradient."""
        with without_autocast():
            if self._shards:
                self._shards.create(list(self._live()), self.state)
            else:
                self._slots(list(self._live()))

    def state_dict(self) -> dict[str, Any]:
        """State and groups, as names and primitives (`torch.load(weights_only=True)`); callables are only marked.

        The states of parameters on several ranks are shown as DTensors, whole beside plain tensors: all ranks call.
        """
        state = super().state_dict()
        groups = [without_callables(group) for group in state["param_groups"]]
        if self._shards:
            keys, live = (key for group in groups for key in group["params"]), self._live()
            started = {key: item for key, item in zip(keys, live, strict=True) if self.state.get(item.p)}
            shown = {key: self._shards.shown(item, self.state) for key, item in started.items()}
            state["state"] = {**state["state"], **shown}
        return {**state, "param_groups": groups}

    def whole_states(self, values: bool = True) -> Iterator[Mapping[str, Any]]:
        """Each parameter's state, whole, in the order of `live_rules`; all ranks call.

        Args:
            values: False leaves the states of parameters on several ranks without data, on the device `meta`.
        """
        for item in self._live():
            yield self._shards.whole(item, self.state, values) if self._shards else self.state[item.p]

    def put_states(self, saved: Mapping[torch.Tensor, Mapping[str, Any] | None]) -> None:
        """Take states from a state dict or checkpoint, in the precision chosen here; all ranks call."""
        for p, state in saved.items():
            if state:
                self.state[p] = self._kept(p, state)

    def _kept(self, p: torch.Tensor, saved: Mapping[str, Any]) -> dict[str, Any]:
        parameter, like = self._parameters[p], p
        if self._shards:
            saved, like = self._shards.kept(p, saved)
        fields = {name: saved[name].detach().to(p.device, copy=True) for name in parameter.field_names if name in saved}
        kept = self._precision.at_rest(fields, parameter, like) if fields else {}
        if COMPENSATION in kept and COMPENSATION in saved:
            kept[COMPENSATION].copy_(saved[COMPENSATION])
        return {"step": int(saved["step"]), **kept}

    @property
    def ranks(self) -> Any:
        """The parameters that lie on several ranks (`_shards.Shards`); None where none do."""
        return self._shards

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what `state_dict` gave. Callables are kept as they are here; states keep their own precision.

        Raises:
            ValueError: groups, values or state fields that do not belong to these parameters; TypeError: no state dict.
                Nothing is changed.
        """
        check_form(state_dict)
        with loading(self):
            super().load_state_dict(dict(state_dict))
        self.settle_counts()

    def __getstate__(self) -> dict[str, Any]:
        if self._shards:
            raise TypeError("an optimizer of parameters on several ranks cannot be pickled or copied: use state_dict")
        return {**super().__getstate__(), **{name: getattr(self, name) for name in OWN}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_rule" in state:
            self._assign()
