"""AdaGO's step length is the paper's, with the square root."""

import numpy as np
import pytest

from deva_core import AdaGO
from tests.gradients import stream


@pytest.mark.parametrize("min_step", [0.0, 0.03])
def test_step_lengths_follow_the_formula(start, min_step):
    """max(min_step, lr min(‖G‖, γ) / √(v₀² + Σ min(‖G‖, γ)²)), read off steps of spectral norm α."""
    rule = AdaGO(lr=0.1, max_norm=6.0, min_step=min_step, initial_accumulator_value=1e-3, ns_coefficients="exact")
    gradients = [(t + 1) * G / 4 for t, G in enumerate(stream("full rank", (4, 12), 12))]
    run, accumulated = start(rule, {"W": np.zeros((4, 12))}), 1e-3
    for G in gradients:
        before = run.params["W"]
        run.step({"W": G})
        clipped = min(np.linalg.norm(G), 6.0)
        accumulated += clipped**2
        expected = max(min_step, 0.1 * clipped / np.sqrt(accumulated))
        length = np.linalg.norm(run.params["W"] - before, 2)
        assert abs(length - expected) <= 1e-9 * expected
    assert abs(run.state["W"]["accumulator"] - accumulated) <= 1e-9 * accumulated


def test_accumulator_is_float32_where_parameters_are_bfloat16(start):
    """Two thousand steps of norm 3.2: bfloat16 would stick at 4096 (spec: a defect of the released AdaGO)."""
    import ml_dtypes

    run = start(AdaGO(), {"W": np.zeros((2, 2), ml_dtypes.bfloat16)})
    G = np.full((2, 2), 1.6, ml_dtypes.bfloat16)
    for _ in range(2000):
        run.step({"W": G})
    accumulator = run.state["W"]["accumulator"]
    assert accumulator.dtype == np.float32
    assert abs(accumulator - 2000 * np.sum(G.astype(float) ** 2)) < 1e-3 * accumulator
