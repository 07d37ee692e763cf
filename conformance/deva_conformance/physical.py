"""A backend's state in the paper's letters: float64, no internal scale, DeVA's momentum in the original space."""

from collections.abc import Mapping

import numpy as np

SQUARES = ("second_moment", "row_second_moment", "column_second_moment", "row_covariance", "column_covariance")
"""The fields that DeVA and DeVAVector keep in units of `scale`²."""

State = dict[str, np.ndarray]


def wide(x: np.ndarray) -> np.ndarray:
    """x in float64."""
    return np.asarray(x).astype(np.float64)


def inverse(Q: np.ndarray) -> np.ndarray:
    """The inverse of a nearly orthogonal matrix, in extended precision: Newton's iteration from the transpose."""
    Q = Q.astype(np.longdouble)
    X, one = np.swapaxes(Q, -1, -2), np.eye(Q.shape[-1], dtype=np.longdouble)
    for _ in range(3):
        X = X @ (2 * one - Q @ X)
    return X


def in_axes(X: np.ndarray, QL: np.ndarray, QR: np.ndarray) -> np.ndarray:
    """The matrix that `QLᵀ · QR` turns into X; an empty basis stands for the coordinate axes.

    Through inverses, as a stored basis is orthogonal only up to its dtype: going there and back loses nothing.
    """
    X = np.swapaxes(inverse(QL), -1, -2) @ X if QL.size else X
    return X @ inverse(QR) if QR.size else X


def physical(fields: Mapping[str, np.ndarray]) -> State:
    """The state that the oracle speaks of."""
    state = {name: wide(x) for name, x in fields.items() if name != "step"}
    if "scale" in state:
        unit = state.pop("scale") ** 2
        state |= {name: state[name] * unit for name in SQUARES if name in state}
    if "row_basis" in state:
        state["momentum"] = in_axes(state["momentum"], state["row_basis"], state["column_basis"])
    return state
