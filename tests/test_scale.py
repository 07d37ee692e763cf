"""Steps do not depend on the gradients' scale, and nothing over- or underflows."""

import numpy as np
import pytest

from deva_core import AdaGO, DeVA, DeVAVector, Muon
from tests.gradients import generator

SHAPES = [(8, 8), (4, 12), (12, 4)]
POWERS = [40, -40, 80, -90]


def ends(start, rule, dtype, scales, steps=5):
    """The parameters after some steps, for each scale of the gradients: a stack, so that JAX compiles once."""
    r = generator("scale", (8, 8), 0)
    factors = np.asarray([1.0, *scales], dtype)[:, None, None]
    run = start(rule, {str(shape): np.zeros((len(factors), *shape), dtype) for shape in SHAPES})
    for _ in range(steps):
        run.step({str(shape): r.normal(size=shape).astype(dtype) * factors for shape in SHAPES})
    return run.params


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", [Muon(), Muon(nesterov=False, scale="rms"), DeVA(), DeVAVector()], ids=repr)
def test_a_power_of_two_changes_no_bit(start, rule, dtype):
    """All gradients times 2^k: the same parameters, bit for bit."""
    for shape, W in ends(start, rule, dtype, [2.0**k for k in POWERS]).items():
        for k, scaled in zip(POWERS, W[1:], strict=True):
            assert (scaled == W[0]).all(), f"2^{k}, {shape}"


@pytest.mark.parametrize("rule", [DeVA(sign_stabilization=True), DeVA(factored=True)], ids=repr)
def test_any_scale_changes_deva_by_rounding_only(start, rule):
    """All gradients times 3.7e-5, in float64; sign stabilisation has the condition number of its dead zone."""
    for W, scaled in ends(start, rule, np.float64, [3.7e-5]).values():
        assert np.linalg.norm(scaled - W) <= 1e-10 * np.linalg.norm(W)


@pytest.mark.parametrize("rule", [Muon(), AdaGO(), DeVA(), DeVA(factored=True), DeVAVector()], ids=repr)
def test_float32_entries_from_1e_30_to_1e30_are_finite_and_move(start, rule):
    """Entries of all magnitudes in one matrix, and matrices whose scale jumps from step to step."""
    r = generator("range", (4, 12), 1)
    run = start(rule, {"mixed": np.zeros((4, 12), np.float32), "jumping": np.zeros((4, 12), np.float32)})
    for t in range(6):
        signs = np.sign(r.normal(size=(4, 12)))
        mixed = signs * 10.0 ** r.uniform(-30, 30, size=(4, 12))
        jumping = r.normal(size=(4, 12)) * 10.0 ** (30 * (-1) ** t)
        before = run.params
        run.step({"mixed": mixed.astype(np.float32), "jumping": np.clip(jumping, -1e30, 1e30).astype(np.float32)})
        for name, W in run.params.items():
            assert np.isfinite(W).all()
            assert (before[name] != W).any()
    assert all(np.isfinite(x).all() for fields in run.state.values() for x in fields.values())
