"""A callable hyperparameter acts as the number it returns for the count of updates already made, 0 first.

Every numeric field is scheduled at once, in both halves, each step compared with the oracle at constants; AdaGO also where its
default floor is the step.
A traced count makes a schedule return numbers of the working dtype, so these count as rounded to it.
"""

from dataclasses import dataclass, replace
from typing import Any

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import against_oracle, rule_for, steps
from deva_conformance.laws.oracle_agreement import floored
from deva_core import Rule, hyperparameters


@dataclass(frozen=True)
class Ramp:
    """`first + slope * count`: works on numbers and on traced arrays alike."""

    first: float
    slope: float

    def __call__(self, count: Any) -> Any:
        """The value after `count` updates."""
        return self.first + self.slope * count


def ramp(name: str, value: float, integer: bool) -> Ramp:
    """A schedule that starts at a value and stays in its domain for a few steps."""
    if integer:
        return Ramp(value, 0)
    return Ramp(value, -0.0625 * value) if value else Ramp(0.0, 0.03125)


def scheduled(rule: Rule) -> Rule:
    """The rule with every number replaced by a schedule that starts there. None, from which a rule derives a number, stays."""
    numeric = {name: (getattr(rule, name), h.integer) for name, h in hyperparameters(rule).items() if h.numeric}
    return replace(rule, **{name: ramp(name, *found) for name, found in numeric.items() if found[0] is not None})


def check(subject: Subject, case: Case) -> float:
    """Step with schedules, compare with constants."""
    moving, worst = scheduled(case.rule), 0.0
    for k, before, grads, after in steps(subject, case, moving):
        for name, problem in zip(grads, case.problems, strict=True):
            rule = rule_for(moving, problem.shape).at(k)
            worst = max(
                worst, against_oracle(subject.costs, rule, name, before, grads[name], after, "scheduled: ", True)
            )
    return worst


LAW = module_law(
    "schedules",
    check,
    __doc__,
    domain=Domain(
        restricted=lambda rule: {"basis": ("canonical",)},
        always=floored,
        matrix_panels=(((3, 5), (5,)), ((4, 4), (3,)), ((6, 1),)),
        vector_panels=(((5,),), ((3, 4),)),
    ),
)
