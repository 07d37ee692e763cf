"""The same run twice gives the same bits, whether anyone looks on the way or not.

The first run is read after every step, the second at its end only: an array library that evaluates lazily must not round
what it fuses in another way. Every rule, dtype and hyperparameter.
"""

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import SHARED, module_law
from deva_conformance.laws._steps import reference, same_moment, walk


def check(subject: Subject, case: Case) -> float:
    """Run twice, the second time unread."""
    first = reference(subject, case).end
    second = walk(subject, case.rule, case.params(), [case.gradients(k) for k in range(case.steps)])
    same_moment("two runs", first, second)
    return 0.0


LAW = module_law("determinism", check, __doc__, domain=SHARED, shared=True)
