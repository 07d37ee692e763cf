"""Every single step agrees with the papers, from the backend's own state.

Each step starts from the state that the backend exported, so errors cannot accumulate and bases cannot part
(numerics §5.2 and §5.5); parameters and every field of the state are compared by the Monte-Carlo-arithmetic ratio. The
state before the first step is the documented one.
Domain: all rules, hyperparameters and dialects (small gradients among them, where their eps shows); AdaGO also where its
default floor is the step; for DeVA also gradients
with quotients that are tied nearly, but not exactly, where the cell of the canonical basis decides the order. AdamW's
gradients within the range of their squares; published bases (`basis="eigh"`) for square matrices of full rank, without
which they are not defined (numerics §6).
"""

from collections.abc import Sequence
from dataclasses import fields

from deva_conformance import oracle
from deva_conformance.cases import Case, Problem
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import Moment, against_oracle, rule_for, steps, values, well_posed, within
from deva_conformance.physical import physical
from deva_conformance.tolerance import ratio, unit_roundoff
from deva_core import AdaGO, DeVA, Rule

NARROW_TIES = (
    Case(DeVA(), (Problem("near_ties", (11, 12), dtype="float64"),), 2),
    Case(DeVA(precondition_frequency=1, beta2=0.5), (Problem("near_ties", (12, 11), dtype="float64"),), 4),
    Case(DeVA(), (Problem("near_ties", (3, 4)),), 2),
)

FLOORED = (Case(AdaGO(initial_accumulator_value=1e6), (Problem("gaussian", (4, 4), dtype="float64"),), 2),)
"""Gradients so small beside those before them that the default floor is the step: no run of a few steps gets there."""

SHOWING = dict(lr=0.25, weight_decay=0.25, precondition_frequency=2, max_norm=3.0, min_step=0.1)
"""Numbers with which every term of a dialect shows in a few steps, where the rule has them."""

SHAPES, SCALES = ((4, 4), (3, 5)), (1.0, 2.0**-12)


def dialects(rule: type[Rule]) -> list[Case]:
    """Each dialect, Nesterov's way and not, in turn in both wide dtypes."""
    known = {f.name for f in fields(rule)}
    showing = {name: value for name, value in SHOWING.items() if name in known}
    cases = []
    for k, name in enumerate(rule.DIALECTS):
        for j, nesterov in enumerate((False, True)):
            dtype = ("float64", "float32")[(k + j) % 2]
            problems = tuple(Problem("gaussian", *of, k, dtype) for of in zip(SHAPES, SCALES, strict=True))
            cases.append(Case(rule.dialect(name, nesterov=nesterov, **showing), problems, 4))
    return cases


def always(rule: type[Rule]) -> Sequence[Case]:
    """Near ties for DeVA, AdaGO on its floor, and dialects."""
    ties = [case for case in NARROW_TIES if issubclass(rule, type(case.rule))]
    return [*ties, *floored(rule), *dialects(rule)]


def floored(rule: type[Rule]) -> list[Case]:
    """AdaGO on its default floor."""
    return [case for case in FLOORED if issubclass(rule, type(case.rule))]


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
            worst = max(worst, against_oracle(subject.costs, rule, name, before, grads[name], after))
    return worst


PANELS = (((4, 4), (3, 5), (5,)), ((2, 3, 4), (5, 3)), ((1, 6), (4, 4), ()), ((6, 1), (3, 5)))

LAW = module_law("oracle", check, __doc__, domain=Domain(matrix_panels=PANELS, steps=4, always=always), thorough=True)
