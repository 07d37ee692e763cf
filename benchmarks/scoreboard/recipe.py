"""One recipe for all: how far each peer's Muon is from the rule in float64, and how far from scale-free.

The recipe: momentum 0.95 as an average, Nesterov, Jordan's coefficients, the shape factor √max(1, out/in) where there is one to
choose, lr 0.02, no decay, float32.
"""

import math
from typing import Any

import numpy as np

from deva_conformance import Subject
from deva_core import Muon, Optimizer, Rule

SHAPES = ((24, 24), (36, 12), (12, 36))
STEPS = (1, 3, 10)
SCALES = tuple(10.0**k for k in (3, -5, -6, -7, -8, -9, -10, -12))
RECIPE = {"lr": 0.02, "momentum": 0.95, "nesterov": True, "weight_decay": 0.0}


def recipe(claim: type[Rule]) -> Any:
    """The claim with the recipe's numbers."""
    supports: Any = claim.supports  # type: ignore[attr-defined]
    plain = {name: values[0] for name, values in supports.items()}
    scale = next((s for s in ("original", "none") if s in supports["scale"]), plain["scale"])
    return claim(**{**plain, **RECIPE, "scale": scale})


def gradients(shape: tuple[int, int]) -> list[np.ndarray]:
    """Gaussian ones."""
    r = np.random.default_rng(7)
    return [r.normal(size=shape).astype(np.float32) for _ in range(max(STEPS))]


def reference(grads: list[np.ndarray]) -> list[np.ndarray]:
    """The rule in float64, from zero: where it is after each step."""
    optimizer = Optimizer(Muon(**RECIPE))
    params, found = {"W": np.zeros(grads[0].shape)}, []
    state = optimizer.init(params)
    for G in grads:
        params, state = optimizer.step(params, {"W": G.astype(np.float64)}, state)
        found.append(params["W"])
    return found


def walked(subject: Subject, rule: Rule, grads: list[np.ndarray]) -> list[np.ndarray]:
    """The peer, from zero: where it is after each step."""
    run = subject.start(rule, {"W": np.zeros(grads[0].shape, np.float32)})
    found = []
    for G in grads:
        run.step({"W": G.copy()})
        found.append(run.params["W"].astype(np.float64))
    return found


def apart(x: np.ndarray, y: np.ndarray) -> float:
    """Relative to y."""
    return rounded(float(np.linalg.norm(x - y) / np.linalg.norm(y)))


def rounded(x: float) -> float:
    """Two digits: a rerun prints the same."""
    return float(f"{x:.2g}") if math.isfinite(x) else x


def distances(subject: Subject, claim: type[Rule]) -> dict[str, dict[str, float]]:
    """For each shape, the relative distance of the accumulated update after each number of steps."""
    found = {}
    for shape in SHAPES:
        grads = gradients(shape)
        due, seen = reference(grads), walked(subject, recipe(claim), grads)
        found["x".join(map(str, shape))] = {str(t): apart(seen[t - 1], due[t - 1]) for t in STEPS}
    return found


def scales(subject: Subject, claim: type[Rule]) -> dict[str, float]:
    """How much the first step changes when the gradient is scaled, relative to itself; a scale-free rule: 0."""
    rule, G = recipe(claim), gradients((12, 36))[0]
    plain = walked(subject, rule, [G])[0]
    return {f"{s:.0e}": apart(walked(subject, rule, [(s * G).astype(np.float32)])[0], plain) for s in SCALES}
