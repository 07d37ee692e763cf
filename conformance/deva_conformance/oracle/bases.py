"""DeVA's eigenbases: what a refresh must return, given the covariance and the basis before."""

import itertools

import numpy as np

SHIFT, CELL, FIRST_SWEEPS = 1e-3, 1 / (2**20 + 0.03), 4
"""The constants of the canonical basis (specification, section 6.2)."""

CANDIDATES = 128
"""How many orders are looked at where rounding decides between several."""


def quotients(C: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Rayleigh quotients of the columns, relative to the largest."""
    q = np.array([column @ C @ column for column in Q.T])
    return q / q.max() if q.size and q.max() > 0 else np.zeros_like(q)


def descending(keys: tuple) -> tuple[int, ...]:
    """The stable order from the largest key to the smallest."""
    return tuple(sorted(range(len(keys)), key=lambda k: -keys[k]))


def canonical_orders(C: np.ndarray, Q: np.ndarray, slack: float) -> list[tuple[int, ...]]:
    """The legal orders of the columns, the likeliest first: more than one where a quotient lies on a cell's edge.

    Cells are centred on multiples of their width, so that zero, which rounding may make negative, is not an edge.
    """
    cells = quotients(C, Q) / CELL + 0.5
    margin = slack / CELL
    keys = [
        sorted({np.floor(x), np.floor(x - margin), np.floor(x + margin)}, key=lambda k, x=x: k != np.floor(x))
        for x in cells
    ]
    choices = itertools.islice(itertools.product(*keys), CANDIDATES)
    return list(dict.fromkeys(descending(choice) for choice in choices))


def published_orders(C: np.ndarray, Q: np.ndarray, slack: float) -> list[tuple[int, ...]]:
    """As SOAP orders, by exact quotients: any order inside a group that rounding cannot tell apart."""
    q = quotients(C, Q)
    order = descending(tuple(q))
    groups: list[list[int]] = []
    for k in order:
        if groups and q[groups[-1][-1]] - q[k] <= slack:
            groups[-1].append(k)
        else:
            groups.append([k])
    choices = itertools.product(*(itertools.permutations(group) for group in groups))
    return [tuple(itertools.chain(*choice)) for choice in itertools.islice(choices, CANDIDATES)]


def gram_schmidt(A: np.ndarray) -> np.ndarray:
    """Orthonormal columns, each with a positive component along the column of A that it comes from (done twice)."""
    Q = np.zeros_like(A)
    for j in range(A.shape[1]):
        v = A[:, j].copy()
        for _ in range(2):
            v -= Q[:, :j] @ (Q[:, :j].T @ v)
        Q[:, j] = v / np.linalg.norm(v)
    return Q


def canonical_sweep(C: np.ndarray, Q: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """One shifted power iteration of the ordered columns."""
    n = len(C)
    mean = np.trace(C) / n
    shifted = C / mean + SHIFT * np.eye(n) if mean > 0 else np.eye(n)
    return gram_schmidt(shifted @ Q[:, list(order)])


def canonical_first(C: np.ndarray, slack: float) -> tuple[np.ndarray, bool]:
    """The basis after the first gradient, and whether rounding decided an order on the way."""
    Q, open_order = np.eye(len(C)), False
    for _ in range(FIRST_SWEEPS):
        orders = canonical_orders(C, Q, slack)
        open_order = open_order or len(orders) > 1
        Q = canonical_sweep(C, Q, orders[0])
    return Q, open_order


def aligned(Q: np.ndarray, to: np.ndarray, C: np.ndarray, slack: float) -> np.ndarray:
    """Q with columns exchanged as in `to`, where their quotients share a cell or touch its edge; else as it is."""
    match = np.argmax(np.abs(Q.T @ to), axis=0)
    q = quotients(C, Q)
    legal = sorted(match) == list(range(len(match))) and np.all(np.abs(q[match] - q) <= CELL + slack)
    return Q[:, match] if legal else Q


def published_defect(C: np.ndarray, old: np.ndarray, new: np.ndarray, order: tuple[int, ...], first: bool) -> float:
    """How far `new` is from a published basis, relative to C: eigenvectors in order, or a QR factor of `C old`."""
    size = float(np.linalg.norm(C)) or 1.0
    if first:
        D = new.T @ C @ new
        rising = np.maximum(np.diff(np.diagonal(D)), 0)
        return float(np.linalg.norm(D - np.diag(np.diagonal(D))) + np.linalg.norm(rising)) / size
    R = new.T @ C @ old[:, list(order)]
    return float(np.linalg.norm(np.tril(R, -1))) / size
