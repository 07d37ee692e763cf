"""Cases, named by what they are: (family, shape, scale, seed, dtype) and a rule's hyperparameters.

Data come from a counter-based generator, so a case is small, shrinks fast and is the same on every machine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from deva_core import Rule

Shape = tuple[int, ...]


def dtype_of(name: str) -> np.dtype:
    """A dtype by name, those of ml_dtypes included."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def spectrum(g: np.random.Generator, m: int, n: int, values: Callable[[int], Any]) -> np.ndarray:
    """A matrix with random singular vectors and given singular values."""
    k = min(m, n)
    U, V = (np.linalg.qr(g.standard_normal((size, k)))[0] for size in (m, n))
    return (U * values(k)) @ V.T


def outlier(g: np.random.Generator, m: int, n: int) -> np.ndarray:
    """One entry a thousand times the others."""
    X = g.standard_normal((m, n))
    X.flat[int(g.integers(X.size))] *= 1e3
    return X


def zero_rows(g: np.random.Generator, m: int, n: int) -> np.ndarray:
    """Every other row zero, as an embedding's gradient."""
    X = g.standard_normal((m, n))
    X[1::2] = 0
    return X


def low_rank(g: np.random.Generator, m: int, n: int, rank: int) -> np.ndarray:
    """A product of Gaussian factors."""
    return g.standard_normal((m, rank)) @ g.standard_normal((rank, n))


CELL = 1 / (2**20 + 0.03)
"""Of the grid on which DeVA orders its basis, relative to the largest quotient (specification, numerics §6.2)."""

TIES = ((0.0, 52.0), (0.0, 3.0), (-0.2, 0.2), (0.3, 0.7), (0.0, 1048.0))
"""Where pairs of nearly tied quotients lie, in cells from a cell's centre, the smaller one first: cells are 52 apart (5e-5,
which float32 can tell), 3 apart (3e-6), the same one (4e-7), neighbours with an edge between (4e-7), 1048 apart (1e-3). A
fifth of a cell or more from every edge, so that no honest float64 differs."""


def near_ties(g: np.random.Generator, m: int, n: int) -> np.ndarray:
    """Orthogonal rows (columns, where these are fewer) whose squared norms are tied in pairs, nearly but not exactly."""
    if m > n:
        return near_ties(g, n, m).T
    levels = ((round((0.9 - 0.15 * k) / CELL) + x) * CELL for k, pair in enumerate(TIES) for x in pair)
    quotients = np.array([*islice(levels, m - 1), 1.0])
    return np.sqrt(quotients)[:, None] * np.linalg.qr(g.standard_normal((n, m)))[0].T


FAMILIES: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "gaussian": lambda g, m, n: g.standard_normal((m, n)),
    "rank_one": lambda g, m, n: low_rank(g, m, n, 1),
    "geometric": lambda g, m, n: spectrum(g, m, n, lambda k: 10.0 ** -np.linspace(0, 6, k)),
    "orthogonal": lambda g, m, n: spectrum(g, m, n, np.ones),
    "zero_rows": zero_rows,
    "signs": lambda g, m, n: np.sign(g.standard_normal((m, n))),
    "outlier": outlier,
    "rank_two": lambda g, m, n: low_rank(g, m, n, 2),
    "integers": lambda g, m, n: g.integers(-3, 4, (m, n)).astype(float),
    "constant": lambda g, m, n: np.ones((m, n)),
    "repelling": lambda g, m, n: spectrum(g, m, n, lambda k: np.linspace(1, 0.868, k)),
    "zero": lambda g, m, n: np.zeros((m, n)),
    "near_ties": near_ties,
}
"""Gradient families by name. `repelling`: around the fixed point of Jordan's polynomial that pushes away."""

FULL_RANK = ("gaussian", "outlier")
"""Families with full rank and distinct singular values: the domain of laws about published (eigh) bases."""

NONZERO = tuple(name for name in FAMILIES if name not in ("zero", "near_ties"))
"""What every law may be given. Near ties are for laws that speak of DeVA's order: in float32 it is rounding's to decide."""

WEIGHTS, GRADIENTS = 0, 1


@dataclass(frozen=True)
class Problem:
    """A parameter and its gradients, by name."""

    family: str
    shape: Shape
    scale: float = 1.0
    seed: int = 0
    dtype: str = "float32"

    def generator(self, stream: int, k: int, index: int) -> np.random.Generator:
        """The k-th draw for the index-th matrix."""
        return np.random.Generator(np.random.Philox(key=[self.seed, stream], counter=[0, 0, k, index]))

    def weights(self) -> np.ndarray:
        """The parameter before the first step: small, so that steps show in it."""
        return (0.05 * self.generator(WEIGHTS, 0, 0).standard_normal(self.shape)).astype(dtype_of(self.dtype))

    def gradient(self, k: int) -> np.ndarray:
        """The gradient of step k = 0, 1, …"""
        *batch, m, n = (1, 1, *self.shape)[-max(len(self.shape), 2) :]
        count = int(np.prod(batch))
        stack = [FAMILIES[self.family](self.generator(GRADIENTS, k, i), m, n) for i in range(count)]
        return (self.scale * np.reshape(stack, self.shape)).astype(dtype_of(self.dtype))


@dataclass(frozen=True)
class Case:
    """A rule, the parameters it moves, and for how many steps."""

    rule: Rule
    problems: tuple[Problem, ...]
    steps: int = 3

    def params(self) -> dict[str, np.ndarray]:
        """The parameters by name: `p0`, `p1`, …"""
        return {f"p{k}": p.weights() for k, p in enumerate(self.problems)}

    def gradients(self, k: int) -> dict[str, np.ndarray]:
        """The gradients of step k = 0, 1, …"""
        return {f"p{j}": p.gradient(k) for j, p in enumerate(self.problems)}
