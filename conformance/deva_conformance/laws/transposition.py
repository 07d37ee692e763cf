"""The update of the transposed problem is the transposed update.

Domain: matrix rules whose shape factor is symmetric in rows and columns (`scale` "none" or "rms"); DeVA with the
canonical basis. Two honest results differ by rounding, measured over the whole run.
"""

import numpy as np

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import need, twins, walk
from deva_conformance.tolerance import run_spread, unit_roundoff


def turned(X: np.ndarray) -> np.ndarray:
    """The last two axes exchanged."""
    return np.ascontiguousarray(np.swapaxes(X, -1, -2))


def check(subject: Subject, case: Case) -> float:
    """Run each problem beside its transpose."""
    params, grads, worst = case.params(), [case.gradients(k) for k in range(case.steps)], 0.0
    both = {**params, **{name + "T": turned(W) for name, W in params.items()}}
    end = walk(subject, case.rule, both, [{**g, **{n + "T": turned(G) for n, G in g.items()}} for g in grads])
    for name, W in params.items():
        u = unit_roundoff(W.dtype)
        sigma = run_spread(case.rule, W, [g[name] for g in grads], u, subject.costs)["W"]
        X, Y = end.params[name], end.params[name + "T"]
        need(X.shape == turned(Y).shape, f"{name}: shapes {X.shape} and {Y.shape} of a transposed pair")
        worst = max(worst, twins(f"{name}: a matrix and its transpose", X, turned(Y), sigma, W.dtype, case.steps))
    return worst


LAW = module_law(
    "transposition",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: rule.matrix,
        restricted=lambda rule: {"scale": ("rms", "none"), "basis": ("canonical",)},
        matrix_panels=(((4, 4),), ((3, 5),), ((2, 3, 4),), ((6, 1),)),
        steps=2,
    ),
)
