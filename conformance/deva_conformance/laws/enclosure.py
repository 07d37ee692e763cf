"""Every float64 step lies within four times the due rounding error of its true value, which ball arithmetic encloses.

From the state that the backend exported, `deva_core`'s definition is evaluated in balls of 160 bits or more: an interval
that certainly holds what exact arithmetic gives, its radius under 2**-30 of the due rounding error σ of this very case. The
`oracle` law is the papers by another route, but in float64 its own errors are of the size that it judges, up to 4.1 σ: its
threshold of 16 lets products of 49 bits pass. Here the reference has no error, so the threshold follows what honest
backends reach: 2.1 σ at most (docs/conformance.md, "The last bits of float64"). σ is that of the form of Newton–Schulz which
the backend's `operations()` say it chooses. The ratio is reported on the kit's scale, where 16 stands for the four.
Domain: float64. Left out: `ns_coefficients="exact"` and `basis="eigh"`, which are what an SVD or an eigendecomposition
says they are, with a rank and an order that rounding decides; and single steps whose decisions rounding takes (a quotient
on the edge of a cell, an entry on the edge of the dead zone). Needs python-flint.
"""

from deva_conformance import balls
from deva_conformance.balls_step import enclosed, off_by
from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, NotSupported, module_law
from deva_conformance.laws._steps import Arrays, Moment, need, rule_for, steps
from deva_conformance.strategies import COEFFICIENTS
from deva_conformance.tolerance import DOUBLE, THRESHOLD
from deva_core import Rule
from deva_core.costs import Costs

LIMIT = 4.0
"""In units of the due rounding error. About twice what honest backends reach; `python -m deva_conformance.balls_power`
reprints both sides: honest backends below, and how many bits a product may lack before it is above."""


def one_step(rule: Rule, name: str, before: Moment, grads: Arrays, after: Moment, costs: Costs) -> float:
    """The worst ratio of one parameter's step, in units of the due rounding error."""
    W, fields, reached = before.params[name], before.state[name], after.state[name]
    t = int(fields["step"]) + 1
    new, scale = enclosed(rule, fields, W, grads[name], t, DOUBLE, costs)
    worst = 0.0
    for field, x in new.items():
        need(field == "W" or field in reached, f"{name} has no {field} in its state")
        actual, what = (after.params[name], "parameter") if field == "W" else (reached[field], field)
        found = off_by(actual, x, scale[field])
        need(
            found <= LIMIT, f"{name} {what} at update {t}: {found:.3g} times the due rounding error from the true value"
        )
        worst = max(worst, found)
    return worst


def check(subject: Subject, case: Case) -> float:
    """Enclose each step of each parameter."""
    if balls.flint is None:
        raise NotSupported(balls.HOW)
    worst, reason, costs = None, "", subject.costs
    for _, before, grads, after in steps(subject, case):
        for name, problem in zip(grads, case.problems, strict=True):
            try:
                found = one_step(rule_for(case.rule, problem.shape), name, before, grads, after, costs)
            except balls.Undetermined as undetermined:
                reason = str(undetermined)
            else:
                worst = max(worst or 0.0, found)
    if worst is None:
        raise NotSupported(f"no step is determined: {reason}")
    return worst * THRESHOLD / LIMIT


LAW = module_law(
    "enclosure",
    check,
    __doc__,
    domain=Domain(
        restricted=lambda rule: {
            "basis": ("canonical",),
            "ns_coefficients": tuple(c for c in COEFFICIENTS if c != "exact"),
        },
        matrix_panels=(((4, 4), (3, 5)), ((2, 3, 4),), ((6, 1), (4, 4)), ((5, 3),)),
        vector_panels=(((5,), (3, 4)), ((), (2, 3, 4))),
        dtypes=("float64",),
        steps=3,
    ),
)
