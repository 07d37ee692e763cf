"""Rounding moves DeVA by rounding: gradients perturbed by a relative 1e-12 move the run by at most 1e-8 of its length.

After 23 steps with two refreshes, in float64, for every shape and family, ill-conditioned ones included; 1e-6 when
sign-stabilised, where a dead zone's edge amplifies (specification, numerics §6.3).
Domain: the default DeVA, plain, factored and sign-stabilised. `statistics="gradient"` takes a root at 0, and published
bases are not determined by their covariance: both are outside.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from deva_conformance.cases import Case, Problem
from deva_conformance.driver import Subject
from deva_conformance.laws._law import PLAIN, Domain, module_law
from deva_conformance.laws._steps import need, walk
from deva_core import DeVA, Rule, hyperparameters

PERTURBATION, PERTURBATIONS = 1e-12, 4
"""The relative size, and the stream of random numbers."""

FREE = {"factored": (False, True), "sign_stabilization": (False, True)}


def restricted(rule: type[Rule]) -> dict[str, Any]:
    """Defaults, but for what the law frees."""
    return {name: FREE.get(name, (h.default,)) for name, h in hyperparameters(rule).items()}


def degenerate(rule: type[Rule]) -> Sequence[Case]:
    """Where bases are least determined: all eigenvalues tied, nearly tied in pairs, or all but one zero."""
    problems = [Problem(family, (8, 8), 1.0, 0, "float64") for family in ("orthogonal", "near_ties", "constant")]
    return [Case(rule(), (problem,), 23) for problem in problems]


def perturbed(p: Problem, k: int) -> np.ndarray:
    """The k-th gradient, every entry off by about 1e-12 of itself."""
    G = p.gradient(k)
    return G * (1 + PERTURBATION * p.generator(PERTURBATIONS, k, 0).standard_normal(G.shape))


def check(subject: Subject, case: Case) -> float:
    """Run each problem beside its perturbed twin."""
    params, named = case.params(), dict(zip(case.params(), case.problems, strict=True))
    both = {**params, **{n + "~": W.copy() for n, W in params.items()}}
    grads = [{**case.gradients(k), **{n + "~": perturbed(p, k) for n, p in named.items()}} for k in range(case.steps)]
    end = walk(subject, case.rule, both, grads).params
    bound: float = 1e-6 if getattr(case.rule, "sign_stabilization", False) else 1e-8
    for name, W in params.items():
        walked = float(np.linalg.norm(end[name] - W)) or 1.0
        moved = float(np.linalg.norm(end[name + "~"] - end[name])) / walked
        need(
            moved <= bound,
            f"{name}: a perturbation of 1e-12 moves the run by {moved:.2g} of its length (at most {bound:g})",
        )
    return 0.0


LAW = module_law(
    "well-posedness",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: issubclass(rule, DeVA),
        restricted=restricted,
        matrix_panels=(((6, 10),), ((8, 8), (10, 6)), ((1, 9), (12, 3))),
        scales=lambda rule: PLAIN,
        dtypes=("float64",),
        steps=23,
        always=degenerate,
    ),
)
