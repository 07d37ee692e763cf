"""Weight decay is decoupled and exact: it takes `lr weight_decay W` off a step, whatever the gradient.

The difference of two runs, with decay and without, after one step each; up to the rounding of the two sums.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import need, rule_for, walk
from deva_conformance.physical import wide
from deva_conformance.tolerance import half_ulp, unit_roundoff

ROUNDINGS = 6


def check(subject: Subject, case: Case) -> float:
    """One step with decay and one without."""
    decayed: Any = replace(case.rule, **{"weight_decay": 0.25})
    params, grads = case.params(), [case.gradients(0)]
    none, with_decay = (
        walk(subject, rule, params, grads).params for rule in (replace(decayed, weight_decay=0.0), decayed)
    )
    for (name, W), problem in zip(params.items(), case.problems, strict=True):
        if rule_for(decayed, problem.shape) is not decayed:
            continue
        X, Y = wide(none[name]), wide(with_decay[name])
        size = np.abs(wide(W)) + np.abs(X) + np.abs(X - wide(W))
        bound = ROUNDINGS * unit_roundoff(W.dtype) * size + half_ulp(X, W.dtype) + half_ulp(Y, W.dtype)
        error = np.abs((Y - X) + decayed.lr * 0.25 * wide(W))
        need(bool(np.all(error <= bound)), f"{name}: decay differs from lr weight_decay W by up to {np.max(error):.3g}")
    return 0.0


LAW = module_law(
    "exact-decay",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: "weight_decay" in rule.__dataclass_fields__,
        restricted=lambda rule: {"lr": (0.25, 0.03125), "weight_decay": (0.25,), "basis": ("canonical",)},
        matrix_panels=(((3, 5),), ((4, 4),), ((2, 3, 4),)),
        vector_panels=(((5,),), ((3, 4),)),
        steps=1,
    ),
)
