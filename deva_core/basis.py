"""Eigenbases of the covariances in DeVA: the canonical one (ours) and the published one.

An eigenbasis is not determined by its matrix: signs, ties and null spaces are the LAPACK's choice. The canonical
basis is a function of the covariance and the previous basis that rounding moves only by rounding
(docs/decisions/0001-canonical-basis.md). It starts from the coordinate axes and iterates:

    order the columns of Q by Rayleigh quotient, stably, on a grid
    Q <- qr((C + δ tr(C)/n I) Q), the diagonal of R positive

The shift makes null directions follow the old basis instead of noise, the positive diagonal fixes signs, and the
grid keeps ties in their order. A basis is an array `(..., n, n)` of columns; one of size 0 stands for the identity.
"""

from typing import Any

from deva_core.backend import Array, Backend, replaceable
from deva_core.elementwise import ema, or_one
from deva_core.linalg import nan_unless, only_finite, positive_qr, transpose

SHIFT = 1e-3
"""δ: of the mean eigenvalue. Below it, a direction counts as null and follows the previous basis."""

CELL = 1 / (2**20 + 0.03)
"""The grid's cell, relative to the largest quotient: quotients such as 1/32, common in ties, are cell centres."""

FIRST_SWEEPS = 4
"""Sweeps on the first covariance, from the coordinate axes; every later refresh makes one."""


def is_identity(Q: Array) -> bool:
    """Whether Q stands for the coordinate axes (a side longer than `max_precondition_dim`)."""
    return Q.shape[-1] == 0


@replaceable
def outer_ema(C: Array, G: Array, beta: Any, b: Backend) -> Array:
    """The average of covariances with that of the rows of G, `beta C + (1 - beta) G Gᵀ`. C is donated."""
    return ema(C, b.matmul(G, transpose(G, b)), beta, b)


def rotate(X: Array, QL: Array, QR: Array, b: Backend) -> Array:
    """`QLᵀ X QR`: from the coordinate axes into the basis."""
    X = X if is_identity(QL) else b.matmul(transpose(QL, b), X)
    return X if is_identity(QR) else b.matmul(X, QR)


def rotate_back(X: Array, QL: Array, QR: Array, b: Backend) -> Array:
    """`QL X QRᵀ`: from the basis to the coordinate axes."""
    X = X if is_identity(QL) else b.matmul(QL, X)
    return X if is_identity(QR) else b.matmul(X, transpose(QR, b))


def trace(C: Array, b: Backend) -> Array:
    """The trace of each matrix, axes kept."""
    return b.xp.linalg.trace(C)[..., None, None]


def descending(keys: Array, b: Backend) -> Array:
    """The stable order of keys from the largest to the smallest."""
    return b.xp.argsort(-keys, axis=-1, stable=True)


def grid_order(quotients: Array, b: Backend) -> Array:
    """The columns from the largest Rayleigh quotient to the smallest; quotients in one cell keep their order.

    Cells are centred on multiples of `CELL`: the quotients of null columns are zero up to rounding of either sign.
    """
    largest = or_one(b.xp.max(quotients, axis=-1, keepdims=True), b)
    return descending(b.xp.floor(quotients / largest / CELL + 0.5), b)


@replaceable
def take(X: Array, order: Array, axis: int, b: Backend) -> Array:
    """The rows (`axis=-2`) or columns (`-1`) of each matrix in another order, one order a matrix. Empty stays empty."""
    if X.shape[axis] <= 1:
        return X
    indices = order[..., None, :] if axis == -1 else order[..., :, None]
    return b.xp.take_along_axis(X, b.xp.broadcast_to(indices, X.shape), axis=axis)


def axes(C: Array, b: Backend) -> Array:
    """The coordinate axes as a basis for each covariance in C."""
    return b.xp.zeros_like(C) + b.eye(C.shape[-1], C)


def canonical_sweep(C: Array, Q: Array, CQ: Array, b: Backend) -> tuple[Array, Array]:
    """One ordering and one shifted, sign-fixed power iteration: `(new Q, order of the old columns)`."""
    order = grid_order(b.xp.sum(Q * CQ, axis=-2), b)
    mean = trace(C, b) / C.shape[-1]
    shift = b.xp.where(mean == 0, b.xp.ones_like(mean), SHIFT * mean)
    return positive_qr(take(CQ + shift * Q, order, -1, b), b), order


def canonical_refresh(C: Array, Q: Array, b: Backend) -> tuple[Array, Array]:
    """One sweep from the old basis: `(new Q, order of the old columns)`."""
    return canonical_sweep(C, Q, b.matmul(C, Q), b)


def canonical_first(C: Array, b: Backend) -> Array:
    """The basis after the first gradient, from the coordinate axes."""
    Q, _ = canonical_sweep(C, axes(C, b), C, b)
    for _ in range(FIRST_SWEEPS - 1):
        Q, _ = canonical_refresh(C, Q, b)
    return Q


def published_first(C: Array, b: Backend) -> Array:
    """The eigenvectors, largest eigenvalue first."""
    C, finite = only_finite(C, b)
    values, vectors = b.xp.linalg.eigh(C)
    return nan_unless(finite, take(vectors, descending(values, b), -1, b), b)


def published_refresh(C: Array, Q: Array, b: Backend) -> tuple[Array, Array]:
    """As in SOAP: exact order, then one power iteration without shift: `(new Q, order of the old columns)`."""
    CQ = b.matmul(C, Q)
    order = descending(b.xp.sum(Q * CQ, axis=-2), b)
    return b.xp.linalg.qr(take(CQ, order, -1, b))[0], order
