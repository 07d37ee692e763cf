"""A stack of matrices moves as its matrices do one by one.

Axes before the last two are batch axes. Stacked products may round differently, so to rounding, over the whole run.
Domain: matrix rules (the vector rules' relative eps is a parameter's own: theirs are not stacks).
"""

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import Arrays, need, twins, walk
from deva_conformance.tolerance import run_spread, unit_roundoff


def singles(stacks: Arrays) -> Arrays:
    """Each matrix of each stack under a name of its own."""
    return {f"{name}[{k}]": X[k].copy() for name, X in stacks.items() for k in range(len(X))}


def check(subject: Subject, case: Case) -> float:
    """Run the stack beside its matrices."""
    params, grads, worst = case.params(), [case.gradients(k) for k in range(case.steps)], 0.0
    end = walk(subject, case.rule, {**params, **singles(params)}, [{**g, **singles(g)} for g in grads])
    for name, W in params.items():
        need(end.params[name].shape == W.shape, f"{name} has the shape {end.params[name].shape}")
        for k in range(len(W)):
            sigma = run_spread(case.rule, W[k], [g[name][k] for g in grads], unit_roundoff(W.dtype), subject.costs)["W"]
            label = f"{name}[{k}]: in a stack and alone"
            worst = max(
                worst, twins(label, end.params[name][k], end.params[f"{name}[{k}]"], sigma, W.dtype, case.steps)
            )
    return worst


LAW = module_law(
    "batched",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: rule.matrix,
        restricted=lambda rule: {"basis": ("canonical",)},
        matrix_panels=(((2, 3, 4),), ((2, 4, 4),)),
        steps=2,
    ),
)
