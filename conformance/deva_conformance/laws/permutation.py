"""Permuting rows and columns of parameter and gradients permutes the update.

Domain (numerics §6.2): Muon and AdaGO; DeVA with the published basis at full rank, on square matrices. A basis that
starts from the coordinate axes is not equivariant: a numbered deviation. A permutation rounds nothing, so narrow dtypes
belong to the domain too, a matrix of many tiles among them; sums in another order may round differently.
"""

from collections.abc import Sequence

import numpy as np

from deva_conformance.cases import Case, Problem
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import Arrays, twins, walk, well_posed
from deva_conformance.tolerance import run_spread, unit_roundoff
from deva_core import DeVA, Rule

PERMUTATIONS = 3
"""The stream of random numbers."""
LARGE = (72, 80)


def large(rule: type[Rule]) -> Sequence[Case]:
    """A matrix of many tiles in each narrow dtype, which has kernels of its own."""
    if issubclass(rule, DeVA):
        return ()
    return [Case(rule(), (Problem("gaussian", LARGE, dtype=dtype),), 2) for dtype in ("bfloat16", "float16")]


def orders(p: Problem) -> tuple[np.ndarray, np.ndarray]:
    """A random order of a problem's rows, and one of its columns."""
    rows, columns = (p.generator(PERMUTATIONS, 0, side).permutation(p.shape[side - 2]) for side in (0, 1))
    return rows, columns


def permuted(p: Problem, X: np.ndarray, back: bool = False) -> np.ndarray:
    """X with its rows and columns in another order, or back in theirs."""
    rows, columns = (np.argsort(order) if back else order for order in orders(p))
    return np.ascontiguousarray(X[..., rows, :][..., :, columns])


def with_twins(case: Case, arrays: Arrays) -> Arrays:
    """Arrays beside their permuted twins."""
    return {**arrays, **{n + "P": permuted(p, arrays[n]) for n, p in zip(arrays, case.problems, strict=True)}}


def check(subject: Subject, case: Case) -> float:
    """Run each problem beside its permuted twin."""
    case = well_posed(case)
    params, grads, worst = case.params(), [case.gradients(k) for k in range(case.steps)], 0.0
    end = walk(subject, case.rule, with_twins(case, params), [with_twins(case, g) for g in grads])
    for (name, W), p in zip(params.items(), case.problems, strict=True):
        sigma = run_spread(case.rule, W, [g[name] for g in grads], unit_roundoff(W.dtype), subject.costs)["W"]
        back, label = permuted(p, end.params[name + "P"], back=True), f"{name}: a matrix and its permuted twin"
        worst = max(worst, twins(label, back, end.params[name], sigma, W.dtype, case.steps))
    return worst


LAW = module_law(
    "permutation",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: rule.matrix,
        restricted=lambda rule: {"basis": ("eigh",), "max_precondition_dim": (10000,)},
        matrix_panels=(((5, 3),), ((4, 4),), ((2, 3, 4),), ((1, 6),)),
        steps=2,
        always=large,
    ),
)
