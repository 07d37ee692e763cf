"""Tensors gathered by their owners and given back: one all-to-all for many tensors."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.distributed import ProcessGroup, all_to_all_single

from deva_torch._held import Held, Part, block, numel


class Move(NamedTuple):
    """A tensor that goes to its owner or comes from there.

    Args:
        held: who holds which part.
        owner: the rank of the group that has, or gets, the whole.
        local: this rank's part.
    """

    held: Held
    owner: int
    local: torch.Tensor


def exchange(
    sent: Sequence[Sequence[torch.Tensor]], received: Sequence[Sequence[int]], like: torch.Tensor, group: ProcessGroup
) -> list[list[torch.Tensor]]:
    """What each rank sends here, in flat pieces of the lengths `received`; `sent` holds what each is sent.

    Nothing but lengths that every rank knows decides what is called, so no rank waits for one that has nothing.
    """
    flat = [x.reshape(-1) for pieces in sent for x in pieces]
    outgoing = torch.cat(flat) if flat else like.new_empty(0)
    out_sizes = [sum(x.numel() for x in pieces) for pieces in sent]
    in_sizes = [sum(lengths) for lengths in received]
    incoming = like.new_empty(sum(in_sizes))
    all_to_all_single(incoming, outgoing, in_sizes, out_sizes, group=group)
    pieces = incoming.split(in_sizes)
    return [
        list(piece.split(list(lengths))) if lengths else [] for piece, lengths in zip(pieces, received, strict=True)
    ]


def gather(moves: Sequence[Move]) -> dict[int, torch.Tensor]:
    """The whole tensors of the moves that this rank owns, by index. Moves of one dtype and group; all ranks call."""
    group, like = moves[0].held.group, moves[0].local
    rank, size = group.rank(), group.size()
    sent: list[list[torch.Tensor]] = [[] for _ in range(size)]
    expected: list[list[tuple[int, Part]]] = [[] for _ in range(size)]
    for k, (held, owner, local) in enumerate(moves):
        for source, part in held.sources(owner):
            if source == rank:
                sent[owner].append(local)
            if owner == rank:
                expected[source].append((k, part))
    received = exchange(sent, [[numel(part) for _, part in pieces] for pieces in expected], like, group)
    wholes = {k: like.new_empty(held.shape) for k, (held, owner, _) in enumerate(moves) if owner == rank}
    for places, pieces in zip(expected, received, strict=True):
        for (k, part), piece in zip(places, pieces, strict=True):
            target = block(wholes[k], part)
            target.copy_(piece.view(target.shape))
    return wholes


def scatter(moves: Sequence[Move], wholes: dict[int, torch.Tensor]) -> None:
    """The inverse of `gather`: every rank's `local` gets its part of the whole tensor that its owner has."""
    group, like = moves[0].held.group, moves[0].local
    rank, size = group.rank(), group.size()
    sent: list[list[torch.Tensor]] = [[] for _ in range(size)]
    expected: list[list[torch.Tensor]] = [[] for _ in range(size)]
    for k, (held, owner, local) in enumerate(moves):
        if owner == rank:
            for other, part in enumerate(held.parts):
                sent[other].append(block(wholes[k], part))
        expected[owner].append(local)
    received = exchange(sent, [[x.numel() for x in targets] for targets in expected], like, group)
    for targets, pieces in zip(expected, received, strict=True):
        for target, piece in zip(targets, pieces, strict=True):
            target.copy_(piece.view(target.shape))
