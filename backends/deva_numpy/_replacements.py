"""Faster versions of core's replaceable functions: fewer passes over memory, in parts that fit into a cache.

They write to none of their arguments: core's functional host returns new arrays.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from deva_core import Backend
from deva_core.elementwise import descent as plain_descent
from deva_core.elementwise import ema as plain_ema
from deva_core.elementwise import ema_and_ahead as plain_ema_and_ahead
from deva_core.linalg import unit as plain_unit

CACHED = 2**15
"""The number of entries of a part."""

RANGE = 2.0**-50, 2.0**50
"""The range of norms whose squares, and whose parts' squares, stay far from float32's limits."""


def parts(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Equal parts of contiguous arrays of one size."""
    flat = [x.reshape(-1) for x in arrays]
    return (tuple(x[k : k + CACHED] for x in flat) for k in range(0, flat[0].size, CACHED))


def in_one_piece(*arrays: np.ndarray) -> bool:
    """Whether arrays are contiguous and have one dtype, so that they can be cut in the same way."""
    return all(x.flags.c_contiguous and x.dtype == arrays[0].dtype for x in arrays)


def ema(average: np.ndarray, new: np.ndarray, beta: Any, b: Backend) -> np.ndarray:
    """Two passes over memory instead of three."""
    if not in_one_piece(average, new):
        return plain_ema.__wrapped__(average, new, beta, b)
    out, part = np.empty_like(average), np.empty(min(CACHED, average.size), average.dtype)
    for A, G, M in parts(average, new, out):
        g = np.multiply(G, 1 - beta, out=part[: G.size])
        np.add(np.multiply(A, beta, out=M), g, out=M)
    return out


def ema_and_ahead(average: np.ndarray, new: np.ndarray, beta: Any, b: Backend) -> tuple[np.ndarray, np.ndarray]:
    """Both averages in one pass over the parts."""
    if not in_one_piece(average, new):
        return plain_ema_and_ahead.__wrapped__(average, new, beta, b)
    out, ahead = np.empty_like(average), np.empty_like(average)
    part = np.empty(min(CACHED, average.size), average.dtype)
    for A, G, M, N in parts(average, new, out, ahead):
        g = np.multiply(G, 1 - beta, out=part[: G.size])
        np.add(np.multiply(A, beta, out=M), g, out=M)
        np.add(np.multiply(M, beta, out=N), g, out=N)
    return out, ahead


def descent(direction: np.ndarray, length: Any, W: np.ndarray, decay: Any, b: Backend) -> np.ndarray:
    """One pass for each term."""
    if np.ndim(length) or np.ndim(decay) or not in_one_piece(direction, W):
        return plain_descent.__wrapped__(direction, length, W, decay, b)
    out, part = np.empty_like(W), np.empty(min(CACHED, W.size), W.dtype)
    for O, X, D in parts(direction, W, out):
        np.multiply(O, -length, out=D)
        if decay:
            np.subtract(D, np.multiply(X, decay, out=part[: X.size]), out=D)
    return out


def multiply_add(beta: float, C: np.ndarray, alpha: float, A: np.ndarray, B: np.ndarray, b: Backend) -> np.ndarray:
    """The sum, written over the product."""
    out = b.matmul(A, B)
    if alpha != 1:
        out *= alpha
    out += beta * C
    return out


def plus_identity(Z: np.ndarray, a: float, b: Backend) -> np.ndarray:
    """Adds to the diagonal, without a second matrix."""
    Q, k = Z.copy(), np.arange(Z.shape[-1])
    Q[..., k, k] += np.asarray(a, Z.dtype)
    return Q


def unit(X: np.ndarray, dtype: Any, b: Backend) -> np.ndarray:
    """Two passes where squares stay in range. Elsewhere X is first scaled by a power of two, which rounds nothing, so that
    all scales give the same bits.
    """
    if X.ndim > 2 or X.dtype != np.float32 or not X.flags.c_contiguous:
        return plain_unit.__wrapped__(X, dtype, b)
    size = euclidean(X)
    if not RANGE[0] < size < RANGE[1]:
        peak = np.max(np.abs(X))
        if peak == 0 or not np.isfinite(peak):
            return plain_unit.__wrapped__(X, dtype, b)
        X = np.ldexp(X, -np.frexp(peak)[1])
        size = euclidean(X)
    return (X / np.asarray(size, X.dtype)).astype(dtype, copy=False)


def euclidean(X: np.ndarray) -> float:
    """The norm; each part's squares by one dot product, their sum in float64."""
    return float(np.sqrt(sum(float(np.dot(x, x)) for (x,) in parts(X))))


REPLACEMENTS = {f.__name__: f for f in (ema, ema_and_ahead, descent, multiply_add, plus_identity, unit)}
