"""Singular values and vectors: LAPACK's for judging float32, one-sided Jacobi in extended precision for float64."""

import itertools

import numpy as np

Factors = tuple[np.ndarray, np.ndarray, np.ndarray]

SWEEPS = 20


def decompose(X: np.ndarray, unit_roundoff: float) -> Factors:
    """`U, s, Vᵀ`, the largest singular value first, more exact than an arithmetic of this unit roundoff."""
    if unit_roundoff > 2.0**-53:
        return np.linalg.svd(X.astype(np.float64), full_matrices=False)
    if X.shape[0] < X.shape[1]:
        U, s, Vt = jacobi(X.T)
        return Vt.T, s, U.T
    return jacobi(X)


def jacobi(X: np.ndarray) -> Factors:
    """Hestenes' method for a tall matrix: rotate columns in pairs until all are orthogonal."""
    A = X.astype(np.longdouble)
    V = np.eye(A.shape[1], dtype=np.longdouble)
    size = np.max(np.abs(A), initial=0.0)
    A = A / size if size > 0 else A
    pairs = list(itertools.combinations(range(A.shape[1]), 2))
    for _ in range(SWEEPS):
        if not sum([rotate(A, V, p, q) for p, q in pairs]):
            break
    s = np.sqrt(np.sum(A**2, axis=0))
    order = np.argsort(-s, kind="stable")
    U = np.divide(A, s, out=np.zeros_like(A), where=s > 0)
    return U[:, order], s[order] * size, V[:, order].T


def rotate(A: np.ndarray, V: np.ndarray, p: int, q: int) -> bool:
    """Make two columns of A orthogonal, V along with them, in place; whether they were not."""
    a, b, c = A[:, p] @ A[:, p], A[:, q] @ A[:, q], A[:, p] @ A[:, q]
    eps = np.finfo(np.longdouble).eps
    if abs(c) <= eps * np.sqrt(a * b) or min(a, b) <= eps**4:
        return False
    zeta = (b - a) / (2 * c)
    t = (1 if zeta >= 0 else -1) / (abs(zeta) + np.sqrt(1 + zeta * zeta))
    turn = np.array([[1, t], [-t, 1]]) / np.sqrt(1 + t * t)
    for columns in (A, V):
        columns[:, [p, q]] = columns[:, [p, q]] @ turn
    return True
