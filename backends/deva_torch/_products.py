"""Products: sums inside their kernels, and symmetric ones by halves on a CPU."""

from collections.abc import Callable
from typing import Any

import torch

from deva_core import Backend
from deva_core.basis import outer_ema as plain_outer_ema
from deva_torch._device import on_host

WORTH_HALVING, PANELS, LONGEST = 4 * 384**3, 4, 512
"""Multiplications, times bytes of an entry, from which a symmetric product is computed by halves; in how many panels, of
how many rows at most."""


def matmul(A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    """`A @ B`; of two stacks in one operation, where `@` takes five."""
    return torch.bmm(A, B) if A.ndim == B.ndim == 3 else A @ B


def multiply_add(
    beta: float, C: torch.Tensor, alpha: float, A: torch.Tensor, B: torch.Tensor, b: Backend
) -> torch.Tensor:
    """The sum inside the product's kernel."""
    if C.ndim == 2:
        return torch.addmm(C, A, B, beta=beta, alpha=alpha)
    if C.ndim == 3:
        return torch.baddbmm(C, A, B, beta=beta, alpha=alpha)
    flat = (x.reshape(-1, *x.shape[-2:]) for x in (C, A, B))
    return torch.baddbmm(*flat, beta=beta, alpha=alpha).reshape(C.shape)


def worth_halves(X: torch.Tensor) -> bool:
    """Whether X times a matrix of its transposed shape gains from halves, where the result is symmetric."""
    large = X.ndim == 2 and X.shape[0] * X.numel() * X.itemsize >= WORTH_HALVING
    return large and on_host(X)


def by_halves(C: torch.Tensor, fill: Callable[[torch.Tensor, int, int], Any]) -> torch.Tensor:
    """Symmetric C: `fill` writes rows i to j up to column j, a part of C; the other half is copied."""
    n = C.shape[0]
    size = min(LONGEST, -(-n // PANELS))
    for start in range(0, n, size):
        end = min(start + size, n)
        fill(C[start:end, :end], start, end)
        for above in range(0, start, size):
            C[above : above + size, start:end].copy_(C[start:end, above : above + size].mT)
    return C


def symmetric_multiply_add(
    beta: float, R: torch.Tensor, alpha: float, A: torch.Tensor, B: torch.Tensor, b: Backend
) -> torch.Tensor:
    """The half above the diagonal is copied where that is cheaper than its products."""
    if not worth_halves(A):
        return multiply_add(beta, R, alpha, A, B, b)

    def fill(out: torch.Tensor, i: int, j: int) -> None:
        torch.addmm(R[i:j, :j], A[i:j], B[:, :j], beta=beta, alpha=alpha, out=out)

    return by_halves(torch.empty_like(R), fill)


def gram(X: torch.Tensor, b: Backend) -> torch.Tensor:
    """By halves, as `symmetric_multiply_add`."""
    if not worth_halves(X):
        return matmul(X, X.mT)
    n = X.shape[0]
    return by_halves(X.new_empty(n, n), lambda out, i, j: torch.mm(X[i:j], X[:j].mT, out=out))


def outer_ema(C: torch.Tensor, G: torch.Tensor, beta: Any, b: Backend) -> torch.Tensor:
    """Into the donated average, by halves."""
    if isinstance(beta, torch.Tensor) or C.ndim > 2:
        return plain_outer_ema.__wrapped__(C, G, beta, b)
    if not worth_halves(G):
        return C.addmm_(G, G.mT, beta=beta, alpha=1 - beta)
    return by_halves(C, lambda out, i, j: out.addmm_(G[i:j], G[:j].mT, beta=beta, alpha=1 - beta))
