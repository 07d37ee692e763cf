"""Rules descend as far as they should: short seeded runs of the authors' trace-quadratic problem, with bands.

The laws compare steps; these see what steps add up to. `python -m benchmarks.papers trace` is the long form.
"""

import numpy as np
import pytest

import deva_numpy
from benchmarks.papers.trace_problem import SPECTRA, STEPS, Problems, schedule
from deva_conformance.faults import FAULTS
from deva_core import AdaGO, AdamW, DeVA, DeVAVector, Muon

SEEDS = 12
BAND = 1.2
"""Of the mean of log f: above 3 standard errors of 12 seeds. Other seeds end inside too, so what rounding does surely does."""
MOMENTS = dict(beta1=0.5, beta2=0.99, weight_decay=0.0)
GUARDS = {
    Muon: (Muon(lr=schedule(0.1), momentum=0.5, scale="rms"), -1.01),
    AdaGO: (AdaGO(lr=schedule(4.0), momentum=0.5, scale="rms", min_step=1e-3, max_norm=30.0), 0.41),
    DeVA: (DeVA(lr=schedule(0.2), **MOMENTS), -1.01),
    DeVAVector: (DeVAVector(lr=schedule(0.03), **MOMENTS), -2.29),
    AdamW: (AdamW(lr=schedule(0.03), **MOMENTS), -3.51),
}
"""A rule, and where it should end: the mean of log f over 96 seeds, of which the 12 are the first."""


def ends(start, rule, problems):
    """log f after 400 steps, for each seed."""
    run = start(rule, {"X": problems.start}, layout={"X": "batch out in"} if rule.matrix else None)
    for k in range(STEPS):
        run.step({"X": problems.gradient(run.params["X"], k)})
    return np.log(problems.value(run.params["X"]))


@pytest.fixture(scope="module")
def heterogeneous():
    return Problems("heterogeneous", SEEDS)


@pytest.mark.parametrize("kind", GUARDS, ids=lambda kind: kind.__name__)
def test_a_rule_ends_within_its_band(kind, heterogeneous):
    rule, expected = GUARDS[kind]
    assert abs(ends(deva_numpy.start, rule, heterogeneous).mean() - expected) < BAND


@pytest.mark.parametrize(
    "name", ["no-root", "averaged-norms", "schedule-frozen", "second-lost", "deepspeed-sgd", "kozistr-no-root"]
)
def test_a_fault_ends_outside_the_band_of_its_rule(name, heterogeneous):
    fault = FAULTS[name]
    rule, expected = GUARDS[fault.on]
    assert not abs(ends(fault, rule, heterogeneous).mean() - expected) < 1.5 * BAND


@pytest.mark.parametrize("kind", SPECTRA)
def test_the_canonical_basis_descends_at_least_as_far_as_the_published_one(kind):
    """Means over 3 learning rates and 20 seeds, the same for both; one alone has a standard error of a third."""
    problems, logs = Problems(kind, 20), {}
    for basis in ("canonical", "eigh"):
        rules = [DeVA(lr=schedule(lr), beta1=0.0, beta2=0.99, weight_decay=0.0, basis=basis) for lr in (0.1, 0.2, 0.4)]
        logs[basis] = np.mean([ends(deva_numpy.start, rule, problems) for rule in rules])
    assert logs["canonical"] <= logs["eigh"]
