"""Faults in single operations: products, factorisations, sums, sorting. What a new array library gets wrong."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import array_api_compat.numpy
import numpy as np

from deva_conformance.faults.hooks import Fault, each
from deva_core import AdaGO, AdamW, Backend, DeVA, DeVAVector

xp: Any = array_api_compat.numpy


class Namespace:
    """NumPy's namespace, some functions exchanged (`linalg_` before a name: in its linear algebra)."""

    def __init__(self, **functions: Callable) -> None:
        inner = {k.removeprefix("linalg_"): f for k, f in functions.items() if k.startswith("linalg_")}
        self.__dict__.update({k: f for k, f in functions.items() if not k.startswith("linalg_")})
        if inner:
            self.linalg = Linalg(inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(xp, name)


class Linalg:
    """NumPy's linear algebra, some functions exchanged."""

    def __init__(self, functions: dict[str, Callable]) -> None:
        self.__dict__.update(functions)

    def __getattr__(self, name: str) -> Any:
        return getattr(xp.linalg, name)


def matmul(f: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[Backend], Backend]:
    """Another product."""
    return lambda b: replace(b, matmul=lambda A, B: f(A, B).astype(A.dtype))


def functions(**exchanged: Callable) -> Callable[[Backend], Backend]:
    """Other functions."""
    return lambda b: replace(b, xp=Namespace(**exchanged))


def replacing(**exchanged: Callable) -> Callable[[Backend], Backend]:
    """Faulty fast paths."""
    return lambda b: replace(b, replacements=exchanged)


def bits(X: Any, n: int) -> Any:
    """X rounded to n significant bits."""
    m, e = np.frexp(X)
    return np.ldexp(np.round(m * 2.0**n) / 2.0**n, e).astype(X.dtype)


def rounded_product(n: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Inputs rounded to n bits: tensor cores."""
    return lambda A, B: bits(A, n) @ bits(B, n)


def without_tail(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A kernel for 16 to 48 inner dimensions drops those beyond the last full tile of 16."""
    k = A.shape[-1]
    kept = k // 16 * 16 if 16 <= k <= 48 else k
    return A[..., :kept] @ B[..., :kept, :]


def last_tile_transposed(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A wrong element where tiles of 16 meet."""
    C = A @ B
    if min(C.shape[-2:]) > 16:
        C = C.copy()
        C[..., 15, 16] *= 0.5
    return C


def lower_only(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A symmetric kernel that forgets to mirror its lower triangle."""
    C = A @ B
    symmetric = A.shape[-2] == B.shape[-1] and np.allclose(C, np.swapaxes(C, -1, -2)) and A.shape[-1] != A.shape[-2]
    return np.tril(C) if symmetric else C


def first_of_batch(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A batched product that repeats its first matrix."""
    C = A @ B
    return np.broadcast_to(C[:1], C.shape).copy() if C.ndim > 2 else C


def unsigned_qr(A: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """The signs of R's diagonal lost: |R|, so that nobody can correct Q."""
    Q, R = np.linalg.qr(A)
    return Q, np.abs(R)


def gram_schmidt(A: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Classical Gram–Schmidt: not orthogonal for an ill-conditioned matrix."""
    Q = np.zeros_like(A)
    for k in range(A.shape[-1]):
        v = A[..., :, k]
        c = np.einsum("...ij,...i->...j", Q[..., :, :k], v)
        v = v - np.einsum("...ij,...j->...i", Q[..., :, :k], c)
        size = np.linalg.norm(v, axis=-1, keepdims=True)
        Q[..., :, k] = v / np.where(size == 0, 1, size)
    return Q, np.swapaxes(Q, -1, -2) @ A


def rotated_eigh(C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two eigenvectors slightly mixed."""
    values, vectors = np.linalg.eigh(C)
    if C.shape[-1] > 1:
        c, s = np.cos(1e-2), np.sin(1e-2)
        a, b = vectors[..., -1].copy(), vectors[..., -2].copy()
        vectors[..., -1], vectors[..., -2] = c * a + s * b, c * b - s * a
    return values, vectors


def ascending_argsort(X: np.ndarray, *, axis: int = -1, stable: bool = True, **o: Any) -> np.ndarray:
    """Sorted the other way."""
    return xp.argsort(-X, axis=axis, stable=stable)


def unstable_argsort(X: np.ndarray, *, axis: int = -1, stable: bool = True, **o: Any) -> np.ndarray:
    """Ties in reverse order."""
    return X.shape[axis] - 1 - np.flip(xp.argsort(np.flip(X, axis=axis), axis=axis, stable=True), axis=axis)


def whole_svd(X: np.ndarray, full_matrices: bool = False) -> Any:
    """Singular vectors of another sign: U and V disagree on the last."""
    U, s, Vh = np.linalg.svd(X, full_matrices=False)
    U = U.copy()
    U[..., -1] *= np.where(s[..., -1] < 1e-3 * s[..., 0], -1, 1)[..., None] if s.shape[-1] else 1
    return U, np.maximum(s, 1e-3 * s[..., :1]), Vh


def slow_sum(X: Any, **options: Any) -> Any:
    """Sums in half precision."""
    return xp.sum(xp.astype(X, np.float16), **options).astype(X.dtype)


def approximate_root(X: Any) -> Any:
    """A fast square root, to four digits."""
    return np.sqrt(X) * (1 + 1e-4)


def mean_of_stack(X: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean of a whole stack."""
    m = xp.mean(X, axis=axis, keepdims=keepdims)
    return np.mean(m) + np.zeros_like(m) if X.ndim > 2 else m


def sloppy_ema(average: Any, new: Any, beta: Any, b: Any) -> Any:
    """A fused average whose weights do not sum to one."""
    return beta * average + (0.999 - beta) * new


def zero_batch_where(condition: Any, x: Any, y: Any) -> Any:
    """Both branches added, weighted: NaN in the branch not taken comes through."""
    c = np.asarray(condition, dtype=np.float64)
    return (
        (c * x + (1 - c) * y).astype(np.asarray(x).dtype)
        if np.asarray(x).dtype.kind == "f"
        else xp.where(condition, x, y)
    )


def generic_rounded(grads: dict[str, Any], run: Any) -> dict[str, Any]:
    """Wrong where fast paths are off."""
    return grads if run.options.get("replacements", True) else each(lambda G: G.astype(np.float16))(grads, run)


FAULTS = {
    "generic-path": Fault(about="wrong without its fast paths", law="replacements", on=AdaGO, given=generic_rounded),
    "tf32": Fault(about="products of 11 bits", law="oracle", backend=matmul(rounded_product(11))),
    "bf16-products": Fault(about="products of 8 bits", law="oracle", on=DeVA, backend=matmul(rounded_product(8))),
    "sixteen-bits": Fault(
        about="products of two bfloat16 pieces", law="oracle", on=AdaGO, backend=matmul(rounded_product(16))
    ),
    "tail-dropped": Fault(about="products lose the last tile", law="singular-values", backend=matmul(without_tail)),
    "tile-edge": Fault(
        about="a wrong element at a tile's edge", law="singular-values", on=AdaGO, backend=matmul(last_tile_transposed)
    ),
    "not-mirrored": Fault(about="a symmetric product not mirrored", law="oracle", backend=matmul(lower_only)),
    "first-of-batch": Fault(about="batched products repeat", law="batched", backend=matmul(first_of_batch)),
    "row-major-only": Fault(
        about="a product that takes columns for rows in Fortran order",
        law="strides",
        given=lambda G, run: {
            n: X.T.copy().reshape(X.shape) if X.ndim > 1 and not X.flags.c_contiguous else X for n, X in G.items()
        },
    ),
    "unsigned-qr": Fault(about="QR forgets signs", law="oracle", on=DeVA, backend=functions(linalg_qr=unsigned_qr)),
    "gram-schmidt": Fault(about="QR not orthogonal", law="oracle", on=DeVA, backend=functions(linalg_qr=gram_schmidt)),
    "mixed-eigh": Fault(about="eigenvectors mixed", law="oracle", on=DeVA, backend=functions(linalg_eigh=rotated_eigh)),
    "ascending": Fault(
        about="sorted the other way", law="oracle", on=DeVA, backend=functions(argsort=ascending_argsort)
    ),
    "unstable": Fault(about="ties in reverse", law="oracle", on=DeVA, backend=functions(argsort=unstable_argsort)),
    "svd-null": Fault(
        about="null directions of an SVD kept", law="oracle", on=AdaGO, backend=functions(linalg_svd=whole_svd)
    ),
    "half-sums": Fault(about="sums in half precision", law="oracle", backend=functions(sum=slow_sum)),
    "fast-root": Fault(about="roots to four digits", law="oracle", on=AdamW, backend=functions(sqrt=approximate_root)),
    "mean-of-stack": Fault(about="a mean over a stack", law="batched", on=DeVA, backend=functions(mean=mean_of_stack)),
    "weights-short": Fault(
        about="averages with weights short of one", law="oracle", on=DeVAVector, backend=replacing(ema=sloppy_ema)
    ),
    "where-adds": Fault(about="where() adds both branches", law="oracle", backend=functions(where=zero_batch_where)),
}
