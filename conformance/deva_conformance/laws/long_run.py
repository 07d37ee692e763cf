"""A late step is as good as the first: none is lost, none is counted twice, no sum sticks.

Through 40 updates each one counts and moves its parameter; some, drawn by the case, are compared with the oracle from the
backend's own state. Domain: float32 and wider, where every step shows; published bases for square matrices of full rank.
"""

import numpy as np

from deva_conformance import oracle
from deva_conformance.cases import NONZERO, Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import PLAIN, Domain, module_law
from deva_conformance.laws._steps import against_oracle, need, rule_for, steps, well_posed

UPDATES, DRAWS = 40, 5
"""How many updates, and the stream of random numbers."""


def judged(case: Case) -> set[int]:
    """Which updates are compared with the oracle: round ones, on which periods end, and three others."""
    drawn = case.problems[0].generator(DRAWS, 0, 0).integers(0, UPDATES, 3)
    return {9, 19, UPDATES - 1, *(int(k) for k in drawn)}


def check(subject: Subject, case: Case) -> float:
    """Walk, and look closely now and then."""
    case, worst = well_posed(case), 0.0
    chosen = judged(case)
    for k, before, grads, after in steps(subject, case):
        for name, problem in zip(grads, case.problems, strict=True):
            count, moved = int(after.state[name]["step"]), bool(np.any(before.params[name] != after.params[name]))
            need(count == k + 1, f"{name}.step is {count} after update {k + 1}")
            need(moved, f"{name} does not move at update {k + 1}")
            rule = rule_for(case.rule, problem.shape)
            if k in chosen and type(rule).__name__ in oracle.KNOWN:
                worst = max(worst, against_oracle(subject.costs, rule, name, before, grads[name], after))
    return worst


LAW = module_law(
    "long-run",
    check,
    __doc__,
    domain=Domain(
        matrix_panels=(((3, 5),), ((4, 4),), ((5, 3),)),
        vector_panels=(((5,),), ((3, 4),)),
        families=NONZERO,
        scales=lambda rule: PLAIN,
        dtypes=("float32", "float64"),
        steps=UPDATES,
    ),
)
