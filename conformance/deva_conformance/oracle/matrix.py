"""Muon and AdaGO for one matrix; the polar factor through singular values."""

from typing import Any

import numpy as np

from deva_conformance.oracle.average import moved
from deva_conformance.oracle.svd import decompose


def through_singular_values(X: np.ndarray, coefficients: Any, steps: int, unit_roundoff: float) -> np.ndarray:
    """`U p(s) Vᵀ`: the composed quintics of the singular values over the Frobenius norm; `"exact"`: 1 on the range.

    The range is numerical: singular values above `max(shape) 2u` of the largest.
    """
    U, s, Vt = decompose(X, unit_roundoff)
    if not s.size or s[0] == 0:
        return np.zeros_like(X)
    if coefficients == "exact":
        p = (s > max(X.shape) * 2 * unit_roundoff * s[0]).astype(float)
    else:
        p = s / s[0]
        p = p / np.linalg.norm(p)
        for a, b, c in table(coefficients, steps):
            p = p * np.polynomial.polynomial.polyval(p * p, (a, b, c))
    return np.einsum("ik,k,kj->ij", U, p, Vt)


def table(coefficients: Any, steps: int) -> list[tuple[float, float, float]]:
    """One triple a step; the last of a table repeats."""
    rows = [coefficients] if np.ndim(coefficients) == 1 else list(coefficients)
    return (rows + [rows[-1]] * steps)[:steps]


def shape_factor(hyper: dict, shape: tuple[int, int]) -> float:
    """The length of a step for a matrix of `out` rows and `in` columns."""
    out, into = shape
    if hyper["scale"] == "original":
        return float(np.sqrt(out / into)) if out > into else 1.0
    if hyper["scale"] == "rms":
        return hyper["rms"] * float(np.sqrt(max(out, into)))
    return float(np.sqrt(out / into)) if hyper["scale"] == "spectral" else 1.0


def polar_of(hyper: dict, X: np.ndarray, unit_roundoff: float) -> np.ndarray:
    """The polar factor as the hyperparameters ask for it."""
    return through_singular_values(X, hyper["ns_coefficients"], hyper["ns_steps"], unit_roundoff)


def lookahead(hyper: dict, M: np.ndarray, G: np.ndarray, beta: float) -> np.ndarray:
    """The matrix to orthogonalise: M, or what it would be had G come twice."""
    return moved(M, G, beta) if hyper["nesterov"] else M


def muon(s: Any) -> dict[str, np.ndarray]:
    """Muon (Jordan et al. 2024), decay decoupled and by the raw learning rate."""
    h, beta = s.hyper, s.hyper["momentum"]
    M = moved(s.state["momentum"], s.G, beta)
    O = polar_of(h, lookahead(h, M, s.G, beta), s.unit_roundoff)
    W = (1 - h["lr"] * h["weight_decay"]) * s.W - h["lr"] * shape_factor(h, s.W.shape) * O
    return {"W": W, "momentum": M}


def adago(s: Any) -> dict[str, np.ndarray]:
    """AdaGO (arXiv 2509.02981): a scalar trace of clipped norms; the floor is under the step, the factor over both."""
    h, beta = s.hyper, s.hyper["momentum"]
    M = moved(s.state["momentum"], s.G, beta)
    clipped = min(float(np.linalg.norm(s.G)), h["max_norm"])
    accumulator = float(s.state["accumulator"]) + clipped**2
    alpha = max(h["min_step"], h["lr"] * clipped * accumulator**-0.5)
    O = polar_of(h, lookahead(h, M, s.G, beta), s.unit_roundoff)
    W = (1 - h["lr"] * h["weight_decay"]) * s.W - shape_factor(h, s.W.shape) * alpha * O
    return {"W": W, "momentum": M, "accumulator": np.asarray(accumulator)}
