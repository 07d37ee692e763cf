"""AdamW and DeVAVector in closed form, for arrays of any shape."""

from typing import Any

import numpy as np

from deva_conformance.oracle.average import gathered, moved


def adamw(s: Any) -> dict[str, np.ndarray]:
    """AdamW (arXiv 1711.05101), eps outside the root."""
    h = s.hyper
    m = moved(s.state["exp_avg"], s.G, h["beta1"])
    v = moved(s.state["exp_avg_sq"], s.G**2, h["beta2"])
    direction = m / gathered(h["beta1"], s.t) / (np.sqrt(v / gathered(h["beta2"], s.t)) + h["eps"])
    s.note(direction=direction)
    return {"W": (1 - h["lr"] * h["weight_decay"]) * s.W - h["lr"] * direction, "exp_avg": m, "exp_avg_sq": v}


def parameter_mean(x: np.ndarray) -> np.ndarray:
    """The mean over one parameter: the last two axes of a stack, all of anything smaller."""
    return np.mean(x, axis=tuple(range(-min(x.ndim, 2), 0)), keepdims=True)


def deva_vector(s: Any) -> dict[str, np.ndarray]:
    """DeVA over l-infinity (arXiv 2602.06880): |m| over the root of the momentum's own second moment."""
    h = s.hyper
    m = moved(s.state["momentum"], s.G, h["beta1"])
    v = moved(s.state["second_moment"], m**2, h["beta2"])
    n = moved(m, s.G, h["beta1"]) if h["nesterov"] else m
    seen = v / gathered(h["beta2"], s.t) if h["bias_correction"] else v
    floor = h["eps"] * (parameter_mean(seen) if h.get("eps_mode", "relative") == "relative" else 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(seen + floor == 0, 0.0, np.abs(m) / np.sqrt(seen + floor))
    s.note(lookahead=n, gamma=ratio)
    W = (1 - h["lr"] * h["weight_decay"]) * s.W - h["lr"] * np.copysign(1.0, n) * (n != 0) * ratio
    return {"W": W, "momentum": m, "second_moment": v}
