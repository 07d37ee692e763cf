"""What checks of single operations share: operands, the backend's results, and entrywise comparison."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from deva_conformance.cases import FAMILIES, Problem, dtype_of, spectrum
from deva_conformance.laws._steps import need, within
from deva_conformance.tolerance import unit_roundoff
from deva_core import Rule
from deva_core.capabilities import Operations

INPUTS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    **{name: FAMILIES[name] for name in ("gaussian", "rank_one", "repelling")},
    "graded": lambda g, m, n: spectrum(g, m, n, lambda k: 10.0 ** -np.linspace(0, 8, k)),
    "huge": lambda g, m, n: 2.0**40 * g.standard_normal((m, n)),
    "tiny": lambda g, m, n: 2.0**-40 * g.standard_normal((m, n)),
}
"""Families of matrices. `graded`: singular values down to 1e-8. `huge`, `tiny`: where half precision has no numbers."""


@dataclass(frozen=True)
class Bench:
    """One operand's name and the operations under test."""

    operations: Operations
    rule: Rule
    problem: Problem

    @property
    def dtype(self) -> np.dtype:
        """The working dtype."""
        return dtype_of(self.problem.dtype)

    @property
    def u(self) -> float:
        """Its unit roundoff."""
        return unit_roundoff(self.dtype)

    def draw(self, stream: int = 0, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """A stack of matrices of the problem's family."""
        *batch, m, n = shape or (1, 1, *self.problem.shape)[-max(len(self.problem.shape), 2) :]
        make, count = INPUTS[self.problem.family], int(np.prod(batch, dtype=int))
        stack = [make(self.problem.generator(stream, 0, i), m, n) for i in range(count)]
        return np.reshape(stack, (*batch, m, n)).astype(self.dtype)

    @cached_property
    def X(self) -> np.ndarray:
        """The operand."""
        return self.draw()

    def call(self, function: Callable, *arrays: np.ndarray) -> np.ndarray:
        """The backend's result, of the working dtype."""
        result = np.asarray(self.operations.call(function, *arrays))
        need(result.dtype == self.dtype, f"{self.dtype} operands give {result.dtype}")
        return result


def extended(X: Any) -> np.ndarray:
    """X in a dtype in which an error of the working one is none."""
    return np.asarray(X, dtype=np.longdouble)


def product(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """`A B` in a wider dtype: NumPy's float64 for float32, its loops in extended precision for float64."""
    kind = np.longdouble if A.dtype == np.float64 else np.float64
    return A.astype(kind) @ B.astype(kind)


def entrywise(label: str, actual: np.ndarray, expected: Any, size: Any) -> float:
    """The worst entry's error, in units of `size`; where that is zero, nothing but equality will do."""
    need(actual.shape == np.shape(expected), f"{label} has the shape {actual.shape}, not {np.shape(expected)}")
    error = np.abs(extended(actual) - extended(expected))
    size = np.broadcast_to(extended(size), error.shape)
    worst = np.where(error == 0, 0.0, np.divide(error, size, out=np.full(error.shape, np.inf), where=size > 0))
    return within(label, float(np.max(np.where(np.isnan(worst), np.inf, worst), initial=0.0)))


def transposed(X: Any) -> Any:
    """The last two axes exchanged."""
    return np.swapaxes(X, -1, -2)


def square(X: np.ndarray) -> np.ndarray:
    """The largest leading square block."""
    n = min(X.shape[-2:])
    return X[..., :n, :n].copy()
