"""A backend's fast paths change nothing: with `replacements` on and off, runs agree to rounding.

Whole runs are compared, parameters and state counts. Domain: everything; published bases (`basis="eigh"`), which
rounding may turn, for square matrices of full rank.
"""

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import SHARED, module_law
from deva_conformance.laws._steps import Moment, ask_for, need, reference, rule_for, twins, walk, well_posed
from deva_conformance.tolerance import run_spread, unit_roundoff
from deva_core.costs import Costs


def agree(costs: Costs, label: str, case: Case, steps: int, X: Moment, Y: Moment) -> float:
    """Two runs of a case after some steps, to rounding. Returns the worst ratio."""
    worst = 0.0
    for (name, W), p in zip(case.params().items(), case.problems, strict=True):
        counts = [int(at.state[name]["step"]) for at in (X, Y)]
        need(counts[0] == counts[1], f"{name}: {label}: {counts[0]} and {counts[1]} updates counted")
        grads = [p.gradient(k) for k in range(steps)]
        sigma = run_spread(rule_for(case.rule, p.shape), W, grads, unit_roundoff(W.dtype), costs)["W"]
        worst = max(worst, twins(f"{name}: {label}", X.params[name], Y.params[name], sigma, W.dtype, steps))
    return worst


def check(subject: Subject, case: Case) -> float:
    """Run without fast paths, and compare."""
    options, case = ask_for(subject, replacements=False), well_posed(case)
    grads = [case.gradients(k) for k in range(case.steps)]
    plain = walk(subject, case.rule, case.params(), grads, **options)
    return agree(subject.costs, "with fast paths and without", case, case.steps, reference(subject, case).end, plain)


LAW = module_law("replacements", check, __doc__, domain=SHARED, shared=True)
