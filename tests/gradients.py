"""Gradient streams of many kinds, from a counter-based generator: the same everywhere, on every run."""

import numpy as np


def generator(family: str, shape: tuple[int, ...], seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, sum(map(ord, family)) * 1000 + sum(shape)]))


def rank(k: int, r: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    *batch, m, n = shape
    return r.normal(size=(*batch, m, k)) @ r.normal(size=(*batch, k, n))


def orthogonal(r: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    U, _, Vh = np.linalg.svd(r.normal(size=shape), full_matrices=False)
    return U @ Vh


def zero_rows(G: np.ndarray, kept: np.ndarray) -> np.ndarray:
    return G * kept[..., :, None]


def stream(family: str, shape: tuple[int, ...], steps: int, seed: int = 0) -> list[np.ndarray]:
    """`steps` gradients of a family."""
    r = generator(family, shape, seed)
    m = shape[-2]
    fixed, row = r.normal(size=shape), r.normal(size=(*shape[:-2], 1, shape[-1]))
    fixed_rank_one, fixed_orthogonal = rank(1, r, shape), orthogonal(r, shape)
    families = {
        "full rank": lambda: fixed + 0.7 * r.normal(size=shape),
        "rank one, fixed": lambda: fixed_rank_one * (1 + 0.3 * r.normal()),
        "rank one, changing": lambda: rank(1, r, shape),
        "rank two": lambda: rank(2, r, shape),
        "orthogonal": lambda: fixed_orthogonal,
        "orthogonal, changing": lambda: orthogonal(r, shape),
        "zero rows": lambda: zero_rows(r.normal(size=shape), np.arange(m) % 3 != 1),
        "mostly zero rows": lambda: zero_rows(r.normal(size=shape), r.random(m) < 0.2),
        "±1": lambda: np.sign(r.normal(size=shape)),
        "repeated rows": lambda: np.broadcast_to(row + 0.5 * r.normal(size=row.shape), shape).copy(),
        "equal-norm rows": lambda: (lambda G: G / np.linalg.norm(G, axis=-1, keepdims=True))(r.normal(size=shape)),
        "1e-12": lambda: 1e-12 * (fixed + 0.7 * r.normal(size=shape)),
        "zero": lambda: np.zeros(shape),
    }
    return [families[family]() for _ in range(steps)]


def walked(start: np.ndarray, end: np.ndarray) -> float:
    """The distance between two values of a parameter, 1 where it did not move."""
    return float(np.linalg.norm(end - start)) or 1.0
