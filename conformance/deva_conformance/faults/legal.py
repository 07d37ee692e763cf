"""Legal variants: honest backends that differ as honest backends may. Every law must accept them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from deva_conformance.faults.hooks import Fault, each
from deva_conformance.faults.operations import functions, matmul, replacing
from deva_core import AdaGO, AdamW, Backend, DeVA, DeVAVector, Muon
from deva_core.capabilities import Capabilities


def backwards(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Summed from the other end."""
    return np.ascontiguousarray(A[..., ::-1]) @ np.ascontiguousarray(B[..., ::-1, :])


def one_by_one(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Summed in sequence, each product rounded."""
    C = np.zeros((*np.broadcast_shapes(A.shape[:-2], B.shape[:-2]), A.shape[-2], B.shape[-1]), A.dtype)
    for k in range(A.shape[-1]):
        C = C + A[..., :, k : k + 1] * B[..., k : k + 1, :]
    return C


def rounded_once(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Accumulated in float64."""
    return A.astype(np.float64) @ B.astype(np.float64)


def in_blocks(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Summed in blocks of two."""
    return sum((A[..., k : k + 2] @ B[..., k : k + 2, :] for k in range(2, A.shape[-1], 2)), A[..., :2] @ B[..., :2, :])


def other_signs(A: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """QR with other signs."""
    Q, R = np.linalg.qr(A)
    signs = np.where(np.arange(A.shape[-1]) % 2, 1, -1).astype(A.dtype)
    return Q * signs, signs[:, None] * R


def householder_twice(A: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """QR in float64, rounded."""
    Q, R = np.linalg.qr(A.astype(np.float64))
    return Q.astype(A.dtype), R.astype(A.dtype)


def negated_eigh(C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors of other signs."""
    values, vectors = np.linalg.eigh(C)
    return values, -vectors


def negated_svd(X: np.ndarray, full_matrices: bool = False) -> Any:
    """Singular vectors of other signs, in pairs."""
    U, s, Vh = np.linalg.svd(X, full_matrices=False)
    return -U, s, -Vh


def lerp(average: Any, new: Any, beta: Any, b: Any) -> Any:
    """The average, written as a correction to the heavier of the two, as torch does.

    (A correction to `average` alone is not legal: at beta = 0 it is off by a rounding of the average, not of the result.)
    """
    return average + (1 - beta) * (new - average) if beta > 0.5 else new - beta * (new - average)


def scaled_first(beta: float, C: Any, alpha: float, A: Any, B: Any, b: Any) -> Any:
    """`beta C + alpha A B` with another order of roundings."""
    return (alpha * A) @ B + beta * C


def power_root(X: Any) -> Any:
    """A root as a power."""
    return np.power(X, 0.5)


def subnormals_flushed(X: np.ndarray) -> np.ndarray:
    """Subnormal numbers as zero, as GPUs and XLA do."""
    return np.where(np.abs(X) < np.finfo(X.dtype).tiny, 0, X)


def stacked(b: Backend) -> Backend:
    """Everything through three axes, as a batched kernel wants it."""
    return replace(b, matmul=lambda A, B: (A[None] @ B[None])[0])


def sorted_by_lexsort(X: np.ndarray, *, axis: int = -1, stable: bool = True, **o: Any) -> np.ndarray:
    """A stable order by another algorithm."""
    return np.argsort(np.ascontiguousarray(X), axis=axis, kind="mergesort")


def column_order(f: Callable = np.asfortranarray) -> Callable[[Any, Any], Any]:
    """Arrays in another order of memory."""
    return lambda arrays, run: {n: f(W) for n, W in arrays.items()}


def missing(*args: Any, **options: Any) -> Any:
    """A function that the library does not have."""
    raise AttributeError("no such function")


def frozen(arrays: Any, run: Any) -> Any:
    """Read-only arrays."""
    for W in arrays.values():
        W.flags.writeable = False
    return arrays


def promoted(rule: Any) -> Any:
    """The rule, each step of which is computed in float64 and stored in the dtype it came in."""
    kind: Any = type(rule)

    class Wide(kind):
        def update(self, G: Any, S: Any, W: Any, t: Any, b: Backend) -> Any:
            wide = type(S)(*(x.astype(np.float64) for x in S))
            delta, new = super().update(G.astype(np.float64), wide, W.astype(np.float64), t, b)
            return delta.astype(W.dtype), type(S)(*(x.astype(W.dtype) for x in new))

    Wide.__name__ = kind.__name__
    made = rule.with_values()
    object.__setattr__(made, "__class__", Wide)
    return made


VARIANTS = {
    "plain": Fault(about="nothing changed", law=""),
    "promotes": Fault(about="float64 inside, stored as float32: seen, and noted", law="", on=DeVA, rule=promoted),
    "promotes-muon": Fault(about="float64 inside, stored as float32: seen, and noted", law="", rule=promoted),
    "sums-backwards": Fault(about="products summed backwards", law="", on=DeVA, backend=matmul(backwards)),
    "sums-in-sequence": Fault(about="products summed in sequence", law="", on=AdaGO, backend=matmul(one_by_one)),
    "sums-in-blocks": Fault(about="products summed in blocks", law="", backend=matmul(in_blocks)),
    "float64-inside": Fault(about="products rounded once", law="", on=DeVA, backend=matmul(rounded_once)),
    "batched-kernel": Fault(about="products as a batch of one", law="", backend=stacked),
    "qr-signs": Fault(about="QR of other signs", law="", on=DeVA, backend=functions(linalg_qr=other_signs)),
    "qr-float64": Fault(about="QR rounded once", law="", on=DeVA, backend=functions(linalg_qr=householder_twice)),
    "eigh-signs": Fault(
        about="eigenvectors of other signs", law="", on=DeVA, backend=functions(linalg_eigh=negated_eigh)
    ),
    "svd-signs": Fault(about="singular vectors of other signs", law="", backend=functions(linalg_svd=negated_svd)),
    "stable-sort": Fault(about="another stable sort", law="", on=DeVA, backend=functions(argsort=sorted_by_lexsort)),
    "lerp": Fault(about="averages as corrections", law="", on=AdamW, backend=replacing(ema=lerp)),
    "lerp-deva": Fault(about="averages as corrections", law="", on=DeVAVector, backend=replacing(ema=lerp)),
    "horner": Fault(about="Newton–Schulz reassociated", law="", on=Muon, backend=replacing(multiply_add=scaled_first)),
    "power-root": Fault(about="roots as powers", law="", on=AdamW, backend=functions(sqrt=power_root)),
    "subnormals": Fault(about="subnormals flushed", law="", on=AdaGO, given=each(subnormals_flushed)),
    "fortran": Fault(about="parameters in column order", law="", params=column_order()),
    "read-only": Fault(about="read-only results", law="", on=DeVAVector, params=frozen),
    "renamed-order": Fault(
        about="parameters in another order of names", law="", params=lambda P, run: dict(reversed(list(P.items())))
    ),
    "array-steps": Fault(
        about="counts as arrays",
        law="",
        on=AdamW,
        state=lambda S, run: {n: {k: np.asarray(x) for k, x in s.items()} for n, s in S.items()},
    ),
    "float64-only": Fault(
        about="one dtype declared", law="", on=AdaGO, capabilities=Capabilities(dtypes=("float64",), compiled=False)
    ),
    "no-linalg": Fault(
        about="no factorisations declared",
        law="",
        on=Muon,
        backend=functions(linalg_svd=missing, linalg_qr=missing, linalg_eigh=missing),
        capabilities=Capabilities(dtypes=("float32",), linalg=False, compiled=False),
    ),
}
