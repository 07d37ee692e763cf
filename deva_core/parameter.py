"""One parameter of a model: which rule it gets, as which matrix, and one step of it. Hosts are loops over these."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from deva_core.backend import Array, Backend, is_float, working_dtype
from deva_core.layout import Layout, as_layout
from deva_core.lookup import Lookup, Route, layout_lookup, mask_lookup
from deva_core.messages import brief
from deva_core.rule import Rule
from deva_core.stacks import Done, Step, advance, advance_all
from deva_core.telemetry import gathered
from deva_core.vector_half import default_vector_rule

State = Any
"""A parameter's state: the rule's NamedTuple; of a parameter with blocks, a dict of one for each block."""

DefaultLayout = Callable[[str, tuple[int, ...]], tuple[Any, str]]
"""A framework's convention: from a parameter's name and shape to a layout (or `"vector"`) and the reason."""


@dataclass(frozen=True)
class Parameter:
    """A parameter with its rule; `layout` is None where the rule sees the parameter as it is."""

    name: str
    shape: tuple[int, ...]
    rule: Rule
    layout: Layout | None
    reason: str
    named: bool = False
    """Whether the layout was chosen for this parameter, rather than by a convention."""

    @cached_property
    def is_plain(self) -> bool:
        """Whether the rule sees the parameter as it is."""
        return self.layout is None or self.layout.plan(self.shape).is_identity

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of the parameter's matrices; `""` where there is one."""
        return ("",) if self.layout is None else self.layout.plan(self.shape).blocks

    @cached_property
    def part_shapes(self) -> list[tuple[int, ...]]:
        """What the rule sees: the shape of each block."""
        return [self.shape] if self.layout is None else [matrix for _, matrix in self.layout.plan(self.shape).shapes]

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the state's fields in flat dicts."""
        return tuple(field_name(block, name) for block in self.blocks for name in self.rule.State._fields)

    def from_fields(self, flat: Mapping[str, Array]) -> State:
        """The state that a flat dict holds: the inverse of `fields`."""
        State = self.rule.State
        if self.is_plain:
            return State(*map(flat.__getitem__, State._fields))
        names = State._fields
        return unwrapped({block: State(*(flat[field_name(block, name)] for name in names)) for block in self.blocks})

    def parts(self, X: Array, b: Backend) -> dict[str, Array]:
        """What the rule sees of a parameter or its gradient: matrices by block."""
        return {"": X} if self.layout is None or self.is_plain else self.layout.split(X, b)

    def whole(self, parts: Mapping[str, Array], b: Backend) -> Array:
        """The parameter that these parts make."""
        return parts[""] if self.layout is None else self.layout.merge(parts, self.shape, b)

    def init(self, W: Array, rule: Rule, b: Backend) -> State:
        """The state before the first step; `rule` is this parameter's, with its callables resolved."""
        W = b.xp.astype(W, working_dtype(W.dtype, b.xp), copy=False)
        return unwrapped({block: rule.init(part, b) for block, part in self.parts(W, b).items()})

    def steps(self, G: Array, state: State, W: Array, t: Any, rule: Rule, b: Backend) -> dict[str, Step]:
        """Step t of each block; an empty parameter has none."""
        if 0 in self.shape:
            return {}
        if self.is_plain:
            return {"": Step(rule, G, state, W, t)}
        Ws, Gs, states = self.parts(W, b), self.parts(G, b), wrapped(state)
        return {block: Step(rule, Gs[block], states[block], Ws[block], t) for block in Ws}

    def update(self, G: Array, state: State, W: Array, t: Any, rule: Rule, b: Backend) -> Done:
        """Step t, the delta of W's shape in working precision. An empty parameter has no update."""
        done = {block: advance(step, b) for block, step in self.steps(G, state, W, t, rule, b).items()}
        return self.joined(done, b) if done else Done(b.xp.astype(W, working_dtype(W.dtype, b.xp), copy=False), state)

    def joined(self, done: Mapping[str, Done], b: Backend) -> Done:
        """The parameter's step from its blocks'."""
        seen = [part.seen for part in done.values() if part.seen is not None]
        whole = gathered(seen, [math.prod(shape) for shape in self.part_shapes], b) if seen else None
        if self.is_plain:
            return Done(*done[""][:2], whole)
        delta = self.whole({block: part.delta for block, part in done.items()}, b)
        return Done(delta, unwrapped({block: part.state for block, part in done.items()}), whole)


def finished(
    work: Mapping[Any, tuple[Parameter, Mapping[str, Step]]], b: Backend
) -> Iterator[dict[Any, tuple[Array, State]]]:
    """`(delta, state)` of parameters, by the keys of `work`, as their blocks are done: those stepped together at once.

    What was seen of them goes to the backend's observer.
    """
    steps = {(key, block): step for key, (_, blocks) in work.items() for block, step in blocks.items()}
    pending: dict[Any, dict[str, Done]] = {}
    for bundle in advance_all(steps, b):
        ready = {}
        for (key, block), done in bundle.items():
            p, parts = work[key]
            if p.is_plain and done.seen is None:
                ready[key] = done[:2]
                continue
            found = pending.setdefault(key, {})
            found[block] = done
            if len(found) == len(parts):
                ready[key] = told(p, {block: found[block] for block in parts}, b)
        if ready:
            yield ready


def told(p: Parameter, done: Mapping[str, Done], b: Backend) -> tuple[Array, State]:
    """The parameter's delta and state from its blocks', in their own order."""
    delta, state, seen = p.joined(done, b)
    if seen is not None:
        b.observer[p.name] = seen
    return delta, state


def wrapped(state: State) -> dict[str, Any]:
    """A state by block, `""` where there is one matrix."""
    return state if isinstance(state, dict) else {"": state}


def unwrapped(states: dict[str, Any]) -> State:
    """The inverse of `wrapped`."""
    return states[""] if states.keys() == {""} else states


def fields(state: State) -> dict[str, Array]:
    """A parameter's state as one flat dict: `momentum`, or `q.momentum` where it has blocks."""
    if not isinstance(state, dict):
        return state._asdict()
    parts = state.items()
    return {field_name(block, name): value for block, part in parts for name, value in part._asdict().items()}


def field_name(block: str, name: str) -> str:
    """A state field's name in flat dicts and checkpoints."""
    return f"{block}.{name}" if block else name


def check_array(name: str, W: Array, xp: Any) -> None:
    """Raise unless W is a real floating array."""
    if not is_float(W.dtype, xp):
        raise TypeError(f"parameter {name!r} has dtype {W.dtype}: only real floating parameters can be optimised")
    if getattr(W.dtype, "itemsize", 2) < 2:
        raise TypeError(f"parameter {name!r} is {W.dtype}: keep a bfloat16 or float32 master copy and optimise that")


def check_gradient(name: str, G: Array, W: Array, xp: Any) -> None:
    """Raise unless G can be the gradient of W."""
    if not hasattr(G, "shape") or not hasattr(G, "dtype"):
        raise TypeError(f"the gradient of {name!r} must be an array, got {brief(G)}")
    if tuple(G.shape) != tuple(W.shape):
        raise ValueError(
            f"the gradient of {name!r} has shape {tuple(G.shape)}, but the parameter has shape {tuple(W.shape)}"
        )
    if not is_float(G.dtype, xp):
        raise TypeError(f"the gradient of {name!r} has dtype {G.dtype}: only real floating gradients are accepted")


def two_axes_are_a_matrix(name: str, shape: tuple[int, ...]) -> tuple[Any, str]:
    """The convention where a framework has none of its own: `out in`; more axes need a layout."""
    if len(shape) < 2:
        return "vector", "not a matrix"
    if len(shape) == 2:
        return "out in", "two axes"
    raise ambiguous(name, shape)


def stacks_of_out_in(name: str, shape: tuple[int, ...]) -> tuple[Any, str]:
    """The convention of `start`: matrices are (out, in), axes before the last two are batch axes."""
    return ("... out in", "axes before the last two are a batch") if len(shape) >= 2 else ("vector", "not a matrix")


def ambiguous(name: str, shape: tuple[int, ...]) -> ValueError:
    """The error for a parameter whose axes could mean several things."""
    suggestions = {3: "'batch out in' for a stack of matrices, 'out in k' for a convolution"}
    hint = suggestions.get(len(shape), "'out in kh kw' or 'kh kw in out' for a convolution, '... out in' for a stack")
    return ValueError(
        f"parameter {name!r} of shape {tuple(shape)} needs a layout: {hint}, or 'vector' for the vector rule; "
        f"give it as layout={{{name!r}: ...}}"
    )


def assign(
    shapes: Mapping[str, tuple[int, ...]],
    rule: Rule,
    vector_rule: Rule | None = None,
    layout: Any = None,
    default: DefaultLayout = two_axes_are_a_matrix,
    weight_decay_mask: Any = None,
) -> dict[str, Parameter]:
    """Give each parameter its rule and layout.

    Args:
        shapes: each parameter's shape, by name.
        rule: for matrices. A rule that is not for matrices gets every parameter.
        vector_rule: for the rest; `AdamW()`, beside DeVA `DeVAVector()`.
        layout: a pattern, a mapping or tree of patterns, or a function of name and shape.
        default: the framework's convention, for parameters that `layout` does not name.
        weight_decay_mask: a mapping or tree of bools, or a function of name and shape; False switches decay off.

    Raises:
        ValueError: an ambiguous parameter, an unknown name, a layout that does not fit. TypeError: no layout at all.
    """
    vector_rule = default_vector_rule(rule) if vector_rule is None else vector_rule
    lookup, decays = layout_lookup(layout, shapes), mask_lookup(weight_decay_mask, shapes)
    undecayed = {id(r): r.with_values(weight_decay=0.0) for r in (rule, vector_rule)}
    routed = {name: route(name, tuple(shape), rule, vector_rule, lookup, default) for name, shape in shapes.items()}
    return {name: p if decays(name, p.shape) else replace(p, rule=undecayed[id(p.rule)]) for name, p in routed.items()}


def route(name, shape, rule, vector_rule, lookup: Lookup, default: DefaultLayout) -> Parameter:
    """One parameter's rule, layout and the reason."""
    if not rule.matrix:
        return Parameter(name, shape, rule, None, "the rule takes any shape")
    given = lookup(name, shape)
    if given is None:
        given = Route(*default(name, shape), named=False)
    elif not isinstance(given, Route):
        given = Route(given, "layout given")
    layout = as_layout(given.layout)
    if layout is None:
        return Parameter(name, shape, vector_rule, None, given.why, given.named)
    try:
        layout.plan(shape)
    except ValueError as error:
        raise ValueError(f"parameter {name!r}: {error}") from None
    return Parameter(name, shape, rule, layout, given.why, given.named)
