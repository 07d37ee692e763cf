"""The same run twice gives the same bits."""

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import walk
from deva_conformance.laws.purity import same


def check(subject: Subject, case: Case) -> float:
    """Run twice."""
    grads = [case.gradients(k) for k in range(case.steps)]
    first, second = (walk(subject, case.rule, case.params(), grads) for _ in range(2))
    same("two runs:", first.params, second.params)
    same("two runs:", first.state, second.state)
    return 0.0


LAW = module_law(
    "determinism",
    check,
    __doc__,
    domain=Domain(
        matrix_panels=(((4, 4),), ((3, 5),), ((2, 3, 4),)),
        vector_panels=(((5,),), ((3, 4),)),
        steps=2,
    ),
)
