"""How fast XLA multiplies here: plain Newton–Schulz's products alone, in one compiled function, timed beside JAX steps.

A step of JAX cannot multiply faster than XLA does, whatever other libraries reach at the same shapes (`products`).
"""

import time
from functools import partial
from typing import Any

import numpy as np

from benchmarks.speed.flops import STEPS, groups
from benchmarks.speed.sets import Shape


class XlaProducts:
    """The products of each group of equal matrices, in a loop over the group and batched; `seconds[form]` by step."""

    def __init__(self, shapes: list[Shape]) -> None:
        import jax
        from jax import lax

        r = np.random.default_rng(0)
        stacks = [
            jax.numpy.asarray(r.standard_normal((count, n, m), dtype=np.float32) / (n * m) ** 0.5)
            for (n, m), count in groups(shapes).items()
        ]
        self.stacks, self.wait = stacks, jax.block_until_ready
        self.runs: dict[str, Any] = {
            "loop": jax.jit(lambda stacks: [lax.map(chain, stack) for stack in stacks]),
            "batched": jax.jit(lambda stacks: [jax.vmap(chain)(stack) for stack in stacks]),
        }
        self.seconds: dict[str, list[float]] = {form: [] for form in self.runs}
        for run in self.runs.values():
            self.wait(run(stacks))  # compiled here

    def give(self, gradients: list[np.ndarray]) -> None:
        """Nothing: the operands stay."""

    def step(self) -> None:
        """Each form once."""
        for form, run in self.runs.items():
            begun = time.perf_counter()
            self.wait(run(self.stacks))
            self.seconds[form].append(time.perf_counter() - begun)


def chain(X: Any) -> Any:
    """Every product of the plain iteration, each needed by the next."""
    import jax

    multiply = partial(jax.numpy.matmul, precision=jax.lax.Precision.HIGHEST)
    for _ in range(STEPS):
        A = multiply(X, X.T)
        X = multiply(multiply(A, A), X)
    return X
