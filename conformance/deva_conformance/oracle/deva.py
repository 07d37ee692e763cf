"""DeVA (arXiv 2602.06880) for one matrix, in the original space, from the bases that a backend holds.

Momentum lives in the original space, where a refresh cannot touch it; the adapted step is a sum of outer products of
eigenvectors. (It comes in extended precision: entries far below the norm keep their digits on the way there and back.)
 The canonical bases are predicted, the published ones judged by their defining properties.
"""

from typing import Any

import numpy as np

from deva_conformance.oracle import bases
from deva_conformance.oracle.average import gathered, moved
from deva_conformance.oracle.matrix import lookahead, polar_of, shape_factor

SIDES = (("row", 0), ("column", 1))
DEAD_ZONE = 1e-4


def step(s: Any) -> dict[str, np.ndarray]:
    """One step; `basis_defect` (0 is perfect) is there for published bases."""
    h, G = s.hyper, s.G
    M = moved(s.state["momentum"], G, h["beta1"])
    out: dict[str, Any] = {"momentum": M, **covariances(s)}
    orders = refresh(s, out)
    QL, QR = (side_basis(s, side, axis) for side, axis in SIDES)
    X = turned(M if h["statistics"] == "momentum" else G, QL, QR)
    r, c = np.sqrt(np.sum(X**2, axis=1)), np.sqrt(np.sum(X**2, axis=0))
    gamma = correction(h, s.t) * np.sqrt((factored if h["factored"] else full)(s, out, r, c, orders))
    N = turned(lookahead(h, M, G, h["beta1"]), QL, QR)
    O = polar_of(h, signs(N) if h["sign_stabilization"] else N, s.unit_roundoff)
    U = np.einsum("ij,ai,bj->ab", gamma * O, QL, QR)
    out["W"] = (1 - h["lr"] * h["weight_decay"]) * s.W - h["lr"] * shape_factor(h, s.W.shape) * U
    return out


def correction(h: Any, t: int) -> float:
    """What makes up for averages that started at zero: V's; as published, the momentum's too, which cancels in Γ."""
    if not h["bias_correction"]:
        return 1.0
    published = h["bias_correction"] == "published"
    return float(np.sqrt(gathered(h["beta2"], t))) / (gathered(h["beta1"], t) if published else 1.0)


def covariances(s: Any) -> dict[str, np.ndarray]:
    """L and R with this gradient, kept only on the sides that have a basis."""
    beta, out = s.hyper["beta2"], {}
    for (side, _), form in zip(SIDES, ("ik,jk->ij", "ki,kj->ij"), strict=True):
        C = s.state[f"{side}_covariance"]
        out[f"{side}_covariance"] = moved(C, np.einsum(form, s.G, s.G), beta) if C.size else C
    return out


def refresh(s: Any, out: dict) -> dict[str, list[tuple[int, ...]]]:
    """Put the expected bases into `out`; return the legal orders of the old columns on each side."""
    due = s.t == 1 or (s.t - 1) % s.hyper["precondition_frequency"] == 0
    orders = {}
    for side, axis in SIDES:
        old, C = s.state[f"{side}_basis"], out[f"{side}_covariance"]
        identity = tuple(range(s.W.shape[axis]))
        orders[side] = [identity]
        if not C.size or not due:
            out[f"{side}_basis"] = old
        elif s.hyper["basis"] == "canonical":
            orders[side] = refresh_canonical(s, out, side, C, old)
        else:
            orders[side] = refresh_published(s, out, side, C, old)
    return orders


def slack(s: Any, C: np.ndarray) -> float:
    """How far rounding may move a relative Rayleigh quotient."""
    return 32 * len(C) * s.unit_roundoff


def refresh_canonical(s: Any, out: dict, side: str, C: np.ndarray, old: np.ndarray) -> list[tuple[int, ...]]:
    """Predict the basis; where rounding decides the order, the legal one that the backend took."""
    margin, new = slack(s, C), s.after[f"{side}_basis"]
    if s.t == 1:
        Q, open_order = bases.canonical_first(C, margin)
        out[f"{side}_basis"] = bases.aligned(Q, new, C, margin) if open_order else Q
        return [tuple(range(len(C)))]
    orders = bases.canonical_orders(C, old, margin)
    predictions = [bases.canonical_sweep(C, old, order) for order in orders]
    distance = [np.linalg.norm(Q - new) for Q in predictions]
    best = int(np.argmin(distance))
    out[f"{side}_basis"] = predictions[best]
    return [orders[best]]


def refresh_published(s: Any, out: dict, side: str, C: np.ndarray, old: np.ndarray) -> list[tuple[int, ...]]:
    """Judge the backend's basis by its defining properties."""
    new = s.after[f"{side}_basis"]
    identity = tuple(range(len(C)))
    orders = [identity] if s.t == 1 else bases.published_orders(C, old, slack(s, C))
    defects = [bases.published_defect(C, old, new, order, s.t == 1) for order in orders]
    off = float(np.linalg.norm(new.T @ new - np.eye(len(C))))
    out["basis_defect"] = np.maximum(out.get("basis_defect", 0.0), min(defects) + off)
    return [orders[int(np.argmin(defects))]]


def side_basis(s: Any, side: str, axis: int) -> np.ndarray:
    """The basis of one side after the step."""
    Q = s.after[f"{side}_basis"]
    return Q if Q.size else np.eye(s.W.shape[axis])


def turned(X: np.ndarray, QL: np.ndarray, QR: np.ndarray) -> np.ndarray:
    """The entries `q_i · X p_j` for the columns of the bases."""
    return np.einsum("ai,ab,bj->ij", QL, X, QR)


def signs(N: np.ndarray) -> np.ndarray:
    """The entries' signs, 0 for those within the dead zone."""
    alive = np.abs(N) > DEAD_ZONE * np.max(np.abs(N), initial=0.0)
    return np.where(alive, np.sign(N), 0.0)


def full(s: Any, out: dict, r: np.ndarray, c: np.ndarray, orders: dict) -> np.ndarray:
    """`r cᵀ / V`, V reordered with the columns of the old bases (Algorithm 2)."""
    old = s.state["second_moment"][np.ix_(orders["row"][0], orders["column"][0])]
    V = out["second_moment"] = moved(old, np.outer(r, c), s.hyper["beta2"])
    return over(np.outer(r, c), V + s.hyper["eps"] * V.mean())


def factored(s: Any, out: dict, r: np.ndarray, c: np.ndarray, orders: dict) -> np.ndarray:
    """`r cᵀ / √(v_r v_cᵀ)` (Algorithm 3), each marginal with its own floor."""
    h = s.hyper
    v_r = moved(s.state["row_second_moment"][list(orders["row"][0]), 0], r**2, h["beta2"])
    v_c = moved(s.state["column_second_moment"][0, list(orders["column"][0])], c**2, h["beta2"])
    out["row_second_moment"], out["column_second_moment"] = v_r[:, None], v_c[None, :]
    a, b = (over(x, np.sqrt(v + h["eps"] * v.mean())) for x, v in ((r, v_r), (c, v_c)))
    return np.outer(a, b)


def over(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`x / y`, 0 where y is 0."""
    return np.divide(x, y, out=np.zeros_like(x), where=y != 0)
