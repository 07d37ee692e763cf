"""A step over ranks: each matrix is gathered by one owner, stepped there, and given back in parts (docs/decisions/0012).

The owner keeps the state, whole. Elementwise rules step every shard where it lies. What is gathered at a time is bounded
by `CHUNK_BYTES` a rank, or by one parameter.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch.distributed import ProcessGroup, barrier, get_rank
from torch.distributed.tensor import DTensor

from deva_core.parameter import Parameter
from deva_torch._alike import Work
from deva_torch._exchange import Move, gather, scatter
from deva_torch._held import Held, field_placements, local, numel
from deva_torch._precision import Precision, initial, is_narrow
from deva_torch._step import advance, cost

CHUNK_BYTES = 2**26
"""Of the parameters that one rank gathers at a time; a larger parameter is gathered alone."""

Slots = MutableMapping[torch.Tensor, dict[str, Any]]


class Place(NamedTuple):
    """Where a parameter is stepped: whole by its owner, a rank of its group; or by every rank its own part (None)."""

    held: Held
    owner: int | None

    @property
    def is_mine(self) -> bool:
        """Whether this rank is the owner."""
        return self.owner == self.held.group.rank()

    def move(self, x: torch.Tensor) -> Move:
        """The way of a tensor between its owner and the ranks that hold parts."""
        assert self.owner is not None
        return Move(self.held, self.owner, local(x))


class Shards:
    """The parameters of an optimizer that lie on several ranks.

    Args:
        group: the ranks among which work on plain tensors, of which every rank has all, is divided; None: it is not.
        backend_of: from a tensor to the backend that steps it.
        precision: how parameters are rounded, and what of the state is narrow.
    """

    def __init__(self, group: ProcessGroup | None, backend_of: Callable[[torch.Tensor], Any], precision: Precision):
        self.group, self.backend_of, self.precision = group, backend_of, precision
        self.places: dict[torch.Tensor, Place] = {}
        self.loads: dict[ProcessGroup, list[float]] = {}

    def add(self, parameters: Mapping[torch.Tensor, Parameter]) -> None:
        """Find places for parameters that have none, the costliest first, each with the owner that has least to do."""
        held = {}
        for p, q in parameters.items():
            if p not in self.places and (isinstance(p, DTensor) or (self.group is not None and not q.rule.elementwise)):
                held[p] = Held.of(q.name, p, self.group)
                self.check_rounding(q, p, held[p])
        for p in sorted(held, key=lambda p: -cost(Work(p, parameters[p], p, parameters[p].rule))):
            self.places[p] = Place(held[p], self.next_owner(held[p].group, p, parameters[p]))

    def check_rounding(self, q: Parameter, p: torch.Tensor, held: Held) -> None:
        """Refuse to round copies of one parameter at random, each in its own way."""
        copies = len({part for part in held.parts if numel(part)}) < sum(numel(part) > 0 for part in held.parts)
        if self.precision.rounding == "stochastic" and q.rule.elementwise and copies and is_narrow(p):
            raise ValueError(
                f"parameter {q.name!r} is replicated on several ranks, and each would round its copy differently: "
                'use rounding="kahan", or shard the parameter'
            )

    def next_owner(self, group: ProcessGroup, p: torch.Tensor, q: Parameter) -> int | None:
        """The rank with the least work so far, which takes this parameter's; None if each steps its own part."""
        if q.rule.elementwise:
            return None
        loads = self.loads.setdefault(group, [0.0] * group.size())
        owner = loads.index(min(loads))
        loads[owner] += cost(Work(p, q, p, q.rule))
        return owner

    def step(self, work: Sequence[Work], slots: Slots) -> None:
        """Move every parameter; each rank calls with the same parameters."""
        here, gathered = [], []
        for item in work:
            (gathered if self.owner(item.p) is not None else here).append(item)
        parts = [on_rank(item) for item in here]
        states = [self.slot(slots, here[k].p, part) for k, part in enumerate(parts)]
        advance(parts, states, self.backend_of, self.precision)
        for chunk in self.chunks(gathered):
            self.step_chunk(chunk, slots)

    def owner(self, p: torch.Tensor) -> int | None:
        """The rank that steps p, None if every rank steps what it has."""
        return self.places[p].owner if p in self.places else None

    def step_chunk(self, work: Sequence[Work], slots: Slots) -> None:
        """Gather, step, give back."""
        moves = [self.places[item.p].move(item.p) for item in work]
        G = gathered([self.places[item.p].move(laid_like(item.G, item.p)) for item in work])
        W = gathered(moves)
        mine = [item._replace(p=W[k], G=G[k]) for k, item in enumerate(work) if k in W]
        states = [self.slot(slots, work[k].p, whole) for k, whole in zip(W, mine, strict=True)]
        advance(mine, states, self.backend_of, self.precision)
        given(moves, W)
        for item in work:
            if not self.places[item.p].is_mine:
                slots[item.p]["step"] = slots[item.p].get("step", 0) + 1

    def slot(self, slots: Slots, p: torch.Tensor, item: Work) -> dict[str, Any]:
        """The state of p on this rank, of `item.p`'s shape, created where there is none."""
        slot = slots[p]
        if not slot:
            slot |= {"step": 0, **self.initial(item)}
        return slot

    def create(self, work: Sequence[Work], slots: Slots) -> None:
        """Create the states that do not exist yet."""
        for item in work:
            if self.owner(item.p) is None:
                self.slot(slots, item.p, on_rank(item))
        for chunk in self.chunks([item for item in work if self.owner(item.p) is not None and not slots[item.p]]):
            W = gathered([self.places[item.p].move(item.p) for item in chunk])
            for k, item in enumerate(chunk):
                slots[item.p].setdefault("step", 0)
                if k in W:
                    slots[item.p] |= self.initial(item._replace(p=W[k]))

    def chunks(self, work: Iterable[Work]) -> Iterator[list[Work]]:
        """Work that is gathered at a time: of each owner as much as `CHUNK_BYTES` hold, equal shapes side by side."""
        queues: dict[ProcessGroup, dict[int, list[Work]]] = {}
        for item in sorted(work, key=lambda item: (tuple(item.p.shape), str(item.p.dtype))):
            place = self.places[item.p]
            assert place.owner is not None
            queues.setdefault(place.held.group, {}).setdefault(place.owner, []).append(item)
        for owners in queues.values():
            while any(owners.values()):
                yield [item for queue in owners.values() for item in taken(queue)]

    def shown(self, item: Work, slots: Slots) -> dict[str, Any]:
        """A state as `state_dict` holds it: DTensors, or whole tensors beside a plain one. All ranks call."""
        p, place, slot = item.p, self.places.get(item.p), slots[item.p]
        if place is None:
            return dict(slot)
        likes = self.without_data(item)
        if place.owner is None:
            parts = {name: slot[name] for name in likes}
        else:
            moves = [Move(*place_of(place, p, like)) for like in likes.values()]
            given(moves, {k: slot[name] for k, name in enumerate(likes)} if place.is_mine else {})
            parts = {name: move.local for name, move in zip(likes, moves, strict=True)}
        return {"step": slot["step"], **{name: as_dtensor(p, parts[name], like.shape) for name, like in likes.items()}}

    def whole(self, item: Work, slots: Slots, values: bool = True) -> dict[str, Any]:
        """A state, whole, on every rank; without values its tensors have no data. All ranks call."""
        if not values:
            return {"step": slots[item.p]["step"], **self.without_data(item)}
        shown = self.shown(item, slots)
        return {name: x.full_tensor() if isinstance(x, DTensor) else x for name, x in shown.items()}

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes files."""
        return get_rank() == 0

    def wait(self) -> None:
        """Until every rank is here."""
        barrier()

    def kept(self, p: torch.Tensor, saved: Mapping[str, Any]) -> tuple[dict[str, Any], torch.Tensor]:
        """What this rank keeps of a state that `state_dict` or a checkpoint holds, and a tensor like what it steps.

        All ranks call.
        """
        place, mine = self.places.get(p), {"step": saved["step"]}
        tensors = {name: x for name, x in saved.items() if isinstance(x, torch.Tensor)}
        if place is None or place.owner is None:
            return mine | {name: local(laid_like(x, p)) for name, x in tensors.items()}, local(p)
        spread = {name: x for name, x in tensors.items() if isinstance(x, DTensor)}
        moves = [Move(Held.of(name, x, None), place.owner, local(x)) for name, x in spread.items()]
        wholes = gathered(moves) if moves else {}
        if place.is_mine:
            mine |= tensors | {name: wholes[k] for k, name in enumerate(spread)}
        return mine, torch.empty(tuple(p.shape), dtype=p.dtype, device=p.device)

    def initial(self, item: Work) -> dict[str, Any]:
        """A state's fields before the first step, as they are kept."""
        return initial(item.p, item.parameter, item.rule, self.backend_of(item.p), self.precision)

    def without_data(self, item: Work) -> dict[str, torch.Tensor]:
        """A state's fields on the device `meta`: the shapes and dtypes of the whole, on every rank the same."""
        meta = torch.empty(tuple(item.p.shape), dtype=item.p.dtype, device="meta")
        return initial(meta, item.parameter, item.rule, self.backend_of(item.p), self.precision)


def by_dtype(moves: Sequence[Move]) -> Iterator[dict[int, Move]]:
    """Moves that one exchange can carry, by their index."""
    for dtype in dict.fromkeys(move.local.dtype for move in moves):
        yield {k: move for k, move in enumerate(moves) if move.local.dtype == dtype}


def gathered(moves: Sequence[Move]) -> dict[int, torch.Tensor]:
    """`gather` of several dtypes."""
    found = {}
    for some in by_dtype(moves):
        keys, wholes = list(some), gather(list(some.values()))
        found |= {keys[k]: whole for k, whole in wholes.items()}
    return dict(sorted(found.items()))


def given(moves: Sequence[Move], wholes: Mapping[int, torch.Tensor]) -> None:
    """`scatter` of several dtypes."""
    for some in by_dtype(moves):
        scatter(list(some.values()), {n: wholes[k] for n, k in enumerate(some) if k in wholes})


def taken(queue: list[Work]) -> list[Work]:
    """The first of a queue, as much as `CHUNK_BYTES` hold and at least one, removed from it."""
    taken, total = [], 0
    while queue and (not taken or total + size_of(queue[0].p) <= CHUNK_BYTES):
        total += size_of(queue[0].p)
        taken.append(queue.pop(0))
    return taken


def size_of(p: torch.Tensor) -> int:
    """Bytes of the whole parameter."""
    return p.numel() * p.element_size()


def on_rank(item: Work) -> Work:
    """The part of a piece of work that lies on this rank."""
    if not isinstance(item.p, DTensor):
        return item
    p, G = item.p.to_local(), local(laid_like(item.G, item.p))
    return Work(p, replace(item.parameter, shape=tuple(p.shape)), G, item.rule)


def laid_like(x: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """x on p's mesh with p's placements."""
    if not isinstance(p, DTensor):
        return local(x)
    if not isinstance(x, DTensor):
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(x.to(p.device), p.device_mesh, p.placements)
    same = x.device_mesh == p.device_mesh and x.placements == p.placements
    return x if same else x.redistribute(p.device_mesh, p.placements)


def as_dtensor(p: torch.Tensor, part: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """This rank's part of a field as a DTensor on p's mesh; as it is, if p is no DTensor."""
    if not isinstance(p, DTensor):
        return part
    stride = torch.empty(tuple(shape), device="meta").stride()
    placements = field_placements(p, shape)
    return DTensor.from_local(part, p.device_mesh, placements, run_check=False, shape=torch.Size(shape), stride=stride)


def place_of(place: Place, p: torch.Tensor, like: torch.Tensor) -> tuple[Held, int, torch.Tensor]:
    """Who shows which part of a field, its owner, and room for this rank's part."""
    if isinstance(p, DTensor):
        held = Held.on_mesh(like.shape, p.device_mesh, field_placements(p, like.shape))
    else:
        held = Held.by_all(like.shape, place.held.group)
    assert place.owner is not None
    return held, place.owner, torch.empty(held.local_shape, dtype=like.dtype, device=p.device)
