"""Linear algebra of the rules, over stacks of matrices `(..., rows, columns)`. `b` is the backend, always last."""

from typing import Any, Literal, NamedTuple

from deva_core.backend import Array, Backend, replaceable
from deva_core.coefficients import Triple
from deva_core.costs import segments
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


@replaceable
def frobenius(X: Array, b: Backend) -> Array:
    """The Frobenius norm, axes kept `(..., 1, 1)`, for entries of any size: nothing overflows before the result does."""
    size = max_abs(X, b)
    return size * norm(X / or_one(size, b), b)


@replaceable
def multiply_add(beta: float, C: Array, alpha: float, A: Array, B: Array, b: Backend) -> Array:
    """`beta C + alpha A B`, a new array."""
    return beta * C + alpha * b.matmul(A, B)


@replaceable
def plus_identity(Z: Array, a: float, b: Backend) -> Array:
    """`Z + a I`, a new array."""
    return Z + a * b.eye(Z.shape[-1], Z)


@replaceable
def symmetric_multiply_add(beta: float, R: Array, alpha: float, A: Array, B: Array, b: Backend) -> Array:
    """`beta R + alpha A B` of symmetric matrices that commute, so that the result is symmetric; a new array."""
    return multiply_add(beta, R, alpha, A, B, b)


@replaceable
def gram(X: Array, b: Backend) -> Array:
    """`X Xᵀ`."""
    return b.matmul(X, transpose(X, b))


def smaller_gram(X: Array, b: Backend) -> Array:
    """`X Xᵀ`, or `Xᵀ X` where X has more rows than columns."""
    return gram(X if X.shape[-2] <= X.shape[-1] else transpose(X, b), b)


def applied(Z: Array, X: Array, a: float, b: Backend) -> Array:
    """`a X + Z X`, or `a X + X Z` where X has more rows than columns."""
    return multiply_add(a, X, 1.0, *((Z, X) if X.shape[-2] <= X.shape[-1] else (X, Z)), b)


@replaceable
def newton_schulz(X: Array, steps: tuple[Triple, ...], b: Backend) -> Array:
    """`X <- a X + (b A + c A²) X` with `A = X Xᵀ`, for each triple; the spectral norm of X is at most 1.

    Each singular value goes through the odd quintics; the singular vectors stay. The same from the right where X has
    more rows than columns.
    """
    for a, b_, c in steps:
        A = smaller_gram(X, b)
        X = applied(symmetric_multiply_add(b_, A, c, A, A, b), X, a, b)
    return X


def gram_newton_schulz(X: Array, steps: tuple[Triple, ...], b: Backend) -> Array:
    """The same map by small products: the steps run on `R = X Xᵀ`, which is read anew at the start of each segment.

    Within a segment `Z = b R + c R²`, `Q <- Q (a + Z)`, `R <- (a + Z) R (a + Z)`; at its end `X <- Q X`.
    """
    for segment in segments(steps):
        R, Q = smaller_gram(X, b), None
        for k, (a, b_, c) in enumerate(segment):
            Z = symmetric_multiply_add(b_, R, c, R, R, b)
            Q = plus_identity(Z, a, b) if Q is None else symmetric_multiply_add(a, Q, 1.0, Q, Z, b)
            if k + 1 < len(segment):
                T = symmetric_multiply_add(a, R, 1.0, R, Z, b)
                R = symmetric_multiply_add(a, T, 1.0, T, Z, b)
        X = b.matmul(Q, X) if X.shape[-2] <= X.shape[-1] else b.matmul(X, Q)
    return X


def product(A: Array, B: Array, C: Array, b: Backend) -> Array:
    """`A B C`, in the order that multiplies less."""
    m, k, l, n = *A.shape[-2:], *C.shape[-2:]
    left_first = m * k * l + m * l * n <= k * l * n + m * k * n
    return b.matmul(b.matmul(A, B), C) if left_first else b.matmul(A, b.matmul(B, C))


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


def normalized(X: Array, how: Orthogonalization, dtype: Any, b: Backend) -> Array:
    """Each matrix with a spectral norm of at most 1, as `dtype`; `"scale-free"` leaves zero at zero and has no eps.

    IEEE division commutes with powers of two, so a power-of-two scaling of X changes no bit of the scale-free result.
    """
    if how.normalization == "scale-free":
        return unit(X, dtype, b)
    if how.normalization == "add":
        X = X / (norm(X, b) + how.eps)
    elif how.normalization == "clamp":
        X = X / b.xp.clip(norm(X, b), how.eps, None)
    else:
        X = X / b.xp.sqrt(b.xp.sum(X * X, axis=(-2, -1), keepdims=True) + how.eps)
        A = smaller_gram(X, b)
        A = b.matmul(A, A)
        X = X / (b.xp.sum(A * A, axis=(-2, -1), keepdims=True) + how.eps) ** 0.125
    return b.xp.astype(X, dtype, copy=False)


@replaceable
def unit(X: Array, dtype: Any, b: Backend) -> Array:
    """X over its Frobenius norm, as `dtype`; entries of any size: over the largest first, then over the norm.

    Zero stays zero.
    """
    X = X / or_one(max_abs(X, b), b)
    return b.xp.astype(X / or_one(norm(X, b), b), dtype, copy=False)


@replaceable
def polar(X: Array, how: Orthogonalization, b: Backend) -> Array:
    """The polar factor of each matrix: what remains when all singular values become (about) 1. Zero stays zero.

    The products run in `b.compute_dtype`, the result's dtype, where that is set and X is not float64.
    """
    if how.steps == "exact":
        return exact_polar(normalized(X, how, X.dtype, b), b)
    narrow = X.dtype if b.compute_dtype is None or X.dtype == b.xp.float64 else b.compute_dtype
    iterate = gram_newton_schulz if b.costs.prefers_gram(X.shape, how.steps) else newton_schulz
    return iterate(normalized(X, how, narrow, b), how.steps, b)


@replaceable
def positive_qr(A: Array, b: Backend) -> Array:
    """The orthogonal factor of each square `A = Q R` whose R has a positive diagonal: unique for a regular A."""
    Q, R = b.xp.linalg.qr(A)
    diagonal = b.xp.linalg.diagonal(R)
    signs = b.xp.where(diagonal < 0, -b.xp.ones_like(diagonal), b.xp.ones_like(diagonal))
    return Q * signs[..., None, :]
