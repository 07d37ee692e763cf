"""Equal parameters step together: a rule's update runs once over their stack, whatever their number."""

from collections.abc import Hashable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from deva_core.backend import Array, Backend, replaceable, working_dtype
from deva_core.rule import Rule
from deva_core.telemetry import Telemetry, observed


class Step(NamedTuple):
    """What a rule's `update` takes, for one matrix (or vector): gradient and parameter in any dtype."""

    rule: Rule
    G: Array
    S: Any
    W: Array
    t: Any

    @property
    def kind(self) -> Hashable:
        """What steps that can be stacked have in common."""
        t = self.t if isinstance(self.t, int) or self.rule.branches else None  # arrays are stacked, never compared
        return id(self.rule), tuple(self.W.shape), self.W.dtype, self.G.dtype, t


class Done(NamedTuple):
    """A step's result; `seen` is what was observed of it, where someone looks."""

    delta: Array
    state: Any
    seen: Telemetry | None = None


def bundles(steps: list[Step], b: Backend) -> Iterator[list[int]]:
    """The steps' indices, those that are stacked together in one list, no stack larger than the cost model allows."""
    found: dict[Hashable, list[int]] = {}
    for k, step in enumerate(steps):
        found.setdefault(step.kind, []).append(k)
    for members in found.values():
        shape = tuple(steps[members[0]].W.shape)
        most = b.costs.stack_size(shape) if shape and b.costs.stacks(shape) else 1
        yield from (members[k : k + most] for k in range(0, len(members), most))


@replaceable
def donated_stack(arrays: list[Array], b: Backend) -> Array:
    """The arrays along a new first axis. They are donated."""
    return b.xp.stack(arrays)


def as_matrices(stack: Array, vector: bool, b: Backend) -> Array:
    """The stack; of vectors, one of matrices of one row, since a rule reads leading axes as a batch only of matrices."""
    return b.xp.expand_dims(stack, axis=1) if vector else stack


def unstacked(stack: Array, vector: bool, b: Backend) -> list[Array]:
    """The arrays of a stack that `as_matrices` gave."""
    return list(b.xp.unstack(b.xp.squeeze(stack, axis=1) if vector else stack))


def working(step: Step, b: Backend) -> Step:
    """The step with gradient, parameter and what of the state is narrow at rest in working precision."""
    dtype = working_dtype(step.W.dtype, b.xp)

    def wide(x: Array) -> Array:
        return x if x.dtype == dtype else b.xp.astype(x, dtype)

    narrow = {name: x for name in step.rule.narrowable if (x := getattr(step.S, name)).dtype != dtype}
    S = step.S._replace(**{name: wide(x) for name, x in narrow.items()}) if narrow else step.S
    return step._replace(G=wide(step.G), S=S, W=wide(step.W))


class Columns(NamedTuple):
    """Equal steps by what they take: lists of gradients and parameters, and of each field of the state."""

    rule: Rule
    G: list[Array]
    S: list[list[Array]]
    W: list[Array]


def together(columns: Columns, t: Any, b: Backend) -> Step:
    """One step over the stack of these, of number t or, along the first axis, numbers; it owns its arrays."""
    rule, vector = columns.rule, columns.W[0].ndim == 1
    G, W = b.xp.stack(columns.G), b.xp.stack(columns.W)
    S = (donated_stack(column, b) for column in columns.S)
    G, W, *S = (as_matrices(x, vector, b) for x in (G, W, *S))
    return Step(rule, G, rule.State(*S), W, t)


def counts(ts: list[Any], ndim: int, b: Backend) -> Any:
    """The number of a stack's step: the one that all have, or one for each parameter, along the first axis."""
    if all(t is ts[0] for t in ts) or isinstance(ts[0], int):
        return ts[0]
    return b.xp.reshape(b.xp.stack(ts), (-1,) + (1,) * (ndim - 1))


def advance(step: Step, b: Backend) -> Done:
    """One step."""
    rule, G, S, W, t = working(step, b)
    return Done(*(rule.update if b.observer is None else partial(observed, rule))(G, S, W, t, b))


def advance_bundle(steps: list[Step], b: Backend) -> list[Done]:
    """Equal steps, computed together."""
    if len(steps) == 1:
        return [advance(steps[0], b)]
    rules, Gs, Ss, Ws, ts = map(list, zip(*steps, strict=True))
    vector, columns = Ws[0].ndim == 1, Columns(rules[0], Gs, list(map(list, zip(*Ss, strict=True))), Ws)
    delta, S, seen = advance(together(columns, counts(ts, max(3, Ws[0].ndim + 1), b), b), b)
    fields = zip(*(unstacked(x, vector, b) for x in S), strict=True)
    done = [Done(d, type(S)(*x)) for d, x in zip(unstacked(delta, vector, b), fields, strict=True)]
    if seen is None:
        return done
    each = zip(*map(b.xp.unstack, seen), strict=True)
    return [one._replace(seen=Telemetry(*x)) for one, x in zip(done, each, strict=True)]


def advance_all(steps: Mapping[Any, Step], b: Backend) -> Iterator[dict[Any, Done]]:
    """Each step by its key, in working precision, bundle by bundle."""
    keys = list(steps)
    for members in bundles([steps[key] for key in keys], b):
        chosen = [keys[k] for k in members]
        done = advance_bundle([steps[key] for key in chosen], b)
        yield dict(zip(chosen, done, strict=True))
