"""Which part of a tensor each rank holds: a shard of a DTensor, or everyone the whole."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch.distributed import ProcessGroup, get_group_rank
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard

Part = tuple[tuple[int, int], ...]
"""A block of a tensor: start and length along each axis."""


def part_of(
    shape: Sequence[int], mesh_shape: Sequence[int], placements: Sequence[Placement], at: Sequence[int]
) -> Part:
    """The block that lies at a coordinate of the mesh, cut as `torch.chunk` cuts."""
    part = [(0, size) for size in shape]
    for count, placement, k in zip(mesh_shape, placements, at, strict=True):
        if isinstance(placement, Shard):
            start, length = part[placement.dim]
            size = -(-length // count)
            begin, end = min(length, k * size), min(length, (k + 1) * size)
            part[placement.dim] = start + begin, end - begin
    return tuple(part)


def numel(part: Part) -> int:
    """The entries of a block."""
    return math.prod(length for _, length in part)


def block(whole: torch.Tensor, part: Part) -> torch.Tensor:
    """The block of a tensor, as a view."""
    for axis, (start, length) in enumerate(part):
        whole = whole.narrow(axis, start, length)
    return whole


def check_placements(name: str, placements: Sequence[Placement]) -> None:
    """Refuse what is neither sharded plainly nor replicated, with advice."""
    stray = next((x for x in placements if type(x) not in (Shard, Replicate)), None)
    if stray is not None:
        raise ValueError(
            f"parameter {name!r} has the placement {stray}: only Shard and Replicate can be optimised; "
            "redistribute the parameter, or shard it by fully_shard alone"
        )


@dataclass(frozen=True)
class Held:
    """A tensor over a group of ranks.

    Args:
        group: the ranks.
        shape: of the whole tensor.
        parts: the block that each rank of the group holds.
    """

    group: ProcessGroup
    shape: tuple[int, ...]
    parts: tuple[Part, ...]

    @classmethod
    def by_all(cls, shape: Sequence[int], group: ProcessGroup) -> "Held":
        """Everyone holds the whole tensor."""
        return cls(group, tuple(shape), (tuple((0, size) for size in shape),) * group.size())

    @classmethod
    def on_mesh(cls, shape: Sequence[int], mesh: DeviceMesh, placements: Sequence[Placement]) -> "Held":
        """As these placements lay a tensor over a mesh."""
        group = mesh.get_group() if mesh.ndim == 1 else mesh._flatten().get_group()
        parts: dict[int, Part] = {}
        for at in product(*map(range, mesh.shape)):
            parts[get_group_rank(group, int(mesh.mesh[at]))] = part_of(shape, mesh.shape, placements, at)
        return cls(group, tuple(shape), tuple(parts[rank] for rank in range(len(parts))))

    @classmethod
    def of(cls, name: str, p: torch.Tensor, group: ProcessGroup | None) -> "Held":
        """As a parameter lies: a DTensor on its mesh, another tensor whole on each rank of the group."""
        if not isinstance(p, DTensor):
            assert group is not None
            return cls.by_all(p.shape, group)
        check_placements(name, p.placements)
        held = cls.on_mesh(p.shape, p.device_mesh, p.placements)
        found = tuple(p.to_local().shape)
        if found != held.local_shape:
            raise ValueError(f"parameter {name!r}: the local shard is {found}, expected {held.local_shape}")
        return held

    @property
    def local_shape(self) -> tuple[int, ...]:
        """The shape of this rank's block."""
        return tuple(length for _, length in self.parts[self.group.rank()])

    def sources(self, owner: int) -> Iterator[tuple[int, Part]]:
        """For each block one rank that holds it, the owner and the ranks after it first."""
        size, seen = self.group.size(), set()
        for rank in ((owner + k) % size for k in range(size)):
            part = self.parts[rank]
            if numel(part) and part not in seen:
                seen.add(part)
                yield rank, part


def local(x: Any) -> torch.Tensor:
    """This rank's block of a tensor; of one that is no DTensor, the tensor."""
    return x.to_local() if isinstance(x, DTensor) else x


def field_placements(p: DTensor, shape: Sequence[int]) -> tuple[Placement, ...]:
    """How a field of a parameter's state is shown: as the parameter lies if it is of its shape, else cut by rows."""
    if tuple(shape) == tuple(p.shape):
        return tuple(p.placements)
    placements: list[Placement] = [Replicate() for _ in p.placements]
    if math.prod(shape) > 1:
        placements[next((k for k, x in enumerate(p.placements) if isinstance(x, Shard)), 0)] = Shard(0)
    return tuple(placements)
