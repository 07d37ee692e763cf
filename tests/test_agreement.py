"""NumPy, PyTorch and JAX end in the same place."""

import numpy as np
import pytest

from deva_core import RULES, AdaGO, DeVA, Muon
from tests.gradients import stream, walked

SHAPES = [(8, 8), (4, 12), (12, 4), (1, 7), (7, 1), (3, 33), (2, 6, 9)]
FAMILIES = ["full rank", "rank one, fixed", "zero", "1e-12", "orthogonal"]
VARIANTS = [
    Muon(nesterov=False, scale="rms", weight_decay=0.1),
    AdaGO(nesterov=True, scale="original", weight_decay=0.1, ns_coefficients="exact"),
    DeVA(statistics="gradient", precondition_frequency=3),
    DeVA(factored=True, nesterov=False),
    DeVA(sign_stabilization=True, precondition_frequency=1, max_precondition_dim=8),
]
STEPS = 10


def streams(shapes) -> dict[str, list[np.ndarray]]:
    """One stream a shape; all but full-rank gradients in one stack, so that JAX compiles each shape twice."""
    named = {f"full rank {shape}": stream("full rank", shape, STEPS) for shape in shapes}
    for shape in shapes:
        kinds = [stream(family, shape, STEPS) for family in FAMILIES[1:]]
        named[f"{FAMILIES[1:]} {shape}"] = [np.stack(Gs) for Gs in zip(*kinds, strict=True)]
    return named


def final(start, rule, shapes):
    """Initial and final parameters of a run over all shapes and families."""
    gradients = streams(shapes)
    initial = {name: np.random.default_rng(1).normal(size=Gs[0].shape) for name, Gs in gradients.items()}
    run = start(rule, initial)
    for t in range(STEPS):
        run.step({name: Gs[t] for name, Gs in gradients.items()})
    return initial, run.params


@pytest.mark.parametrize(
    ("rule", "shapes"), [*((rule(), SHAPES) for rule in RULES), *((rule, SHAPES[1:3]) for rule in VARIANTS)], ids=repr
)
def test_frameworks_agree_to_1e_8_of_the_distance_walked_in_float64(rule, shapes, starts):
    """Every rule, ten steps, on every shape and family; everything finite."""
    initial, reference = final(starts["numpy"], rule, shapes)
    for framework in starts.keys() - {"numpy"}:
        _, other = final(starts[framework], rule, shapes)
        for name, W in reference.items():
            assert np.isfinite(W).all() and np.isfinite(other[name]).all()
            stacks = [X.reshape(-1, *X.shape[-2:]) for X in (initial[name], W, other[name])]
            for k, (W0, ours, theirs) in enumerate(zip(*stacks, strict=True)):
                distance = np.linalg.norm(ours - theirs) / walked(W0, ours)
                assert distance <= 1e-8, f"{framework}, {name} {k}: {distance:.1e}"
