"""Muon and AdaGO for one matrix, dialects included; the polar factor through singular values.

What only dialects change (specification, optimizers §§1, 2 and 9) has the papers' way where `hyper` does not name it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deva_conformance.oracle.average import gathered, moved
from deva_conformance.oracle.svd import decompose


def unit(s: np.ndarray, hyper: Mapping[str, Any]) -> np.ndarray:
    """Singular values over the norm: ‖s‖; ‖s‖ + eps; max(‖s‖, eps); √(‖s‖² + eps), and then (Σ s⁸ + eps)^⅛."""
    how, eps = hyper.get("ns_normalization", "scale-free"), hyper.get("ns_eps", 0.0)
    if how == "scale-free":
        s = s / s[0]
        return s / np.linalg.norm(s)
    if how == "schatten":
        s = s / np.sqrt(s @ s + eps)
        return s / (np.sum(s**8) + eps) ** 0.125
    return s / (np.linalg.norm(s) + eps if how == "add" else max(np.linalg.norm(s), eps))


def spectra(s: np.ndarray, hyper: Mapping[str, Any]) -> Iterator[np.ndarray]:
    """The singular values of the normalised matrix, and after each Newton–Schulz step."""
    p = unit(s, hyper)
    yield p
    for a, b, c in table(hyper["ns_coefficients"], hyper["ns_steps"]):
        p = p * np.polynomial.polynomial.polyval(p * p, (a, b, c))
        yield p


def iterates(X: np.ndarray, hyper: Mapping[str, Any], unit_roundoff: float) -> Iterator[np.ndarray]:
    """`U p(s) Vᵀ` as the polar factor comes about: normalised, after each quintic; `"exact"`: once, p is 1 on the range.

    The range is numerical: singular values above `max(shape) 2u` of the largest.
    """
    U, s, Vt = decompose(X, unit_roundoff)
    if not s.size or s[0] == 0:
        yield np.zeros_like(X)
        return
    exact = hyper["ns_coefficients"] == "exact"
    kept = (s > max(X.shape) * 2 * unit_roundoff * s[0]).astype(float)
    for p in [kept] if exact else spectra(s, hyper):
        yield np.einsum("ik,k,kj->ij", U, p, Vt)


def through_singular_values(X: np.ndarray, hyper: Mapping[str, Any], unit_roundoff: float) -> np.ndarray:
    """The polar factor, by the polynomials on singular values."""
    return list(iterates(X, hyper, unit_roundoff))[-1]


def polar_of(s: Any, X: np.ndarray) -> np.ndarray:
    """The polar factor as the hyperparameters of a step ask for it."""
    found = list(iterates(X, s.hyper, s.unit_roundoff))
    if s.hyper["ns_coefficients"] != "exact":
        s.note(**{f"newton_schulz_{k}": O for k, O in enumerate(found)})
    return found[-1]


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


def lookahead(hyper: Mapping[str, Any], M: np.ndarray, G: np.ndarray, beta: float) -> np.ndarray:
    """The matrix to orthogonalise: M, or what it would be had G come twice."""
    return moved(M, G, beta) if hyper["nesterov"] else M


def muon(s: Any) -> dict[str, np.ndarray]:
    """Muon (Jordan et al. 2024), decay decoupled and by the raw learning rate."""
    h = s.hyper
    M, N = momenta(h, s.state["momentum"], s.G, s.t)
    O = polar_of(s, N)
    s.note(lookahead=N, orthogonal=O)
    W = (1 - h["lr"] * h["weight_decay"]) * s.W - h["lr"] * shape_factor(h, s.W.shape) * O
    return {"W": W, "momentum": M}


def momenta(h: Mapping[str, Any], M: np.ndarray, G: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray]:
    """The new momentum, and the matrix to orthogonalise: of averages; of sums; of averages freed of their bias."""
    beta, form = h["momentum"], h.get("momentum_form", "average")
    if form == "sum":
        M = np.einsum("k,k...->...", np.array([beta, 1.0]), np.stack([M, G]))
        return M, beta * M + G if h["nesterov"] else M
    M = moved(M, G, beta)
    if form == "average":
        return M, lookahead(h, M, G, beta)
    if not h["nesterov"]:
        return M, M / gathered(beta, t)
    return M, beta / gathered(beta, t + 1) * M + (1 - beta) / gathered(beta, t) * G


def floor_of(h: Mapping[str, Any]) -> float:
    """The least step: a number, off at learning rate zero unless it is a library's; a hundredth of the rate where it is None."""
    if h["min_step"] is None:
        return h["lr"] / 100
    return h["min_step"] if h["lr"] > 0 or h.get("floor") == "unscaled" else 0.0


def adago(s: Any) -> dict[str, np.ndarray]:
    """AdaGO (arXiv 2509.02981): a scalar trace of clipped norms; the floor is under the step, the factor over both."""
    h, beta = s.hyper, s.hyper["momentum"]
    M = moved(s.state["momentum"], s.G, beta)
    N = lookahead(h, M, s.G, beta)
    accumulator = float(s.state["accumulator"]) + min(float(np.linalg.norm(s.G)), h["max_norm"]) ** 2
    ahead = h["nesterov"] and h.get("clipped") == "lookahead"
    clipped = min(float(np.linalg.norm(N if ahead else s.G)), h["max_norm"])
    rate = h["lr"] * clipped / (np.sqrt(accumulator) if h.get("accumulator_root", True) else accumulator)
    factor = shape_factor(h, s.W.shape)
    length = max(floor_of(h), factor * rate) if h.get("floor") == "unscaled" else factor * max(floor_of(h), rate)
    O = polar_of(s, N)
    s.note(lookahead=N, orthogonal=O, clipped_norm=clipped, step_length=length)
    W = (1 - h["lr"] * h["weight_decay"]) * s.W - length * O
    return {"W": W, "momentum": M, "accumulator": np.asarray(accumulator)}
