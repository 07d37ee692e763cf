"""AdaGO's claim: better than Muon and Adam on a regression and on images, and not sensitive to lr or γ.

The paper's networks, data and grids are not public to us, so these are ours: a perceptron fits a function, and another
reads scikit-learn's handwritten digits. One grid of learning rates for every method, constant in time, since AdaGO's
step lengths are its own schedule; then, at AdaGO's best, a grid of γ.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import deva_torch
from benchmarks.papers.journal import Journal, Run
from benchmarks.papers.methods import Method, of
from benchmarks.papers.training import train

GRID = tuple(float(f"{10 ** (k / 2):.3g}") for k in range(-7, 3))
METHODS = (
    Method("Adam", of(torch.optim.Adam), GRID, "torch.optim.Adam, its defaults"),
    Method("Muon", of(deva_torch.Muon), GRID, "deva_torch.Muon, its defaults"),
    Method("AdaGO", of(deva_torch.AdaGO), GRID, "deva_torch.AdaGO, its defaults: γ = 10, the paper's scale"),
)
GAMMAS = (0.01, 0.1, 1.0, 10.0, 100.0)
PACKAGES = ("torch", "numpy", "scikit-learn")


class Perceptron(nn.Sequential):
    """Two hidden layers; the method moves every matrix, AdamW the biases."""

    def __init__(self, inputs: int, outputs: int, width: int = 64) -> None:
        sizes = (inputs, width, width, outputs)
        layers = [f for a, b in pairwise(sizes) for f in (nn.Linear(a, b), nn.Tanh())]
        super().__init__(*layers[:-1])

    def split(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Matrices, biases."""
        params = list(self.parameters())
        return [p for p in params if p.ndim == 2], [p for p in params if p.ndim < 2]


Data = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Fit:
    """One data set, its network and its loss."""

    name: str
    data: tuple[Data, Data] = field(repr=False)
    outputs: int
    criterion: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    steps: int
    every: int
    batch: int = 64
    rest_lr: float = 3e-3
    decays: bool = False

    def model(self) -> Perceptron:
        """New."""
        return Perceptron(self.data[0][0].shape[1], self.outputs)

    def loss(self, model: Perceptron, draws: torch.Generator) -> torch.Tensor:
        """Of rows drawn with replacement."""
        x, y = self.data[0]
        rows = torch.randint(len(x), (self.batch,), generator=draws)
        return self.criterion(model(x[rows]), y[rows])

    def evaluate(self, model: Perceptron) -> list[float]:
        """Loss on data held out; of digits also the share read rightly."""
        x, y = self.data[1]
        scores = model(x)
        right = [float((scores.argmax(1) == y).float().mean())] if self.outputs > 1 else []
        return [float(self.criterion(scores, y)), *right]


def wave() -> tuple[Data, Data]:
    """y = sin(3 a·x) + ½ cos(5 b·x) of x in [-1, 1]⁶, without noise: 2048 points to learn from, 1024 held out."""
    r = np.random.default_rng(0)
    x, (a, b) = r.uniform(-1, 1, (3072, 6)), r.normal(size=(2, 6)) / 6**0.5
    y = np.sin(3 * x @ a) + 0.5 * np.cos(5 * x @ b)
    x, y = (torch.tensor(z, dtype=torch.float32) for z in (x, y[:, None]))
    return (x[:2048], y[:2048]), (x[2048:], y[2048:])


def digits() -> tuple[Data, Data]:
    """1797 images of 8×8, a quarter held out."""
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    x, y = torch.tensor(found.data[order] / 16 - 0.5, dtype=torch.float32), torch.tensor(found.target[order])
    cut = len(x) * 3 // 4
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


@dataclass(frozen=True)
class Task:
    """How long and how often."""

    steps: int = 400
    every: int = 20
    seeds: tuple[int, ...] = (0, 1, 2)
    lrs: tuple[float, ...] = GRID
    gammas: tuple[float, ...] = GAMMAS

    def fits(self) -> tuple[Fit, Fit]:
        """The regression and the classification."""
        regression = Fit("regression", wave(), 1, F.mse_loss, self.steps, self.every)
        return regression, Fit("digits", digits(), 10, F.cross_entropy, self.steps, self.every)


SHORT = Task(lrs=GRID[1:-1], gammas=(0.01, 10.0, 100.0))
"""Without the learning rates that are more than a decade off every best. Not fewer seeds: two say less than three."""


def ticks(task: Task) -> int:
    """Settings, all seeds of each."""
    return 2 * (len(METHODS) * len(task.lrs) + len(task.gammas))


def settings(task: Task) -> dict[str, Any]:
    """What all runs share."""
    fit = task.fits()[0]
    shared = {name: getattr(task, name) for name in ("steps", "every", "seeds")}
    return {**shared, "batch": fit.batch, "rest_lr": fit.rest_lr, "methods": {m.name: m.words for m in METHODS}}


def final(runs: list[Run], **key: Any) -> float:
    """Geometric mean over seeds of the last loss."""
    found = [run["curve"][-1][2] for run in runs if all(run.get(name) == value for name, value in key.items())]
    return float(np.exp(np.mean(np.log(found))))


def run(journal: Journal, task: Task, tick: Callable[[str], None]) -> None:
    """What the journal does not hold yet, in one thread."""
    torch.set_num_threads(1)

    def measured(fit: Fit, method: Method, lr: float, gamma: float, make: Any) -> None:
        for seed in task.seeds:
            key = {"task": fit.name, "method": method.name, "lr": lr, "gamma": gamma, "seed": seed}
            journal.run(key, lambda: train(fit, make, lr, seed))  # noqa: B023 - called before the loop goes on
        tick(f"{fit.name}, {method.name}, lr {lr:g}")

    for fit in task.fits():
        for method in METHODS:
            for lr in task.lrs:
                measured(fit, method, lr, 10.0, method.make)
        last = METHODS[-1]
        best = min(task.lrs, key=lambda lr: final(journal.runs, task=fit.name, method=last.name, lr=lr, gamma=10.0))
        for gamma in task.gammas:
            measured(fit, last, best, gamma, of(deva_torch.AdaGO, max_norm=gamma))
