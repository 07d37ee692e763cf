"""What an error that is too large looks like: rounding to fewer bits, perhaps.

The case that breaks a law is seldom one that tells: of equal entries each is off by the same. So a broken backend is asked
for one step, from zero, for three Gaussian matrices.
"""

import numpy as np

from deva_conformance import oracle
from deva_conformance.cases import Case, Problem
from deva_conformance.driver import Subject
from deva_conformance.laws._steps import begin, moment, values
from deva_conformance.physical import physical, wide
from deva_conformance.precision import as_if, is_factor, significant_bits
from deva_conformance.tolerance import THRESHOLD, ratio, step_spread, unit_roundoff
from deva_core import Rule

SEEDS = (1, 2, 3)
SHAPE = (6, 6)
UNIT = "times the expected rounding error"
"""The words of a cause that is a ratio."""


def hint(subject: Subject, case: Case | None, cause: str) -> str:
    """What to add to a cause; nothing where it is no ratio, or the errors look like anything else."""
    if case is None or UNIT not in cause:
        return ""
    dtype = case.problems[0].dtype
    try:
        found = [bits(subject, case.rule, Problem("gaussian", SHAPE, 1.0, seed, dtype)) for seed in SEEDS]
    except Exception:  # whatever a broken backend raises; it is broken already
        return ""
    return as_if([b for b in found if b is not None], unit_roundoff(dtype)) if None not in found else ""


def bits(subject: Subject, rule: Rule, p: Problem) -> float | None:
    """With how many significant bits a step from zero seems to be computed; None where it is right, or a wrong factor."""
    G = p.gradient(0)
    run = begin(subject, rule, {"p": np.zeros_like(G)})
    before = moment(run)
    run.step({"p": G.copy()})
    after, fields, u = moment(run), before.state["p"], unit_roundoff(p.dtype)
    begun, reached = physical(fields), physical(after.state["p"])
    kind = next(c.__name__ for c in type(rule).__mro__ if c.__name__ in oracle.KNOWN)
    expected = oracle.step(kind, oracle.Step(values(rule), begun, wide(0 * G), wide(G), 1, reached, u))
    expected.pop("basis_defect", None)
    sigma, worst = step_spread(rule, fields, 0 * G, G, 1, u, subject.costs), 0.0
    for name, value in expected.items():
        actual, old = (wide(after.params["p"]), 0.0) if name == "W" else (reached[name], begun[name])
        found = ratio(actual, value, sigma[name], u)
        if found > THRESHOLD and is_factor(actual - value, value - old):
            return None
        worst = max(worst, found)
    return significant_bits(worst, u) if THRESHOLD < worst < np.inf else None
