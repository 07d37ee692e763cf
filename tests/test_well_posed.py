"""DeVA's result is determined: rounding moves it by rounding."""

import numpy as np
import pytest

from deva_core import DeVA
from deva_numpy import start
from tests.gradients import generator, stream, walked

SHAPES = [(8, 8), (6, 10), (10, 6), (8, 32), (32, 8), (1, 9), (40, 3)]
FAMILIES = [
    "full rank",
    "rank one, fixed",
    "rank one, changing",
    "rank two",
    "orthogonal",
    "orthogonal, changing",
    "zero rows",
    "mostly zero rows",
    "±1",
    "repeated rows",
    "equal-norm rows",
    "zero",
]
STEPS = 23


def trajectory_end(rule, gradients, W):
    run = start(rule, {"W": W})
    for G in gradients:
        run.step({"W": G})
    return run.params["W"]


def relative(r, G):
    """Every entry by a relative 1e-12."""
    return G * (1 + 1e-12 * r.normal(size=G.shape))


def normwise(r, G):
    """Zeros too: by 1e-12 of the gradient's typical entry."""
    return G + 1e-12 * np.linalg.norm(G) / np.sqrt(G.size) * r.normal(size=G.shape)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("rule", "bound"),
    [(DeVA(), 1e-8), (DeVA(factored=True), 1e-8), (DeVA(sign_stabilization=True), 1e-6)],
    ids=["plain", "factored", "sign-stabilised"],
)
def test_a_perturbation_of_1e_12_moves_the_trajectory_by_at_most_the_bound(rule, bound, family):
    """Relative to the distance walked, after two refreshes, for each shape and two kinds of perturbation."""
    for shape in SHAPES:
        for seed in range(2):
            r = generator("perturbation", shape, seed)
            W, gradients = r.normal(size=shape), stream(family, shape, STEPS, seed)
            end = trajectory_end(rule, gradients, W)
            assert np.isfinite(end).all()
            for perturbed in (relative, normwise):
                other = trajectory_end(rule, [perturbed(r, G) for G in gradients], W)
                moved = np.linalg.norm(other - end) / walked(W, end)
                assert moved <= bound, f"{shape}, {perturbed.__name__}: {moved:.1e}"


def test_the_published_basis_does_not_have_this_property():
    """The criterion can fail: with eigenvectors from LAPACK a rectangular matrix is moved a million times more."""
    gradients, r = stream("full rank", (10, 6), STEPS), generator("perturbation", (10, 6), 0)
    W = r.normal(size=(10, 6))
    rule = DeVA(basis="eigh", precondition_frequency=5)
    end = trajectory_end(rule, gradients, W)
    other = trajectory_end(rule, [relative(r, G) for G in gradients], W)
    assert np.linalg.norm(other - end) / walked(W, end) > 1e-4
