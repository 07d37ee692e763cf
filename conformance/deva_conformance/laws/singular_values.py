"""An orthogonalised step stretches every direction of the gradient by nearly the same.

The first step from zero is `-length O`; along each singular pair of the gradient that holds at least a hundredth of its
norm, O is at least what the Newton–Schulz coefficients map [0.01, 1] above (0.68 for Jordan's five steps, 1 for "exact"), and
no singular value of O is above what they map [0, 1] below (1.21). Domain: Muon and AdaGO, matrices larger than the other laws'.
"""

import numpy as np

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import need, walk
from deva_conformance.oracle.matrix import floor_of, shape_factor, table
from deva_conformance.physical import wide
from deva_core import AdaGO, Muon, Rule, hyperparameters

LEAST = 0.01
"""The smallest part of the norm that a direction may hold to be judged."""

MARGIN = {"float64": 1e-3, "float32": 1e-3, "bfloat16": 0.04, "float16": 5e-3}
"""Beyond the band: rounding, mostly of a step that is stored in a narrow dtype (an ulp an entry, by the root of rank)."""


def band(rule: Rule) -> tuple[float, float]:
    """The least that the coefficients make of [LEAST, 1], and the most of [0, 1], from a fine grid."""
    values = hyper(rule)
    if values["ns_coefficients"] == "exact":
        return 1.0, 1.0
    s = np.linspace(0, 1, 20001)
    judged = s >= LEAST
    for a, b, c in table(values["ns_coefficients"], values["ns_steps"]):
        s = s * (a + b * s**2 + c * s**4)
    return float(s[judged].min()), float(s.max())


def hyper(rule: Rule) -> dict:
    """A rule's hyperparameters."""
    return {name: getattr(rule, name) for name in hyperparameters(rule)}


def length(rule: Rule, G: np.ndarray) -> float:
    """How long the first step is in each direction, but for O."""
    h = hyper(rule)
    if isinstance(rule, Muon):
        return h["lr"] * shape_factor(h, G.shape)
    c = min(float(np.linalg.norm(G)), h["max_norm"])
    return shape_factor(h, G.shape) * max(floor_of(h), h["lr"] * c / np.sqrt(h["initial_accumulator_value"] + c * c))


def check_matrix(rule: Rule, name: str, G: np.ndarray, step: np.ndarray, margin: float) -> None:
    """One matrix's first step from zero."""
    O, (low, high) = -step / length(rule, G), band(rule)
    U, s, Vt = np.linalg.svd(G, full_matrices=False)
    judged = s >= LEAST * np.linalg.norm(s)
    along = np.einsum("ik,ij,kj->k", U, O, Vt)[judged]
    need(
        bool(np.all(along >= low - margin)),
        f"{name}: a direction is stretched by {np.min(along, initial=9):.4g}, band {low:.4g} to {high:.4g}",
    )
    largest = float(np.linalg.norm(O, 2))
    need(
        largest <= high + margin,
        f"{name}: the largest singular value of a step is {largest:.4g}, band {low:.4g} to {high:.4g}",
    )


def check(subject: Subject, case: Case) -> float:
    """The first step of each problem from zero."""
    grads = case.gradients(0)
    zeros = {name: np.zeros_like(G) for name, G in grads.items()}
    end = walk(subject, case.rule, zeros, [grads]).params
    for name, G in grads.items():
        need(end[name].shape == G.shape, f"{name} has the shape {end[name].shape}")
        for index in np.ndindex(*G.shape[:-2]):
            check_matrix(case.rule, name, wide(G[index]), wide(end[name][index]), MARGIN[G.dtype.name])
    return 0.0


LAW = module_law(
    "singular-values",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: issubclass(rule, (Muon, AdaGO)),
        matrix_panels=(((16, 40),), ((33, 17),), ((2, 20, 24),)),
        families=("gaussian", "orthogonal", "repelling", "signs", "integers", "outlier"),
        steps=1,
    ),
)
