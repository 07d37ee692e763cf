"""DeVA (arXiv 2602.06880) for one matrix, in the original space, from the bases that a backend holds.

Momentum lives in the original space, where a refresh cannot touch it; the adapted step is a sum of outer products of
eigenvectors. (It comes in extended precision: entries far below the norm keep their digits on the way there and back.)
 The canonical bases are predicted, the published ones judged by their defining properties.
What only dialects change (specification, optimizers §9) has our way where `hyper` does not name it.
"""

from typing import Any

import numpy as np

from deva_conformance.oracle import bases
from deva_conformance.oracle.average import gathered, moved
from deva_conformance.oracle.matrix import lookahead, polar_of, shape_factor

SIDES = (("row", 0), ("column", 1))
DEAD_ZONE = 1e-4
Pair = tuple[np.ndarray, np.ndarray]
MOMENTS = ("second_moment", "row_second_moment", "column_second_moment")


def step(s: Any) -> dict[str, np.ndarray]:
    """One step; `basis_defect` (0 is perfect) is there for published bases."""
    h = s.hyper
    lagged = h.get("timing") == "lagged"
    out: dict[str, Any] = {"momentum": s.state["momentum"], **covariances(s)}
    orders = refresh(s, out)
    if lagged and s.t == 1:
        return {**out, **{name: s.state[name] for name in MOMENTS if name in s.state}, "W": s.W}
    stay = {side: [tuple(range(s.W.shape[axis]))] for side, axis in SIDES}
    U = adapted(s, out, stay if lagged else orders, s.state if lagged else s.after, s.t - lagged)
    if lagged:
        reorder(out, orders)
    moved_by = h["lr"] * shape_factor(h, s.W.shape) * U
    kept = 1 - h["lr"] * h["weight_decay"]
    out["W"] = kept * (s.W - moved_by) if h.get("decay") == "after" else kept * s.W - moved_by
    return out


def adapted(s: Any, out: dict, orders: dict, bases_in: Any, t: int) -> np.ndarray:
    """The step's direction from the bases in `bases_in`; M and the second moments go into `out`."""
    h, G = s.hyper, s.G
    M = out["momentum"] = moved(s.state["momentum"], G, h["beta1"])
    QL, QR = (side_basis(s, bases_in, side, axis) for side, axis in SIDES)
    r, c = lengths(turned(M if h["statistics"] == "momentum" else G, QL, QR))
    over_r, over_c = lengths(turned(M, QL, QR)) if h.get("numerator") == "momentum" else (r, c)
    ratio = (factored if h["factored"] else full)(s, out, (r, c), (over_r, over_c), orders)
    N = turned(lookahead(h, M, G, h["beta1"]), QL, QR)
    O = polar_of(s, signs(N, h.get("dead_zone", DEAD_ZONE)) if h["sign_stabilization"] else N)
    gamma = correction(h, t) * np.sqrt(ratio)
    U = np.einsum("ij,ai,bj->ab", gamma * O, QL, QR)
    s.note(lookahead=N, orthogonal=O, gamma=gamma, adapted=U)
    return U


def lengths(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The norms of rows and columns."""
    return np.sqrt(np.sum(X**2, axis=1)), np.sqrt(np.sum(X**2, axis=0))


def reorder(out: dict, orders: dict) -> None:
    """The second moments with the columns of the old bases, where a refresh comes after the step."""
    rows, columns = (list(orders[side][0]) for side, _ in SIDES)
    for name, index in zip(MOMENTS, (np.ix_(rows, columns), (rows, slice(None)), (slice(None), columns)), strict=True):
        if name in out and out[name].size:
            out[name] = out[name][index]


def correction(h: Any, t: int) -> float:
    """What makes up for averages that started at zero: V's; the momentum's, too, where it does not cancel in Γ.

    It does where r, c and V come from one average; as published, it is divided by all the same.
    """
    if not h["bias_correction"]:
        return 1.0
    cancels = h.get("numerator") != "momentum" or h["statistics"] == "momentum"
    divided = h["bias_correction"] == "published" or not cancels
    return float(np.sqrt(gathered(h["beta2"], t))) / (gathered(h["beta1"], t) if divided else 1.0)


def covariances(s: Any) -> dict[str, np.ndarray]:
    """L and R with this gradient, kept only on the sides that have a basis."""
    beta, out = s.hyper["beta2"], {}
    for (side, _), form in zip(SIDES, ("ik,jk->ij", "ki,kj->ij"), strict=True):
        C = s.state[f"{side}_covariance"]
        out[f"{side}_covariance"] = moved(C, np.einsum(form, s.G, s.G), beta) if C.size else C
    return out


def refresh(s: Any, out: dict) -> dict[str, list[tuple[int, ...]]]:
    """Put the expected bases into `out`; return the legal orders of the old columns on each side."""
    later = s.t - 1 - s.hyper["refresh_phase"]
    due = s.t == 1 or later % s.hyper["precondition_frequency"] == 0
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


def side_basis(s: Any, bases_in: Any, side: str, axis: int) -> np.ndarray:
    """The basis of one side."""
    Q = bases_in[f"{side}_basis"]
    return Q if Q.size else np.eye(s.W.shape[axis])


def turned(X: np.ndarray, QL: np.ndarray, QR: np.ndarray) -> np.ndarray:
    """The entries `q_i · X p_j` for the columns of the bases."""
    return np.einsum("ai,ab,bj->ij", QL, X, QR)


def signs(N: np.ndarray, dead_zone: float) -> np.ndarray:
    """The entries' signs, 0 for those within the dead zone."""
    alive = np.abs(N) > dead_zone * np.max(np.abs(N), initial=0.0)
    return np.where(alive, np.sign(N), 0.0)


def full(s: Any, out: dict, rc: Pair, top: Pair, orders: dict) -> np.ndarray:
    """`r cᵀ / V`, V reordered with the columns of the old bases (Algorithm 2)."""
    old = s.state["second_moment"][np.ix_(orders["row"][0], orders["column"][0])]
    V = out["second_moment"] = moved(old, np.outer(*rc), s.hyper["beta2"])
    return divided(np.outer(*top), V, s.hyper)


def factored(s: Any, out: dict, rc: Pair, top: Pair, orders: dict) -> np.ndarray:
    """`r cᵀ / √(v_r v_cᵀ)` (Algorithm 3), each marginal with its own floor."""
    h = s.hyper
    v_r = moved(s.state["row_second_moment"][list(orders["row"][0]), 0], rc[0] ** 2, h["beta2"])
    v_c = moved(s.state["column_second_moment"][0, list(orders["column"][0])], rc[1] ** 2, h["beta2"])
    out["row_second_moment"], out["column_second_moment"] = v_r[:, None], v_c[None, :]
    if h.get("eps_mode") == "numerator":
        return (np.outer(*top) + h["eps"]) / np.outer(*(np.where(v == 0, 1.0, np.sqrt(v)) for v in (v_r, v_c)))
    a, b = (over(x, np.sqrt(v + floor(v, h))) for x, v in zip(top, (v_r, v_c), strict=True))
    return np.outer(a, b)


def divided(x: np.ndarray, v: np.ndarray, h: Any) -> np.ndarray:
    """`x / v`, with eps in the denominator; above, `(x + eps) / v`, for the paper."""
    if h.get("eps_mode") == "numerator":
        return (x + h["eps"]) / np.where(v == 0, 1.0, v)
    return over(x, v + floor(v, h))


def floor(v: np.ndarray, h: Any) -> float:
    """What is added to a second moment: eps of its mean, or eps itself."""
    return h["eps"] * (v.mean() if h.get("eps_mode", "relative") == "relative" else 1.0)


def over(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`x / y`, 0 where y is 0."""
    return np.divide(x, y, out=np.zeros_like(x), where=y != 0)
