"""A parameter without a gradient stays exactly as it is, decay and step count included.

Whether the gradient is None or absent; the others move on. Its next update counts as its own next one.
"""

from typing import Any

import numpy as np

from deva_conformance import oracle
from deva_conformance.cases import Case, Problem
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import against_oracle, begin, copied, equal, moment, need, rule_for


def check(subject: Subject, case: Case) -> float:
    """Leave out one gradient as None and one entirely, then give all again."""
    p, worst = case.problems[0], 0.0
    named = {
        n: Problem(p.family, p.shape, p.scale, p.seed + k, p.dtype) for k, n in enumerate(("given", "none", "absent"))
    }
    run = begin(subject, case.rule, {n: q.weights() for n, q in named.items()})
    run.step({n: q.gradient(0) for n, q in named.items()})
    before = moment(run)
    partial: dict[str, Any] = {"given": named["given"].gradient(1), "none": None}
    run.step(partial)
    after = moment(run)
    need(int(after.state["given"]["step"]) == 2, "a parameter with a gradient did not count its update")
    for name in ("none", "absent"):
        equal(
            f"{name}: parameters before and after a step without its gradient", before.params[name], after.params[name]
        )
        for field, x in before.state[name].items():
            equal(
                f"{name}.{field} before and after a step without its gradient", np.asarray(x), after.state[name][field]
            )
    grads = {n: q.gradient(2) for n, q in named.items()}
    run.step(copied(grads))
    rule, final = rule_for(case.rule, p.shape), moment(run)
    if type(rule).__name__ in oracle.KNOWN:
        for name in named:
            worst = max(
                worst,
                against_oracle(subject.costs, rule, name, after, grads[name], final, "after a missing gradient, "),
            )
    return worst


LAW = module_law(
    "missing-gradient",
    check,
    __doc__,
    domain=Domain(
        restricted=lambda rule: {"basis": ("canonical",)},
        matrix_panels=(((4, 4),), ((3, 5),)),
        vector_panels=(((5,),), ((3, 4),)),
    ),
)
