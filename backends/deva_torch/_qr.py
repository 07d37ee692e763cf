"""The orthogonal factor of a square matrix, on a CPU."""

import torch

from deva_core import Backend
from deva_core.linalg import positive_qr as plain_positive_qr
from deva_torch._device import on_host
from deva_torch._products import gram

WORTH_CHOLESKY, INDEPENDENT = 64, 0.3
"""Sides from which QR goes by Cholesky, and the smallest pivot of columns of length 1 for which that is as accurate."""

PROBES, OVERLAP = 32, 2.4
"""Before the work of Cholesky, its success is guessed: so many columns, and the most of the squares of their products with
the others. (Columns whose smallest pivot is 0.3 reach about 2.3.)"""

WORTH_PANELS, PANEL = 1024, 128
"""Sides from which the reflections of a QR are multiplied in panels, and of how many."""


def positive_qr(A: torch.Tensor, b: Backend) -> torch.Tensor:
    """By Cholesky where the columns, made as long as each other, are far from dependent: near an eigenbasis they are.

    Then its error is Householder's, and the work that of a product. A CPU tells at once whether it is so.
    """
    n = A.shape[-1]
    if not on_host(A) or A.ndim > 2 or n < WORTH_CHOLESKY:
        return plain_positive_qr.__wrapped__(A, b)
    squares, probes = A.square().sum(0), slice(None, None, max(1, n // PROBES))
    overlaps = (A.mT @ A[:, probes]).square_().div_(squares[probes]).div_(squares[:, None])
    if overlaps.sum(0).max() < 1 + OVERLAP:
        X = A / squares.sqrt_()
        L, failed = torch.linalg.cholesky_ex(gram(X.mT, b))
        if not failed and L.diagonal().min() > INDEPENDENT:
            return torch.linalg.solve_triangular(L.mT, X, upper=True, left=False)
    return householder(A)


def householder(A: torch.Tensor) -> torch.Tensor:
    """The orthogonal factor as LAPACK computes it; of R only the diagonal is looked at."""
    reflectors, weights = torch.geqrf(A)
    signs = torch.where(reflectors.diagonal() < 0, -1.0, 1.0).to(A.dtype)
    multiplied = accumulated if len(A) >= WORTH_PANELS else torch.linalg.householder_product
    return multiplied(reflectors, weights).mul_(signs)


def accumulated(reflectors: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The product of reflections, a panel of them in three large products, where LAPACK applies narrow ones.

    A panel V of reflections of weights τ is I - V S⁻¹ Vᵀ, S the upper half of Vᵀ V with 1/τ on the diagonal (Joffrain et
    al., Accumulating Householder transformations, revisited, 2006). A weight of zero is no reflection, and ∞ in S.
    """
    n = len(weights)
    Q = torch.eye(n, dtype=reflectors.dtype, device=reflectors.device)
    for k in reversed(range(0, n, PANEL)):
        V = reflectors[k:, k : k + PANEL].tril(-1)
        V.diagonal().fill_(1)
        S = (V.mT @ V).triu_(1)
        S.diagonal().copy_(1 / weights[k : k + PANEL])
        X = Q[k:, k:]
        X.addmm_(V, torch.linalg.solve_triangular(S, V.mT @ X, upper=True), alpha=-1)
    return Q
