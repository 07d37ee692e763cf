"""Equal leaves step together: the step's program does not grow with the number of leaves of one kind.

Gradients, states, parameters and step counts of leaves with one rule, layout, shape and dtypes are stacked inside the
update, and the stack is taken apart again: the state that a user sees stays one slot a leaf (docs/decisions/0007).
"""

import os
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from deva_core import Backend, Rule
from deva_core.parameter import Parameter
from deva_core.stacks import Done
from deva_core.telemetry import Telemetry

SMALL = 2**14
"""Entries of a matrix up to which a CPU computes its products on one thread: two parts of a stack run on two."""

PART = 16
"""The fewest leaves in one of these parts."""

STACK_BYTES = 2**28
"""The most that one stacked array may hold, so that a step's extra memory is bounded."""

LONG = 2**16
"""Entries from which a CPU computes elementwise rules leaf by leaf: copying into a stack costs what it saves."""


class Slot(NamedTuple):
    """One parameter's state: `step` counts its gradients; `state` is the rule's, a dict of them where it has blocks.

    Example:
        >>> import jax.numpy as jnp
        >>> from deva_jax import muon
        >>> slot = muon().init({"kernel": jnp.ones((3, 4))}).slots["kernel"]
        >>> slot.step.item(), slot.state.momentum.shape
        (0, (4, 3))
    """

    step: jax.Array
    state: Any


class Moved(NamedTuple):
    """One leaf's step: the delta, the next slot, and what was seen of it, where someone looks."""

    delta: jax.Array
    slot: Slot
    seen: Telemetry | None


class Leaf(NamedTuple):
    """What one leaf's step takes."""

    parameter: Parameter
    rule: Rule
    G: jax.Array
    slot: Slot
    W: jax.Array

    @property
    def kind(self) -> Hashable:
        """What leaves that can be stacked have in common."""
        arrays, structure = jax.tree.flatten((self.G, self.slot.state, self.W))
        kinds = tuple((x.shape, jnp.dtype(x.dtype).name) for x in arrays)
        return id(self.rule), self.parameter.layout, structure, kinds

    @property
    def operands(self) -> tuple[Any, Any, Any, Any]:
        """The arrays of a step: G, S, W and t."""
        return self.G, self.slot.state, self.W, self.slot.step + 1


@dataclass(frozen=True)
class Stacking:
    """How leaves are stacked, for `"cpu"`, `"gpu"`, `"cuda"`, `"tpu"`, …: where the step will run."""

    platform: str = "cpu"

    def loops(self, leaf: Leaf) -> bool:
        """Whether a stack's matrices are computed one by one: on a CPU small ones, whose batched products are slower, and
        those of a rule that branches, which would be compiled twice.
        """
        return self.platform == "cpu" and leaf.rule.matrix and (leaf.rule.branches or leaf.W.size <= SMALL)

    def parts(self, leaves: list[Leaf]) -> Iterator[list[Leaf]]:
        """Leaves of one kind, cut into the stacks that are computed."""
        first, n = leaves[0], len(leaves)
        size = max(1, first.W.size)
        most = max(1, STACK_BYTES // (4 * size))
        if self.platform == "cpu" and not first.rule.matrix and size >= LONG:
            most = 1
        elif self.loops(first) and size <= SMALL:
            most = max(PART, min(most, -(-n // (os.cpu_count() or 1))))
        count = -(-n // most)
        edges = [n * k // count for k in range(count + 1)]
        yield from (leaves[start:stop] for start, stop in pairwise(edges))


def advance_all(leaves: Mapping[str, Leaf], count: jax.Array, b: Backend, how: Stacking) -> dict[str, Moved]:
    """Each leaf's step. Outside `jax.jit` leaf by leaf: a loop would be compiled at every step."""
    groups: dict[Hashable, list[str]] = {}
    for name, leaf in leaves.items():
        groups.setdefault(leaf.kind if isinstance(count, Tracer) else name, []).append(name)
    done: dict[str, Moved] = {}
    indices = Indices(count, how)
    for names in groups.values():
        parts = how.parts([leaves[name] for name in names])
        done |= zip(names, (step for part in parts for step in advance(part, indices, b, how)), strict=True)
    return done


def advance(leaves: list[Leaf], indices: "Indices", b: Backend, how: Stacking) -> list[Moved]:
    """The steps of leaves of one kind."""
    first = leaves[0]

    def one(operands: tuple, b: Backend = b) -> Done:
        G, S, W, t = operands
        return first.parameter.update(G, S, W, t, first.rule, b)

    operands = [leaf.operands for leaf in leaves]
    if len(leaves) == 1:
        steps = [one(operands[0])]
    else:
        stack = jax.tree.map(lambda *xs: stacked(xs), *operands)
        steps = indices.unstacked(over_stack(one, stack, b, loop=how.loops(first)), len(leaves))
    return [Moved(delta, Slot(x[3], S), seen) for (delta, S, seen), x in zip(steps, operands, strict=True)]


def over_stack(one: Callable, stack: tuple, b: Backend, loop: bool) -> Any:
    """`one` over the stack's first axis, in a loop or batched.

    A rule that branches on t is batched while all leaves have made the same number of steps: batched by leaf, a branch
    becomes a selection from both sides, and DeVA would refresh its bases at every step.
    """
    if loop:
        return lax.map(one, stack)
    if not branches(one, stack, b):
        return jax.vmap(one)(stack)
    *arrays, t = stack
    together = jax.vmap(lambda *x: one((*x, t[0])))
    return lax.cond(jnp.all(t == t[0]), lambda: together(*arrays), lambda: lax.map(one, stack))


def branches(one: Callable, stack: tuple, b: Backend) -> bool:
    """Whether the rule branches on t."""
    seen = []

    def cond(*arguments: Any) -> Any:
        seen.append(True)
        return b.cond(*arguments)

    jax.eval_shape(lambda x: one(x, replace(b, cond=cond)), jax.tree.map(lambda x: x[0], stack))
    return bool(seen)


def stacked(xs: tuple[jax.Array, ...]) -> jax.Array:
    """The arrays along a new first axis; of arrays with axes it is one operation, not one for each."""
    if xs[0].ndim == 0:
        return jnp.stack(xs)
    return lax.concatenate(xs, 0).reshape(len(xs), *xs[0].shape)


class Indices:
    """Takes stacks apart. On a CPU, through indices that XLA does not see.

    XLA compiles equal kernels once, but a slice with a constant index is a kernel of its own: hundreds of leaves would
    cost seconds of compilation. The indices are therefore what a branch returns that is always taken.
    """

    def __init__(self, count: jax.Array, how: Stacking) -> None:
        self.count, self.hidden, self.known = count, how.platform == "cpu", ()

    def first(self, n: int) -> tuple[jax.Array, ...]:
        """0, 1, …, n - 1."""
        if len(self.known) < n:
            numbers, zero = [jnp.asarray(k, jnp.uint32) for k in range(n)], jnp.asarray(0, jnp.uint32)
            self.known = lax.cond(self.count >= 0, lambda: tuple(numbers), lambda: (zero,) * n)
        return self.known[:n]

    def unstacked(self, stack: Any, n: int) -> list[Any]:
        """The trees that a tree of stacks of n holds."""
        arrays, structure = jax.tree.flatten(stack)
        columns = [self.slices(x, n) for x in arrays]
        return [structure.unflatten(row) for row in zip(*columns, strict=True)]

    def slices(self, x: jax.Array, n: int) -> list[jax.Array]:
        """The n arrays of a stack."""
        if not self.hidden:
            return [part.reshape(x.shape[1:]) for part in lax.split(x, (1,) * n)]
        zeros = (jnp.asarray(0, jnp.uint32),) * (x.ndim - 1)
        sizes = (1, *x.shape[1:])
        return [lax.dynamic_slice(x, (k, *zeros), sizes).reshape(sizes[1:]) for k in self.first(n)]
