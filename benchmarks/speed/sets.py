"""The shapes that are timed, and their gradients."""

import numpy as np

Shape = tuple[int, ...]

BLOCK: list[Shape] = [(1152, 384), (384, 384), (1536, 384), (384, 1536)]
"""The matrices of one transformer block of width 384: qkv, projection, and the two of the MLP, as (out, in)."""

SETS: dict[str, list[Shape]] = {
    "nano": BLOCK * 6,
    "many": [(64, 64)] * 128 + [(32, 128)] * 64,
    "tall": [(256, 4096)] * 4,
    "vector": [(50257, 384), *((384 * (1 + k % 4),) for k in range(100))],
    "nano/6": BLOCK,
    "tall/4": [(256, 4096)],
}

DESCRIPTIONS = {
    "nano": "six transformer blocks of width 384: 6 × (1152×384, 384×384, 1536×384, 384×1536)",
    "many": "many small matrices: 128 × (64×64) and 64 × (32×128)",
    "tall": "long matrices: 4 × (256×4096)",
    "vector": "an embedding 50257×384 and 100 vectors of 384 to 1536, all under the vector rule",
    "nano/6": "one block of nano",
    "tall/4": "one matrix of tall",
}


def size(shapes: list[Shape]) -> int:
    """The number of entries.

    Example:
        >>> size([(2, 3), (4,)])
        10
    """
    return sum(int(np.prod(shape)) for shape in shapes)


def arrays(shapes: list[Shape], seed: int) -> list[np.ndarray]:
    """Standard normal float32 arrays."""
    r = np.random.default_rng(seed)
    return [r.standard_normal(shape, dtype=np.float32) for shape in shapes]


class Gradients:
    """Gradients by round: a few sets of values in turn, so that no side sees the same twice in a row."""

    def __init__(self, shapes: list[Shape], distinct: int = 3) -> None:
        self.pool = [arrays(shapes, seed=100 + k) for k in range(distinct)]

    def __getitem__(self, k: int) -> list[np.ndarray]:
        return self.pool[k % len(self.pool)]
