"""DeVA's Figure 2: f(X) = ½ tr(Xᵀ H X) over 9×9 matrices, H of three 3×3 blocks, batches of 3 rows, 400 steps.

The authors' setting (arXiv 2602.06880 and github.com/Tsedao/Decoupled-Variance-Adaptation, trace_quadratic.py): H of two
kinds, the minimum at zero, β₁ = 0, β₂ = 0.99, bases refreshed every 10 steps, a constant and from half way on a linearly
decaying learning rate. Our own code, in float64, with our own random numbers, all seeds at once. They ran every method
at one learning rate, `LR`; here it is the middle of a grid.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.papers.journal import Journal
from benchmarks.papers.trace_methods import METHODS, Method

SPECTRA = {
    "heterogeneous": [[1, 2, 3], [99, 100, 101], [4998, 4999, 5000]],
    "homogeneous": [[1, 99, 4998], [2, 100, 4999], [3, 101, 5000]],
}
STEPS, BATCH, N = 400, 3, 9
EVERY = 10
DIVERGED = 1e6
PACKAGES = ("numpy", "torch", "pytorch_optimizer")


@dataclass(frozen=True)
class Task:
    """How many seeds, and how far around the published learning rate, as powers of two."""

    seeds: int = 100
    powers: tuple[int, ...] = (-3, -2, -1, 0, 1, 2, 3, 4)


SHORT = Task(seeds=12, powers=(0, 1, 2))
TICKS = len(SPECTRA) * len(METHODS)


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


def descend(problems: Problems, method: Method, lr: float) -> dict[str, Any]:
    """`final`: log f of each seed; `curve`: [step, mean and standard deviation of log f]; `sums`: medians of Σ H∘γ.

    Nothing where a seed diverges.
    """
    side = method.side(problems.start, schedule(lr))
    X, curve, sums = problems.start, [], []
    for k in range(STEPS):
        G = problems.whole_gradient(X) if method.whole else problems.gradient(X, k)
        X = side.step(X, G, schedule(lr)(k))
        if (k + 1) % EVERY == 0:
            if np.abs(X).max() > DIVERGED:
                return {}
            logs = np.log(problems.value(X))
            curve.append([k + 1, float(logs.mean()), float(logs.std())])
            if side.gamma is not None:
                sums.append(float(np.median(np.sum(problems.H * side.gamma, axis=(1, 2)))))
    return {"final": logs.tolist(), "curve": curve} | ({"sums": sums} if sums else {})


def settings(task: Task) -> dict[str, Any]:
    """What the result says of itself."""
    sums = {kind: float(np.median(Problems(kind, task.seeds).H.sum(axis=(1, 2)))) for kind in SPECTRA}
    lrs = {m.name: m.lr for m in METHODS}
    return {**asdict(task), "methods": {m.name: m.words for m in METHODS}, "lr": lrs, "sum_of_H": sums}


def run(journal: Journal, task: Task, tick: Callable[[str], None]) -> None:
    """What the journal does not hold yet."""
    for kind in SPECTRA:
        problems = Problems(kind, task.seeds)
        for method in METHODS:
            for power in task.powers:
                lr = method.lr * 2.0**power
                key = {"kind": kind, "method": method.name, "lr": lr}
                journal.run(key, lambda: descend(problems, method, lr))  # noqa: B023 - called before the loop goes on
            tick(f"{kind}, {method.name}")
