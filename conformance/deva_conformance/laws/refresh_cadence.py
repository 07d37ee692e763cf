"""DeVA's bases turn at the first update and at every `precondition_frequency`-th after it, and at no other; with a
`refresh_phase`, at every such update that many later, and at the first.

Between refreshes they stay bit-identical; at a refresh, generic gradients turn them. A side longer than
`max_precondition_dim` has no basis at all. Domain: DeVA, Gaussian gradients (which turn every basis longer than 1).
"""

from typing import Any

import numpy as np

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import Moment, equal, need, steps
from deva_core import DeVA

SIDES = (("row_basis", -2), ("column_basis", -1))


def check_basis(rule: Any, name: str, field: str, length: int, k: int, before: Moment, after: Moment) -> None:
    """One basis at one update (k updates were made before)."""
    old, new = before.state[name][field], after.state[name][field]
    kept = length if length <= rule.max_precondition_dim else 0
    need(new.shape[-2:] == (kept, kept), f"{name}.{field} has the shape {new.shape} for a side of {length}")
    if k and (k - rule.refresh_phase) % rule.precondition_frequency:
        equal(f"{name}.{field} at update {k + 1}, between refreshes,", old, new)
    elif kept > 1:
        need(bool(np.any(old != new)), f"{name}.{field} does not turn at update {k + 1}, where a refresh is due")


def check(subject: Subject, case: Case) -> float:
    """Watch the bases through several refreshes."""
    for k, before, _, after in steps(subject, case):
        for name, problem in zip(before.params, case.problems, strict=True):
            for field, axis in SIDES:
                check_basis(case.rule, name, field, problem.shape[axis], k, before, after)
    return 0.0


LAW = module_law(
    "refresh-cadence",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: issubclass(rule, DeVA),
        restricted=lambda rule: {"precondition_frequency": (2, 3, 1), "refresh_phase": (0, 1, 2), "beta2": (0.95, 0.5)},
        matrix_panels=(((4, 4),), ((3, 5),), ((6, 1),)),
        families=("gaussian",),
        steps=7,
    ),
)
