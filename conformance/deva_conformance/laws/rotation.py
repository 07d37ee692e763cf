"""Rotating rows and columns of parameter and gradients rotates the update.

Domain (numerics §6.2): Muon and AdaGO; DeVA with the published basis, without sign stabilisation (signs depend on the
basis's own signs only, but a dead zone does not rotate), on square matrices of full rank. A basis that starts from the
coordinate axes is not equivariant: a numbered deviation. The rotated problem is rounded to the dtype, so inputs count
as one rounding off; narrow dtypes, where that rounding is coarser than the arithmetic, are left out. Muon and AdaGO also
for a matrix larger than any that the oracle is given, where backends take other kernels.
"""

from collections.abc import Sequence

import numpy as np

from deva_conformance.cases import NONZERO, Case, Problem
from deva_conformance.driver import Subject
from deva_conformance.laws._law import WIDE_DTYPES, Domain, module_law
from deva_conformance.laws._steps import Arrays, twins, walk, well_posed
from deva_conformance.physical import wide
from deva_conformance.tolerance import run_spread, unit_roundoff
from deva_core import DeVA, Rule

ROTATIONS = 2
LARGE = (72, 80)


def large(rule: type[Rule]) -> Sequence[Case]:
    """A matrix beyond the sizes of small kernels."""
    return () if issubclass(rule, DeVA) else [Case(rule(), (Problem("gaussian", LARGE),), 2)]


def rotation(p: Problem, side: int) -> np.ndarray:
    """A random orthogonal matrix for one side of a problem."""
    n = p.shape[side]
    return np.linalg.qr(p.generator(ROTATIONS, 0, side % 2).standard_normal((n, n)))[0]


def rotated(p: Problem, X: np.ndarray, back: bool = False) -> np.ndarray:
    """`P X Qᵀ`, or `Pᵀ X Q`, rounded to X's dtype."""
    P, Q = rotation(p, -2), rotation(p, -1)
    Y = P.T @ wide(X) @ Q if back else P @ wide(X) @ Q.T
    return Y if back else Y.astype(X.dtype)


def with_twins(case: Case, arrays: Arrays) -> Arrays:
    """Arrays beside their rotated twins."""
    return {**arrays, **{n + "R": rotated(p, arrays[n]) for n, p in zip(arrays, case.problems, strict=True)}}


def check(subject: Subject, case: Case) -> float:
    """Run each problem beside its rotated twin."""
    case = well_posed(case)
    params, worst = with_twins(case, case.params()), 0.0
    grads = [with_twins(case, case.gradients(k)) for k in range(case.steps)]
    end = walk(subject, case.rule, params, grads)
    for name, p in zip(case.params(), case.problems, strict=True):
        twin, dtype = name + "R", params[name].dtype
        u, given = unit_roundoff(dtype), [g[twin] for g in grads]
        # Of the twin: rounded zeros stay zeros, so that a matrix with rows of them hides what the twin's null space does.
        sigma = run_spread(case.rule, params[twin], given, u, subject.costs, noisy_inputs=True)["W"]
        back, label = rotated(p, end.params[twin], back=True), f"{name}: a matrix and its rotated twin"
        worst = max(worst, twins(label, back, end.params[name], sigma, dtype, case.steps))
    return worst


LAW = module_law(
    "rotation",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: rule.matrix,
        restricted=lambda rule: {"basis": ("eigh",), "sign_stabilization": (False,), "max_precondition_dim": (10000,)},
        matrix_panels=(((4, 4),), ((3, 5),), ((2, 3, 4),), ((5, 3),)),
        families=NONZERO,
        dtypes=WIDE_DTYPES,
        steps=2,
        always=large,
    ),
)
