"""Each device steps its own share of every stack of equal matrices.

Under `stack_sharding`, matrices of one rule, shape and dtypes are stacked, whichever leaf, block or batch axis they come
from, and `shard_map` gives each device whole ones: no product and no factorization asks another device. On the way in and
out the stack's shards change from parts of all matrices to all of some matrices, which is an all-to-all
(docs/decisions/0013).
"""

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer
from jax.sharding import NamedSharding, PartitionSpec, get_abstract_mesh

from deva_core import Backend
from deva_core.stacks import Done, Step
from deva_core.stacks import advance as advance_step
from deva_jax._stack import STACK_BYTES, Leaf, Moved, Slot, Stacking, over_stack
from deva_jax._stack import advance_all as advance_alone


def checked_stack_sharding(value: Any) -> Any:
    """None, the name of a mesh axis, or a `NamedSharding` of a first axis."""
    first = value.spec[:1] if isinstance(value, NamedSharding) else (value,)
    if value is None or (first and first[0] and isinstance(first[0], str | tuple) and not isinstance(value, tuple)):
        return value
    raise ValueError(
        'stack_sharding must be the name of a mesh axis, or shard a first axis as NamedSharding(mesh, PartitionSpec("data"))'
        f" does, got {value!r}"
    )


class Part(NamedTuple):
    """A block of a leaf, with its batch axes, as the matrices of a stack."""

    leaf: str
    block: str
    step: Step

    @property
    def batch(self) -> tuple[int, ...]:
        """The lengths of its batch axes."""
        return tuple(self.step.W.shape[:-2])

    @property
    def count(self) -> int:
        """How many matrices it is."""
        return math.prod(self.batch)

    @property
    def matrix_size(self) -> int:
        """The entries of one of them."""
        return math.prod(self.step.W.shape[-2:])

    @property
    def arrays(self) -> tuple[jax.Array, Any, jax.Array, jax.Array]:
        """G, S, W and t of each matrix, along one first axis."""
        n, axes, (_, G, S, W, t) = self.count, len(self.batch), self.step
        return *jax.tree.map(lambda x: x.reshape(n, *x.shape[axes:]), (G, S, W)), jnp.broadcast_to(t, n)

    @property
    def kind(self) -> Hashable:
        """What parts that can be stacked have in common."""
        arrays, structure = jax.tree.flatten(self.arrays)
        return id(self.step.rule), structure, tuple((x.shape[1:], jnp.dtype(x.dtype).name) for x in arrays)


@dataclass(frozen=True)
class Devices:
    """The devices along some axes of a mesh."""

    mesh: Any
    axes: str | tuple[str, ...]

    @classmethod
    def of(cls, sharding: Any, mesh: Any = None) -> "Devices":
        """Of `stack_sharding`; a name is an axis of the mesh in use (`jax.set_mesh`), or of the one given."""
        used = mesh or get_abstract_mesh()
        if isinstance(sharding, NamedSharding):
            return cls(sharding.mesh if used.empty else used, sharding.spec[0])
        if sharding not in used.axis_names:
            raise ValueError(f"stack_sharding is the mesh axis {sharding!r}, but the mesh in use has {used.axis_names}")
        return cls(used, sharding)

    @property
    def count(self) -> int:
        """How many there are."""
        return math.prod(self.mesh.shape[axis] for axis in ((self.axes,) if isinstance(self.axes, str) else self.axes))

    def share(self, function: Callable, stack: Any) -> Any:
        """`function` of each device's part of a stack."""
        spec = PartitionSpec(self.axes)
        return jax.shard_map(function, mesh=self.mesh, in_specs=spec, out_specs=spec, check_vma=False)(stack)

    def sharding(self, shape: tuple[int, ...]) -> NamedSharding:
        """Each matrix along its longer side; whole on every device where that does not divide."""
        side = longer_side(shape)
        if side is None or shape[side] == 1 or shape[side] % self.count:
            return NamedSharding(self.mesh, PartitionSpec())
        return NamedSharding(self.mesh, PartitionSpec(*[None] * side, self.axes))

    def spread(self, x: jax.Array) -> jax.Array:
        """x, sharded so."""
        return lax.with_sharding_constraint(x, self.sharding(x.shape))

    def ready(self, arrays: Any) -> Any:
        """Arrays, spread if they may be sharded along two axes: from there the partitioner finds no all-to-all."""
        return arrays if len(self.mesh.axis_names) == 1 else jax.tree.map(self.spread, arrays)

    def padded(self, x: jax.Array) -> jax.Array:
        """x with zeros beyond the longer side of its matrices, so that it can be spread."""
        side = longer_side(x.shape)
        if side is None or x.shape[-1] * x.shape[-2] < self.count:
            return x
        widths = [(0, 0)] * x.ndim
        widths[side] = 0, -x.shape[side] % self.count
        return jnp.pad(x, widths)


def longer_side(shape: tuple[int, ...]) -> int | None:
    """The axis of the longer side of a (stack of) matrices."""
    if len(shape) < 2:
        return None
    return len(shape) - (1 if shape[-1] >= shape[-2] else 2)


def advance_all(
    leaves: Mapping[str, Leaf], count: jax.Array, b: Backend, how: Stacking, sharding: Any
) -> dict[str, Moved]:
    """Each leaf's step, matrices divided among devices, other leaves where they are."""
    if sharding is None or not isinstance(count, Tracer):
        return advance_alone(leaves, count, b, how)
    divided = {name: leaf for name, leaf in leaves.items() if leaf.rule.matrix and 0 not in leaf.parameter.shape}
    done: dict[str, Moved] = {}
    for name, leaf in leaves.items():
        if name not in divided:
            done |= advance_alone({name: leaf}, count, b, how)
    return done | advance_divided(divided, Devices.of(sharding), b)


def advance_divided(leaves: Mapping[str, Leaf], devices: Devices, b: Backend) -> dict[str, Moved]:
    """The steps of leaves with matrices."""
    done: dict[tuple[str, str], Done] = {}
    for parts in stacks(parts_of(leaves, b), devices):
        done |= zip(((part.leaf, part.block) for part in parts), advance_stack(parts, devices, b), strict=True)
    steps = {}
    for name, leaf in leaves.items():
        delta, state, seen = leaf.parameter.joined({block: done[name, block] for block in leaf.parameter.blocks}, b)
        steps[name] = Moved(delta, Slot(leaf.slot.step + 1, state), seen)
    return steps


def parts_of(leaves: Mapping[str, Leaf], b: Backend) -> Iterator[Part]:
    """The blocks of all leaves."""
    for name, leaf in leaves.items():
        steps = leaf.parameter.steps(*leaf.operands, leaf.rule, b)
        yield from (Part(name, block, step) for block, step in steps.items())


def stacks(parts: Iterator[Part], devices: Devices) -> Iterator[list[Part]]:
    """Parts of one kind, no more of them than memory allows."""
    kinds: dict[Hashable, list[Part]] = {}
    for part in parts:
        kinds.setdefault(part.kind, []).append(part)
    for members in kinds.values():
        most = devices.count * max(1, STACK_BYTES // (4 * members[0].matrix_size))
        chunk: list[Part] = []
        for part in members:
            if chunk and sum(member.count for member in chunk) + part.count > most:
                yield chunk
                chunk = []
            chunk.append(part)
        yield chunk


def advance_stack(parts: list[Part], devices: Devices, b: Backend) -> list[Done]:
    """The steps of parts of one kind."""
    rule = parts[0].step.rule

    def one(operands: tuple, b: Backend = b) -> Done:
        return advance_step(Step(rule, *operands), b)

    def share(stack: tuple) -> Any:
        return jax.tree.map(devices.padded, over_stack(one, stack, b, loop=False))

    stack = jax.tree.map(lambda *xs: filled(xs, devices.count), *(devices.ready(part.arrays) for part in parts))
    steps = jax.tree.map(devices.spread, devices.share(share, stack))
    done, start = [], 0
    for part in parts:
        stop = start + part.count
        delta, state = jax.tree.map(lambda x, like, k=start: cut(x, k, like), steps[:2], (part.step.W, part.step.S))
        seen = jax.tree.map(lambda x, k=slice(start, stop), batch=part.batch: x[k].reshape(batch), steps.seen)
        done.append(Done(delta, state, seen))
        start = stop
    return done


def filled(xs: tuple[jax.Array, ...], count: int) -> jax.Array:
    """The arrays along their first axis, and the first again until its length divides."""
    missing = -sum(len(x) for x in xs) % count
    return jnp.concatenate([*xs, *[xs[0][:1]] * missing])


def cut(stack: jax.Array, start: int, like: jax.Array) -> jax.Array:
    """The part of a stack that has the shape of `like`, without padding."""
    axes = stack.ndim - 1
    batch, shape = like.shape[: like.ndim - axes], like.shape[like.ndim - axes :]
    part = lax.slice_in_dim(stack, start, start + math.prod(batch))
    part = part[(slice(None), *(slice(n) for n in shape))]
    return part.reshape(like.shape)
