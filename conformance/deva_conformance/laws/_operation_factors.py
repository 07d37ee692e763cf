"""Norms, and the factors that a matrix determines: LAPACK's ratios for QR, the spread of rounded runs for polar factors."""

from dataclasses import replace
from typing import Any

import numpy as np

from deva_conformance.laws._operation_bench import Bench, entrywise, extended, square, transposed
from deva_conformance.laws._steps import need, within
from deva_conformance.oracle.matrix import through_singular_values
from deva_conformance.physical import wide
from deva_conformance.tolerance import SINGLE, THRESHOLD, content, distance, ratio, remembered, spread
from deva_core import JORDAN, Backend, linalg

JACOBI = 20
"""Up to this size the float64 singular values come in extended precision; beyond, LAPACK's, whose own error is of the
size that is judged and takes a few of the sixteen units."""

NARROW = 1.5
"""How many times the plain iteration's error is allowed where products run in a narrow dtype: 16 on the kit's scale."""


def frobenius(bench: Bench) -> float:
    """‖X‖, axes kept, and zero of zero."""
    X = bench.X
    expected = np.sqrt(np.sum(extended(X) ** 2, axis=(-2, -1), keepdims=True))
    found = bench.call(lambda X, b: linalg.frobenius(X, b), X)
    need(not np.any(bench.call(lambda X, b: linalg.frobenius(X, b), np.zeros_like(X))), "the norm of zero is not zero")
    return entrywise("‖X‖", found, expected, bench.u * np.sqrt(X.shape[-1] * X.shape[-2]) * expected)


def in_its_dtype(X: Any, b: Backend) -> Any:
    """`X / ‖X‖` as X is."""
    return linalg.unit(X, X.dtype, b)


def unit(bench: Bench) -> float:
    """`X / ‖X‖`, and zero for zero."""
    X = bench.X
    size = np.sqrt(np.sum(extended(X) ** 2, axis=(-2, -1), keepdims=True))
    terms = np.sqrt(X.shape[-1] * X.shape[-2])
    found, expected = bench.call(in_its_dtype, X), extended(X) / size
    worst = entrywise("X / ‖X‖", found, expected, bench.u * terms * np.abs(expected))
    need(not np.any(bench.call(in_its_dtype, np.zeros_like(X))), "zero over its norm is not zero")
    return worst


def positive_qr(bench: Bench) -> float:
    """LAPACK's ratios by columns: Q orthogonal, `Qᵀ A` upper triangular with no negative diagonal."""
    A, n = square(bench.X), min(bench.X.shape[-2:])
    Q = extended(bench.call(linalg.positive_qr, A))
    need(Q.shape == A.shape, f"Q has the shape {Q.shape}")
    columns = bench.u * n * np.linalg.norm(wide(A), axis=-2)
    R = transposed(Q) @ extended(A)
    defect = norms(transposed(Q) @ Q - np.eye(n))
    worst = entrywise("QᵀQ - I", defect, np.zeros_like(defect), bench.u * n * np.sqrt(n))
    below, negative = norms(np.tril(R, -1)), np.maximum(-np.diagonal(R, axis1=-2, axis2=-1), 0)
    worst = max(worst, entrywise("R below its diagonal", below, np.zeros_like(below), columns))
    return max(worst, entrywise("a negative diagonal of R", negative, np.zeros_like(negative), columns))


def norms(X: np.ndarray) -> np.ndarray:
    """The norms of the columns."""
    return np.sqrt(np.sum(X**2, axis=-2))


def orthogonalization(rule: Any) -> linalg.Orthogonalization:
    """The rule's Newton–Schulz triples; Jordan's five where it asks for singular vectors or knows no polar factor."""
    how = getattr(rule, "orthogonalization", None)
    return linalg.Orthogonalization((JORDAN,) * 5) if how is None or how.steps == "exact" else how


def through_quintics(bench: Bench, X: np.ndarray, how: Any) -> np.ndarray:
    """The matrices that the odd quintics make of X's singular values."""
    precise = bench.u if min(X.shape[-2:]) <= JACOBI else SINGLE
    named = {"ns_coefficients": how.steps, "ns_steps": len(how.steps)}
    parts = [through_singular_values(X[i], named, precise) for i in np.ndindex(*X.shape[:-2])]
    return np.reshape(parts, X.shape).astype(np.float64)


def newton_schulz(bench: Bench) -> float:
    """The iteration alone, on matrices of norm 1, in the working dtype."""
    how, size = orthogonalization(bench.rule), np.sqrt(np.sum(wide(bench.X) ** 2, axis=(-2, -1), keepdims=True))
    X = (wide(bench.X) / size).astype(bench.dtype)
    found = wide(bench.call(lambda X, b: linalg.newton_schulz(X, how.steps, b), X))
    expected = through_quintics(bench, wide(X), how)
    sigma = factor_spread(lambda X, b: linalg.newton_schulz(X, how.steps, b), "newton_schulz", wide(X), how, bench.u)
    return within("Newton–Schulz", ratio(found, expected, sigma, bench.u))


def factor_spread(function: Any, name: str, X: np.ndarray, how: Any, u: float) -> float:
    """σ of an orthogonalisation of X, by the function's name."""
    key = (name, content(X), how, u)
    return remembered(key, lambda: spread(lambda xp, b: {"O": np.asarray(function(xp.asarray(X), b))}, u))["O"]


def polar(bench: Bench) -> float:
    """The polar factor, of tall matrices too, against the polynomial of the singular values."""
    how, X = orthogonalization(bench.rule), wide(bench.X)
    expected = through_quintics(bench, X, how)
    found = wide(bench.call(lambda X, b: b.xp.astype(linalg.polar(X, how, b), X.dtype), bench.X))
    u = products_roundoff(bench)
    sigma = factor_spread(lambda X, b: linalg.polar(X, how, b), "polar", X, how, u)
    worst = within("a polar factor", ratio(found, expected, sigma, u))
    return worst if u == bench.u else max(worst, no_worse(bench, how, found))


def products_roundoff(bench: Bench) -> float:
    """The unit roundoff of Newton–Schulz products: of `compute_dtype`, where that is set and the dtype is not float64."""
    b = bench.operations.backend
    if b.compute_dtype is None or bench.dtype == np.float64:
        return bench.u
    return float(b.xp.finfo(b.compute_dtype).eps) / 2


def no_worse(bench: Bench, how: Any, found: np.ndarray) -> float:
    """In a narrow dtype, where even honest errors are large: at most half again as far from orthogonal as the plain
    iteration in it.
    """
    b = bench.operations.backend
    plain = replace(bench.operations, backend=replace(b, replacements={}, costs=type(b.costs)()))
    honest = wide(plain.call(lambda X, b: b.xp.astype(linalg.polar(X, how, b), X.dtype), bench.X))
    off, due = orthogonality_error(found), orthogonality_error(honest)
    return within("beside the plain iteration, a polar factor", THRESHOLD / NARROW * off / due if due else 0.0)


def orthogonality_error(X: np.ndarray) -> float:
    """How far the smaller Gram matrix is from the identity."""
    G = X @ transposed(X) if X.shape[-2] <= X.shape[-1] else transposed(X) @ X
    return distance(G, np.broadcast_to(np.eye(G.shape[-1]), G.shape))
