"""A parameter's update depends on nothing but itself.

Other parameters, before or after it and of the same shape, and NaN or infinities in their gradients change it by no
more than rounding (fast paths may stack equal shapes), and leave it finite. The parameter whose gradient is NaN shows it
(numerics §5.7): nothing is repaired in silence.
"""

from typing import Any

import numpy as np

from deva_conformance.cases import Case, Problem
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import need, rule_for, twins, walk
from deva_conformance.tolerance import run_spread, unit_roundoff


def poisoned(X: np.ndarray, value: float) -> np.ndarray:
    """X with one entry that is not finite."""
    X = X.copy()
    X[(0,) * X.ndim] = value
    return X


def neighbour(p: Problem) -> Problem:
    """Another parameter of the same shape."""
    return Problem("gaussian", p.shape, p.scale, p.seed + 1, p.dtype)


def check(subject: Subject, case: Case) -> float:
    """Run each problem alone, then between neighbours, healthy at first and then not."""
    worst = 0.0
    for p in case.problems:
        worst = max(worst, check_one(subject, case, p))
    return worst


def check_one(subject: Subject, case: Case, p: Problem) -> float:
    """One parameter alone and in company."""
    W, grads, other = p.weights(), [p.gradient(k) for k in range(case.steps)], neighbour(p)
    alone = walk(subject, case.rule, {"own": W}, [{"own": G} for G in grads])
    params = {"before": other.weights(), "own": W, "later": other.weights()}
    company: list[dict[str, Any]] = []
    for k, G in enumerate(grads):
        X = other.gradient(k)
        bad = (X, X) if k == 0 else (poisoned(X, np.nan), poisoned(X, np.inf))
        company.append({"before": bad[0], "own": G, "later": bad[1]})
    with np.errstate(all="ignore"):
        together = walk(subject, case.rule, params, company)
    X, Y = alone.params["own"], together.params["own"]
    need(bool(np.all(np.isfinite(Y.astype(np.float64)))), "NaN in another parameter's gradient spreads to a parameter")
    shown = not np.all(np.isfinite(together.params["before"].astype(np.float64)))
    need(shown, "NaN in a gradient does not show in its parameter")
    sigma = run_spread(rule_for(case.rule, p.shape), W, grads, unit_roundoff(W.dtype), subject.costs)["W"]
    return twins("a parameter alone and beside others", X, Y, sigma, W.dtype, case.steps)


LAW = module_law(
    "independence",
    check,
    __doc__,
    domain=Domain(
        restricted=lambda rule: {"basis": ("canonical",)},
        matrix_panels=(((3, 5),), ((4, 4),), ((2, 3, 4),)),
        vector_panels=(((5,),), ((3, 4),)),
        steps=2,
    ),
)
