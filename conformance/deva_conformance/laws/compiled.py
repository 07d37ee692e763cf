"""A compiled step is the step, and is compiled once.

Runs with `compiled=True` and `compiled=False` agree to rounding for two steps; where a run counts its `traces`, there is
one, however many steps. Domain: backends that declare that they compile; published bases for square matrices of full
rank.
"""

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import SHARED, NotSupported, module_law
from deva_conformance.laws._steps import ask_for, need, reference, walk, well_posed
from deva_conformance.laws.replacements import agree

STEPS = 2
"""Eager steps of a framework that compiles are slow."""


def check(subject: Subject, case: Case) -> float:
    """Run eagerly, and compare."""
    if not subject.capabilities.compiled:
        raise NotSupported("the backend declares no compiled step")
    options, case = ask_for(subject, compiled=False), well_posed(case)
    plain = reference(subject, case)
    need(plain.traces in (None, 0, 1), f"the step was traced {plain.traces} times in {case.steps} steps")
    grads = [case.gradients(k) for k in range(STEPS)]
    eager = walk(subject, case.rule, case.params(), grads, **options)
    # The plain run, which other laws have taken too, compiles where it has traced.
    asked = None if plain.traces else walk(subject, case.rule, case.params(), grads, compiled=True)
    return agree(subject.costs, "compiled and eager", case, STEPS, asked or plain.moments[STEPS], eager)


LAW = module_law("compiled", check, __doc__, domain=SHARED, shared=True)
