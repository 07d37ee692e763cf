"""The functional host: pure functions over nested containers of arrays of any Array API library."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from deva_core.backend import Array, Backend, working_dtype
from deva_core.checks import check_leaf, check_own_state, check_rule, check_vector_rule
from deva_core.explain import explain, warn_of_routes
from deva_core.messages import answered, brief, nearest
from deva_core.parameter import (
    DefaultLayout,
    Parameter,
    State,
    assign,
    check_array,
    check_gradient,
    finished,
    two_axes_are_a_matrix,
)
from deva_core.rule import Rule
from deva_core.telemetry import watched
from deva_core.tree import named_leaves, with_leaves
from deva_core.vector_half import followed, vector_half


class Slot(NamedTuple):
    """One parameter's state: `step` counts its gradients; `state` is its rule's state, or a dict of them by block."""

    step: int
    state: State


class OptimizerState(NamedTuple):
    """The state of `Optimizer`: `count`, the number of steps made so far, and `slots`, one per parameter name.

    Schedules get `count`. A slot has its own `step`, which counts that parameter's gradients, and the rule's `state`.

    Example:
        >>> import numpy as np
        >>> from deva_core import Muon, Optimizer
        >>> state = Optimizer(Muon()).init({"weight": np.ones((4, 3)), "bias": np.zeros(4)})
        >>> state.count, state.slots["weight"].state.momentum.shape
        (0, (4, 3))
    """

    count: int
    slots: Mapping[str, Slot]


class ResolvedRules:
    """Rules at one step: every schedule evaluated once and every 0-d array cast, for each dtype."""

    def __init__(self, count: Any, b: Backend) -> None:
        self.count, self.b, self.rules = count, b, {}

    def __getitem__(self, key: tuple[Rule, Array]) -> Rule:
        rule, like = key
        dtype = working_dtype(like.dtype, self.b.xp)
        if (id(rule), dtype) not in self.rules:
            self.rules[id(rule), dtype] = rule.at(self.count, lambda value: self.b.xp.astype(value, dtype))
        return self.rules[id(rule), dtype]


class Optimizer:
    """Two rules, one for matrices and one for everything else, over nested dicts, lists and tuples of arrays.

    The arrays may come from any library that follows the Array API standard. The optimizer holds no state: `init` and `step`
    return it.

    Args:
        rule: the rule for matrices: parameters with two axes, or with a layout. A vector rule here (`AdamW`, `DeVAVector`)
            takes every parameter.
        vector_rule: the rule for everything else: by default `DeVAVector()` with `DeVA`, otherwise `AdamW()`. Without an `lr`
            of its own it uses the matrix rule's `lr` times `rule.vector_lr_ratio`. An `lr` given here is used as it is.
        layout: how parameters form matrices: a pattern for all, a mapping or tree of patterns by name, or a function of
            name and shape. The default is `"out in"`; `"vector"` hands a parameter to the vector rule.
        weight_decay_mask: which parameters decay: a mapping or tree of bools by name, or a function of name and shape. By
            default all decay as their rule says.
        vector_learning_rate: the vector rule's learning rate, overriding `vector_rule`: a number, a 0-d array or a schedule.
        backend: how to compute; by default the generic `Backend` of the parameters' library.

    Raises:
        TypeError: an argument has the wrong type or an unknown name.
        ValueError: (in `init` and `step`) a parameter needs a layout, or gradients or state belong to other parameters.

    Example:
        >>> import numpy as np
        >>> from deva_core import Muon, Optimizer
        >>> optimizer = Optimizer(Muon(lr=0.1))
        >>> params = {"weight": np.ones((4, 3)), "bias": np.zeros(4)}
        >>> state = optimizer.init(params)
        >>> grads = {"weight": np.ones((4, 3)), "bias": None}
        >>> params, state = optimizer.step(params, grads, state)
        >>> state.slots["weight"].step, state.slots["bias"].step
        (1, 0)
    """

    default_layout: DefaultLayout = staticmethod(two_axes_are_a_matrix)

    @answered()
    def __init__(
        self,
        rule: Rule,
        vector_rule: Rule | None = None,
        layout: Any = None,
        backend: Backend | None = None,
        *,
        weight_decay_mask: Any = None,
        vector_learning_rate: Any = None,
    ) -> None:
        check_rule("Optimizer.rule", rule)
        check_vector_rule("Optimizer.vector_rule", vector_rule)
        if not isinstance(backend, Backend | None):
            raise TypeError(f"Optimizer.backend must be a Backend, as Backend.of(array) is, got {brief(backend)}")
        self.rule, self.layout, self.backend, self.weight_decay_mask = rule, layout, backend, weight_decay_mask
        self.vector_rule = vector_half(rule, vector_rule, vector_learning_rate)

    def __repr__(self) -> str:
        layout = "" if self.layout is None else f", layout={self.layout!r}"
        return f"{type(self).__name__}({self.rule!r}, vector_rule={self.vector_rule!r}{layout})"

    def assignment(self, leaves: Mapping[str, Array]) -> dict[str, Parameter]:
        """Which rule each parameter gets."""
        for name, W in leaves.items():
            check_leaf(name, W)
        shapes = {name: tuple(W.shape) for name, W in leaves.items()}
        return assign(shapes, self.rule, self.vector_rule, self.layout, self.default_layout, self.weight_decay_mask)

    def explain(self, params: Any) -> str:
        """A table of every parameter before the first step: its layout, its rule, how far a step moves it, and why."""
        follows = followed(self.rule, self.vector_rule)
        parameters = self.assignment(named_leaves(params)).values()
        return explain(parameters, lambda p: None if p.rule.matrix else follows)

    def init(self, params: Any) -> OptimizerState:
        """The state before the first step. Fields are float32, or float64 for float64 parameters.

        Raises:
            ValueError: a parameter needs a layout.
            TypeError: a parameter is not an array of real floats.
        """
        leaves = named_leaves(params)
        if not leaves:
            raise ValueError(f"Optimizer.init: there are no parameters in {brief(params)}")
        parameters = self.assignment(leaves)
        warn_of_routes(self.rule, parameters, lambda: self.explain(params))
        b = self.backend_of(leaves)
        rules, slots = ResolvedRules(0, b), {}
        for name, W in leaves.items():
            check_array(name, W, b.xp)
            slots[name] = Slot(0, parameters[name].init(W, rules[parameters[name].rule, W], b))
        return OptimizerState(0, slots)

    def step(self, params: Any, grads: Any, state: OptimizerState) -> tuple[Any, OptimizerState]:
        """One step. Returns `(new params, new state)` and writes to none of its arguments.

        A parameter whose gradient is missing or None keeps its value, without decay, and its step count.

        Raises:
            ValueError: gradients or state belong to other parameters, or have other shapes.
            TypeError: `state` is not what `init` or `step` returned, or a gradient is not an array of real floats.
        """
        check_kind(state)
        leaves, gradients = named_leaves(params), named_leaves(grads)
        self.check_names(leaves, gradients, state)
        parameters, b = self.assignment(leaves), watched(self.backend_of(leaves))
        for name, p in parameters.items():
            check_own_state(p, state.slots[name].state, "give what this optimizer's init or step returned")
        rules, new, slots, work = ResolvedRules(state.count, b), {}, dict(state.slots), {}
        for name, G in gradients.items():
            W, p = leaves[name], parameters[name]
            check_library(name, G, W)
            check_gradient(name, G, W, b.xp)
            t = slots[name].step + 1
            slots[name] = Slot(t, slots[name].state)
            work[name] = p, p.steps(G, slots[name].state, W, t, rules[p.rule, W], b)
        for batch in finished(work, b):
            for name, (delta, part) in batch.items():
                W = leaves[name]
                new[name] = b.xp.astype(b.xp.astype(W, delta.dtype, copy=False) + delta, W.dtype, copy=False)
                slots[name] = Slot(slots[name].step, part)
        return with_leaves(params, new), OptimizerState(state.count + 1, slots)

    def backend_of(self, leaves: Mapping[str, Array]) -> Backend:
        """The `backend` argument, or the generic one of the parameters' library."""
        try:
            return self.backend or Backend.of(*leaves.values())
        except TypeError:
            kinds = sorted({library_of(W) for W in leaves.values()})
            raise TypeError(f"the parameters must be arrays of one library, got arrays of {', '.join(kinds)}") from None

    @staticmethod
    def check_names(leaves: Mapping, gradients: Mapping, state: OptimizerState) -> None:
        """Raise unless gradients and state belong to these parameters."""
        stray = next((name for name in gradients if name not in leaves), None)
        if stray is not None:
            raise ValueError(stray_gradient(stray, leaves))
        if leaves.keys() != state.slots.keys():
            differ = ", ".join(sorted(leaves.keys() ^ state.slots.keys()))
            raise ValueError(f"the state belongs to other parameters: the names {differ} differ; call init again")


def check_kind(state: Any) -> None:
    """Raise unless `state` is a state of this host."""
    if not hasattr(state, "count") or not hasattr(state, "slots"):
        raise TypeError(
            f"the state must be what Optimizer.init or Optimizer.step returned, got {brief(state)}: "
            "call step(params, grads, state)"
        )


def stray_gradient(name: str, leaves: Mapping[str, Array]) -> str:
    """The error for a gradient whose name no parameter has."""
    if not name:
        return f"the gradients must be a tree with the parameters' names, which are {', '.join([*leaves][:8])}"
    close = nearest(name, leaves)
    hint = f"did you mean {close!r}?" if close else f"the parameters are {', '.join([*leaves][:8])}"
    return f"a gradient is named {name!r}, but no parameter is; {hint}"


def library_of(x: Any) -> str:
    """The package that defines an array's type."""
    return type(x).__module__.partition(".")[0]


def check_library(name: str, G: Array, W: Array) -> None:
    """Raise if exactly one of them is a torch tensor, which mixes with no other library (NumPy and JAX do mix)."""
    found = library_of(G), library_of(W)
    if found[0] != found[1] and "torch" in found:
        raise TypeError(
            f"the gradient of {name!r} is an array of {found[0]}, the parameter of {found[1]}: convert one of them"
        )
