"""The trace-quadratic problem of DeVA's authors: f(X) = ½ tr(Xᵀ H X) over 9×9 matrices, H of three 3×3 blocks.

Batches of 3 rows, 400 steps, the minimum at zero (arXiv 2602.06880 and github.com/Tsedao/Decoupled-Variance-Adaptation,
trace_quadratic.py). Our own code, in float64, with our own random numbers.
"""

from collections.abc import Callable

import numpy as np

SPECTRA = {
    "heterogeneous": [[1, 2, 3], [99, 100, 101], [4998, 4999, 5000]],
    "homogeneous": [[1, 99, 4998], [2, 100, 4999], [3, 101, 5000]],
}
STEPS, BATCH, N = 400, 3, 9


class Problems:
    """One random instance a seed, stacked: H `(seeds, 9, 9)` and the start."""

    def __init__(self, kind: str, seeds: int) -> None:
        drawn = [instance(SPECTRA[kind], seed) for seed in range(seeds)]
        self.H, self.root, self.start, self.rows = map(np.stack, zip(*drawn, strict=True))

    def value(self, X: np.ndarray) -> np.ndarray:
        """f(X), whose minimum is 0."""
        return 0.5 * np.sum(X * (self.H @ X), axis=(-2, -1))

    def gradient(self, X: np.ndarray, step: int) -> np.ndarray:
        """Of the authors' batch loss ½ (n / batch) ‖A X‖ over some rows of A = √H (a norm, not its square)."""
        A = np.take_along_axis(self.root, self.rows[:, step, :, None], axis=1)
        residual = A @ X
        return 0.5 * N / BATCH * A.swapaxes(1, 2) @ (residual / np.linalg.norm(residual, axis=(1, 2), keepdims=True))

    def whole_gradient(self, X: np.ndarray) -> np.ndarray:
        """Of f."""
        return self.H @ X


def instance(spectra: list[list[int]], seed: int) -> tuple[np.ndarray, ...]:
    """H, its root, the start, and the rows of every batch."""
    r = np.random.default_rng(seed)
    H, root = np.zeros((N, N)), np.zeros((N, N))
    for k, eigenvalues in enumerate(spectra):
        Q, _ = np.linalg.qr(r.normal(size=(3, 3)))
        block = slice(3 * k, 3 * k + 3)
        H[block, block] = Q * eigenvalues @ Q.T
        root[block, block] = Q * np.sqrt(eigenvalues) @ Q.T
    return H, root, r.normal(size=(N, N)), r.integers(0, N, (STEPS, BATCH))


def schedule(lr: float) -> Callable[[int], float]:
    """Constant for the first half, then linear to zero."""
    return lambda count: lr * min(1.0, 2 - 2 * count / STEPS)
