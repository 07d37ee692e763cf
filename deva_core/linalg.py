"""Linear algebra of the rules, over stacks of matrices `(..., rows, columns)`. `b` is the backend, always last."""

from typing import Literal, NamedTuple

from deva_core.backend import Array, Backend, replaceable
from deva_core.coefficients import Triple
from deva_core.elementwise import or_one


class Orthogonalization(NamedTuple):
    """How a polar factor is computed."""

    steps: tuple[Triple, ...] | Literal["exact"]
    """Newton–Schulz triples, one a step, or an SVD."""
    normalization: str = "scale-free"
    """`"scale-free"`: by the largest entry, then by the norm. As others do it: `"add"` X / (‖X‖ + eps), `"clamp"`
    X / max(‖X‖, eps), `"schatten"` X / √(‖X‖² + eps), then by the Schatten-8 norm."""
    eps: float = 1e-7


def transpose(X: Array, b: Backend) -> Array:
    """Swap the last two axes. (Written as a function: not every array has `.mT`.)"""
    return b.xp.matrix_transpose(X)


def parameter_axes(X: Array) -> tuple[int, ...]:
    """The axes of one parameter: the last two of a stack of matrices, the only one of a vector."""
    return tuple(range(-min(X.ndim, 2), 0))


def max_abs(X: Array, b: Backend) -> Array:
    """The largest magnitude of each matrix (or of a vector), axes kept: `(..., 1, 1)`."""
    return b.xp.max(b.xp.abs(X), axis=parameter_axes(X), keepdims=True) if X.ndim else b.xp.abs(X)


def mean(X: Array, b: Backend) -> Array:
    """The mean of each matrix (or of a vector), axes kept: `(..., 1, 1)`."""
    return b.xp.mean(X, axis=parameter_axes(X), keepdims=True) if X.ndim else X


def norm(X: Array, b: Backend, axis: int | tuple[int, ...] = (-2, -1)) -> Array:
    """The Euclidean norm over `axis`, axes kept; the Frobenius norm by default. Squares as they are: mind the range."""
    return b.xp.sqrt(b.xp.sum(X * X, axis=axis, keepdims=True))


def frobenius(X: Array, b: Backend) -> Array:
    """The Frobenius norm, axes kept `(..., 1, 1)`, for entries of any size: nothing overflows before the result does."""
    size = max_abs(X, b)
    return size * norm(X / or_one(size, b), b)


@replaceable
def newton_schulz(X: Array, steps: tuple[Triple, ...], b: Backend) -> Array:
    """`X <- a X + (b A + c A²) X` with `A = X Xᵀ`, for each triple; rows <= columns, spectral norm of X at most 1.

    Each singular value goes through the odd quintics; the singular vectors stay.
    """
    for a, b_, c in steps:
        A = b.matmul(X, transpose(X, b))
        X = a * X + b.matmul(b_ * A + c * b.matmul(A, A), X)
    return X


def only_finite(X: Array, b: Backend) -> tuple[Array, Array]:
    """X with zeros in place of matrices that are not finite, and which are `(..., 1, 1)`: LAPACK raises on NaN."""
    finite = b.xp.all(b.xp.isfinite(X), axis=(-2, -1), keepdims=True)
    return b.xp.where(finite, X, b.xp.zeros_like(X)), finite


def nan_unless(finite: Array, X: Array, b: Backend) -> Array:
    """X where its input was finite, NaN elsewhere."""
    return b.xp.where(finite, X, b.xp.full_like(X, float("nan")))


def exact_polar(X: Array, b: Backend) -> Array:
    """`U Vᵀ` of the reduced SVD. Null directions, which the SVD leaves open, are mapped to zero."""
    X, finite = only_finite(X, b)
    U, s, Vh = b.xp.linalg.svd(X, full_matrices=False)
    noise = max(X.shape[-2:]) * float(b.xp.finfo(X.dtype).eps)
    kept = s > noise * b.xp.max(s, axis=-1, keepdims=True)
    return nan_unless(finite, b.matmul(U * b.xp.astype(kept, X.dtype)[..., None, :], Vh), b)


def normalized(X: Array, how: Orthogonalization, b: Backend) -> Array:
    """Each matrix with a spectral norm of at most 1; `"scale-free"` leaves zero at zero and has no eps.

    IEEE division commutes with powers of two, so a power-of-two scaling of X changes no bit of the scale-free result.
    """
    if how.normalization == "add":
        return X / (norm(X, b) + how.eps)
    if how.normalization == "clamp":
        return X / b.xp.clip(norm(X, b), how.eps, None)
    if how.normalization == "schatten":
        X = X / b.xp.sqrt(b.xp.sum(X * X, axis=(-2, -1), keepdims=True) + how.eps)
        A = b.matmul(X, transpose(X, b))
        A = b.matmul(A, A)
        return X / (b.xp.sum(A * A, axis=(-2, -1), keepdims=True) + how.eps) ** 0.125
    X = X / or_one(max_abs(X, b), b)
    return X / or_one(norm(X, b), b)


@replaceable
def polar(X: Array, how: Orthogonalization, b: Backend) -> Array:
    """The polar factor of each matrix: what remains when all singular values become (about) 1. Zero stays zero.

    The products run in `b.compute_dtype` where that is set and X is not float64.
    """
    if X.shape[-2] > X.shape[-1]:
        return transpose(polar(transpose(X, b), how, b), b)
    X = normalized(X, how, b)
    if how.steps == "exact":
        return exact_polar(X, b)
    if b.compute_dtype is None or X.dtype == b.xp.float64:
        return newton_schulz(X, how.steps, b)
    return b.xp.astype(newton_schulz(b.xp.astype(X, b.compute_dtype), how.steps, b), X.dtype)


@replaceable
def positive_qr(A: Array, b: Backend) -> Array:
    """The orthogonal factor of each square `A = Q R` whose R has a positive diagonal: unique for a regular A."""
    Q, R = b.xp.linalg.qr(A)
    diagonal = b.xp.linalg.diagonal(R)
    signs = b.xp.where(diagonal < 0, -b.xp.ones_like(diagonal), b.xp.ones_like(diagonal))
    return Q * signs[..., None, :]
