"""Large arrays in parts that a core's cache holds while several operations pass over them."""

from collections.abc import Iterator
from functools import cache

import torch

from deva_torch._device import on_host

KEPT = 31 * 2**20
"""Bytes: just below the largest block that glibc learns from."""

CACHED = 2**18
"""Entries of a part."""


@cache
def keep_freed_memory() -> None:
    """Have the C library keep what a step frees for the next, once a process.

    glibc keeps up to twice the largest block that it has seen freed. Until then it returns a step's temporaries to the
    system and faults them in again, page by page: a tenth of a step's time.
    """
    torch.empty(KEPT, dtype=torch.uint8, device="cpu")


def worth_blocks(*tensors: torch.Tensor) -> bool:
    """Whether tensors of one shape gain from being cut: on a CPU, where they are large and lie in one piece."""
    first = tensors[0]
    large = on_host(first) and first.numel() > CACHED
    return large and all(x.shape == first.shape and x.is_contiguous() for x in tensors)


def blocks(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Equal parts of tensors of one shape, or all at once where cutting gains nothing.

    Parts are rows where the tensors are stored differently; stacks stay whole, so that one operation does them.
    """
    first = tensors[0]
    if worth_blocks(*tensors) and first.ndim <= 2:
        return zip(*(x.view(-1).split(CACHED) for x in tensors), strict=True)
    if not on_host(first) or first.ndim != 2 or first.numel() <= CACHED:
        return iter((tensors,))
    rows = max(1, CACHED * first.shape[0] // first.numel())
    return zip(*(x.split(rows) for x in tensors), strict=True)
