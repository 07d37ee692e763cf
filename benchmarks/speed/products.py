"""How fast this machine multiplies: the products of plain Newton–Schulz at the very shapes and dtype, and nothing else.

By torch, into results that exist, whichever library the optimizers use: of the three that are timed here its products
are the fastest on CPUs, and a floor should not be lower for a slower library. A `Products` is timed in the same rounds as
the optimizers that it is held against, so that all share the machine's load.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.speed import sides
from benchmarks.speed.flops import STEPS, groups
from benchmarks.speed.sets import Shape

BATCHED_BELOW = 128
"""Smaller matrices are multiplied in stacks: one at a time, calls would be timed rather than products. On a GPU all are."""


class Products:
    """Plain Newton–Schulz's products of each group of equal matrices; `seconds[group]` has an entry for each step."""

    def __init__(self, shapes: list[Shape], dtype: str) -> None:
        self.groups = groups(shapes)
        self.seconds: dict[tuple[int, int], list[float]] = {group: [] for group in self.groups}
        r = np.random.default_rng(0)
        self.chains = {
            (n, m): chain(r.standard_normal((count, n, m), dtype=np.float32) / (n * m) ** 0.5, dtype)
            for (n, m), count in self.groups.items()
        }

    def give(self, gradients: list[np.ndarray]) -> None:
        """Nothing: the operands stay."""

    def step(self) -> None:
        """Every group once, timed apart."""
        for group, run in self.chains.items():
            begun = time.perf_counter()
            run()
            sides.wait()
            self.seconds[group].append(time.perf_counter() - begun)


def chain(X: np.ndarray, dtype: str) -> Callable[[], None]:
    """A function without arguments that multiplies for a stack of matrices, one at a time or, if small, together."""
    import torch

    stack = torch.from_numpy(X).to(sides.DEVICE, getattr(torch, dtype))
    n = stack.shape[-2]
    batched = n < BATCHED_BELOW or sides.DEVICE != "cpu"
    multiply: Any = torch.bmm if batched else torch.mm
    parts = [stack] if batched else list(stack)
    A, B = (stack.new_empty((*parts[0].shape[:-2], n, n)) for _ in range(2))
    Y = torch.empty_like(parts[0])

    def run() -> None:
        for Z in parts:
            for _ in range(STEPS):
                multiply(Z, Z.mT, out=A)
                multiply(A, A, out=B)
                multiply(B, Z, out=Y)

    return run
