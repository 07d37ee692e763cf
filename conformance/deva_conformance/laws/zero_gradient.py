"""A zero gradient moves nothing but the decay and what momentum is left, and breaks nothing.

From the beginning, zero gradients leave `W - lr weight_decay W` (up to the rounding of two operations) and zero
moments; after other gradients, a zero one is an ordinary step: it agrees with the oracle. All stays finite.
"""

from typing import Any

import numpy as np

from deva_conformance import oracle
from deva_conformance.cases import FULL_RANK, Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import Moment, against_oracle, begin, copied, moment, need, rule_for
from deva_conformance.physical import wide
from deva_conformance.tolerance import half_ulp, unit_roundoff

KEPT = ("accumulator", "row_basis", "column_basis", "step")


def only_decayed(rule: Any, name: str, before: Moment, after: Moment) -> None:
    """The first zero gradient: decay, and moments still zero."""
    W, new = wide(before.params[name]), wide(after.params[name])
    dtype = before.params[name].dtype
    bound = 4 * unit_roundoff(dtype) * np.abs(W) + half_ulp(W, dtype)
    expected = W * (1 - rule.lr * rule.weight_decay)
    need(bool(np.all(np.abs(new - expected) <= bound)), f"{name}: a first zero gradient does more than decay")
    for field, x in after.state[name].items():
        need(field in KEPT or not np.any(np.asarray(x)), f"{name}.{field} is not zero after zero gradients only")


def finite(name: str, at: Moment) -> None:
    """Parameters and state have no NaN or infinity."""
    fields = {"parameter": at.params[name], **at.state[name]}
    bad = [field for field, x in fields.items() if not np.all(np.isfinite(wide(x)))]
    need(not bad, f"{name}: {', '.join(bad)} not finite with zero gradients")


def check(subject: Subject, case: Case) -> float:
    """A zero gradient first, then another, then zero again."""
    run, worst = begin(subject, case.rule, case.params()), 0.0
    before = moment(run)
    zeros = {name: np.zeros_like(W) for name, W in before.params.items()}
    for k, grads in enumerate((zeros, case.gradients(0), zeros)):
        run.step(copied(grads))
        after = moment(run)
        for name, problem in zip(grads, case.problems, strict=True):
            rule = rule_for(case.rule, problem.shape)
            finite(name, after)
            if k == 0:
                only_decayed(rule, name, before, after)
            elif type(rule).__name__ in oracle.KNOWN:
                worst = max(worst, against_oracle(subject.costs, rule, name, before, grads[name], after))
        before = after
    return worst


LAW = module_law(
    "zero-gradient",
    check,
    __doc__,
    domain=Domain(
        restricted=lambda rule: {"basis": ("canonical",)},
        matrix_panels=(((3, 5),), ((4, 4),), ((2, 3, 4),), ((6, 1),)),
        families=FULL_RANK,
    ),
)
