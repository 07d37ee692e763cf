"""Faults in the grid on which DeVA orders its canonical basis: seen only where quotients are nearly tied."""

from collections.abc import Callable
from typing import Any

import numpy as np

from deva_conformance.cases import CELL
from deva_conformance.faults.hooks import Fault
from deva_conformance.faults.operations import functions
from deva_core import DeVA


def cells_of(width: float) -> Callable[[Any], Any]:
    """Cells of another width. (The rules floor nothing but `quotient / CELL + 0.5`.)"""
    return lambda X: np.floor((X - 0.5) * (CELL / width) + 0.5)


def beside(shift: float) -> Callable[[Any], Any]:
    """Cells that are centred elsewhere."""
    return lambda X: np.floor(X + shift)


def reversed_in_cells(X: np.ndarray, *, axis: int = -1, stable: bool = True, **o: Any) -> np.ndarray:
    """The order from a sort that is not stable: columns of one cell come out backwards, if not all are in one."""
    backwards = X.shape[axis] - 1 - np.flip(np.argsort(np.flip(X, axis=axis), axis=axis, kind="stable"), axis=axis)
    return backwards if np.ptp(X) else np.argsort(X, axis=axis, kind="stable")


FAULTS = {
    "cell-coarser": Fault(
        about="cells of 1.2e-4 for 1e-6", law="oracle", on=DeVA, backend=functions(floor=cells_of(1.234567e-4))
    ),
    "cell-coarser-little": Fault(
        about="cells of 4e-6 for 1e-6", law="oracle", on=DeVA, backend=functions(floor=cells_of(4e-6))
    ),
    "cell-finer": Fault(
        about="cells of 1e-10 for 1e-6", law="oracle", on=DeVA, backend=functions(floor=cells_of(CELL * 1e-4))
    ),
    "cell-floored": Fault(
        about="cells begin, not centred, at multiples", law="oracle", on=DeVA, backend=functions(floor=beside(-0.5))
    ),
    "cell-stability": Fault(
        about="the order within a cell is lost", law="oracle", on=DeVA, backend=functions(argsort=reversed_in_cells)
    ),
    "order-exact": Fault(
        about="ordered by exact quotients, no cells", law="oracle", on=DeVA, backend=functions(floor=lambda X: X)
    ),
}
