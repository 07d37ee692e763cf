"""Faster functions for core's replaceable ones; `python -m benchmarks.replacements` shows what each gains."""

import math
from typing import Any

import torch

from deva_core import Backend
from deva_core.basis import take as plain_take
from deva_core.elementwise import descent as plain_descent
from deva_core.elementwise import ema as plain_ema
from deva_core.elementwise import ema_and_ahead as plain_ema_and_ahead
from deva_core.linalg import frobenius as plain_frobenius
from deva_core.linalg import unit as plain_unit
from deva_torch._blocks import blocks
from deva_torch._device import on_host
from deva_torch._products import gram, multiply_add, outer_ema, symmetric_multiply_add
from deva_torch._qr import positive_qr

RANGE = 2.0**-50, 2.0**50
"""Norms whose square and whose parts' squares are far from float32's limits."""


def scalar(x: Any, X: torch.Tensor) -> Any:
    """The number that belongs to a matrix X without its axes, so that parts of X of any shape take it."""
    return x.reshape(()) if isinstance(x, torch.Tensor) and X.ndim <= 2 else x


def ema(average: torch.Tensor, new: torch.Tensor, beta: Any, b: Backend) -> torch.Tensor:
    """One pass over memory instead of three, into the donated average."""
    if isinstance(beta, torch.Tensor):
        return plain_ema.__wrapped__(average, new, beta, b)
    return average.lerp_(new, 1 - beta)


def ema_and_ahead(average: torch.Tensor, new: torch.Tensor, beta: Any, b: Backend) -> tuple[torch.Tensor, torch.Tensor]:
    """Two passes instead of six, block by block."""
    if isinstance(beta, torch.Tensor):
        return plain_ema_and_ahead.__wrapped__(average, new, beta, b)
    ahead = torch.empty_like(average)
    for M, G, N in blocks(average, new, ahead):
        torch.lerp(M.lerp_(G, 1 - beta), G, 1 - beta, out=N)
    return average, ahead


def descent(direction: torch.Tensor, length: Any, W: torch.Tensor, decay: Any, b: Backend) -> torch.Tensor:
    """Block by block; on an accelerator in as few kernels as there are terms."""
    if isinstance(decay, torch.Tensor):
        return plain_descent.__wrapped__(direction, length, W, decay, b)
    if decay and not on_host(W) and not isinstance(length, torch.Tensor):
        return torch.mul(W, -decay).add_(direction, alpha=-length)
    delta, length = torch.empty_like(W), scalar(-length, W)
    for O, X, D in blocks(direction, W, delta):
        D.copy_(O).mul_(length)
        if decay:
            D.add_(X, alpha=-decay)
    return delta


def plus_identity(Z: torch.Tensor, a: float, b: Backend) -> torch.Tensor:
    """Without a second matrix."""
    Q = Z.clone()
    Q.diagonal(dim1=-2, dim2=-1).add_(a)
    return Q


def multiplied(X: torch.Tensor, k: torch.Tensor, b: Backend) -> torch.Tensor:
    """Into the donated X; not at all by 1, which a CPU tells at once."""
    return X if on_host(k) and bool((k == 1).all()) else X.mul_(k)


def sign(x: torch.Tensor, b: Backend) -> torch.Tensor:
    """Without an assignment through a mask, of which the number of entries may be asked."""
    return torch.where(torch.isnan(x), x, torch.sign(x))


def donated_stack(arrays: list[torch.Tensor], b: Backend) -> torch.Tensor:
    """The stack that they are parts of, where they are all its parts in order, as states are after their first step."""
    base = arrays[0]._base
    if base is None or base.shape != (len(arrays), *arrays[0].shape) or base.stride()[1:] != arrays[0].stride():
        return torch.stack(arrays)
    start, step = base.storage_offset(), base.stride(0)
    in_order = all(x._base is base and x.storage_offset() == start + k * step for k, x in enumerate(arrays))
    return base if in_order else torch.stack(arrays)


def take(X: torch.Tensor, order: torch.Tensor, axis: int, b: Backend) -> torch.Tensor:
    """Whole rows or columns at once; nothing where the order is kept, which a CPU tells at once."""
    if order.ndim > 1 or X.shape[axis] <= 1:
        return plain_take.__wrapped__(X, order, axis, b)
    kept = on_host(order) and torch.equal(order, torch.arange(len(order), device=order.device))
    return X if kept else X.index_select(axis, order)


def euclidean(X: torch.Tensor) -> torch.Tensor:
    """The norm of each matrix, axes kept; rows first: a single sum over millions loses digits."""
    rows = torch.linalg.vector_norm(X, dim=-1, keepdim=True)
    return torch.linalg.vector_norm(rows, dim=-2, keepdim=True)


def in_range(size: torch.Tensor) -> bool:
    """Whether norms were computed without overflow or loss, which a CPU tells at once."""
    low, high = size.aminmax()
    return bool(low > RANGE[0] and high < RANGE[1])


def divisor(X: torch.Tensor, order: float) -> torch.Tensor:
    """A norm of each matrix, axes kept, as what X can be divided by: at least the smallest normal number, a power of two.

    Zero stays zero; smaller numbers than that would be zero too on devices that flush them.
    """
    norm = torch.linalg.vector_norm(X, order, (-2, -1), keepdim=True)
    return norm.clamp_min_(torch.finfo(X.dtype).smallest_normal)


def frobenius(X: torch.Tensor, b: Backend) -> torch.Tensor:
    """Two passes less where squares stay in range; on an accelerator half as many kernels."""
    if X.ndim < 2 or X.numel() == 0 or (on_host(X) and X.dtype != torch.float32):
        return plain_frobenius.__wrapped__(X, b)
    if not on_host(X):
        peak = divisor(X, math.inf)
        return torch.linalg.vector_norm(X / peak, dim=(-2, -1), keepdim=True).mul_(peak)
    size = euclidean(X)
    return size if in_range(size) else plain_frobenius.__wrapped__(X, b)


def divided(X: torch.Tensor, size: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`X / size`, rounded to `dtype` block by block."""
    out, size = torch.empty_like(X, dtype=dtype), scalar(size, X)
    for Y, Z in blocks(X, out):
        Z.copy_(Y / size)
    return out


def unit(X: torch.Tensor, dtype: torch.dtype, b: Backend) -> torch.Tensor:
    """Two passes where squares stay in range, which a CPU tells at once; elsewhere powers of two go first, which round
    nothing, so that all scales give the same bits. On an accelerator core's formula, in half as many kernels.
    """
    if X.numel() == 0 or (on_host(X) and X.dtype != torch.float32):
        return plain_unit.__wrapped__(X, dtype, b)
    if not on_host(X):
        X = X / divisor(X, math.inf)
        return torch.div(X, divisor(X, 2), out=torch.empty_like(X, dtype=dtype))
    size = euclidean(X)
    if in_range(size):
        return divided(X, size, dtype)
    peak = X.abs().amax(dim=(-2, -1), keepdim=True)
    X = torch.ldexp(X, -torch.frexp(peak).exponent)
    size = euclidean(X) + (peak - peak)  # not finite where an entry is not
    return divided(X, torch.where(peak == 0, 1.0, size), dtype)


REPLACEMENTS = {
    f.__name__: f
    for f in (
        ema,
        ema_and_ahead,
        descent,
        multiply_add,
        symmetric_multiply_add,
        gram,
        plus_identity,
        unit,
        frobenius,
        multiplied,
        donated_stack,
        sign,
        outer_ema,
        take,
        positive_qr,
    )
}
