"""Every single step agrees with the papers, from the backend's own state.

Each step starts from the state that the backend exported, so errors cannot accumulate and bases cannot part
(numerics §5.2 and §5.5); parameters and every field of the state are compared by the Monte-Carlo-arithmetic ratio. The
state before the first step is the documented one.
Domain: all rules and hyperparameters; AdamW's gradients within the range of their squares; published bases
(`basis="eigh"`) for square matrices of full rank, without which they are not defined (numerics §6).
"""

from deva_conformance import oracle
from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import Moment, against_oracle, rule_for, steps, values, well_posed, within
from deva_conformance.physical import physical
from deva_conformance.tolerance import ratio, unit_roundoff
from deva_core import Rule


def begins(rule: Rule, name: str, at: Moment) -> None:
    """The state before the first step is the documented one."""
    state, u = physical(at.state[name]), unit_roundoff(at.params[name].dtype)
    for field, value in oracle.initial(values(rule), state).items():
        within(f"{name} {field} before the first update", ratio(state[field], value, 0.0, u))


def check(subject: Subject, case: Case) -> float:
    """Compare each step of each parameter."""
    case, worst = well_posed(case), 0.0
    for k, before, grads, after in steps(subject, case):
        for name, problem in zip(grads, case.problems, strict=True):
            rule = rule_for(case.rule, problem.shape)
            if k == 0:
                begins(rule, name, before)
            worst = max(worst, against_oracle(rule, name, before, grads[name], after))
    return worst


PANELS = (((4, 4), (3, 5), (5,)), ((2, 3, 4), (5, 3)), ((1, 6), (4, 4), ()), ((6, 1), (3, 5)))

LAW = module_law("oracle", check, __doc__, domain=Domain(matrix_panels=PANELS, steps=4), thorough=True)
