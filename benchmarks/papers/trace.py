"""DeVA's Figure 2, on the problem of `trace_problem`: all methods, all seeds at once, over a grid of learning rates.

As in the figure β₁ = 0, β₂ = 0.99, bases are refreshed every 10 steps, and the learning rate is constant and from half way
on decays linearly. The authors ran every method at one learning rate, `LR`; here it is the middle of a grid.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.papers.journal import Journal
from benchmarks.papers.trace_methods import METHODS, Method
from benchmarks.papers.trace_problem import SPECTRA, STEPS, Problems, schedule

EVERY = 10
DIVERGED = 1e6
PACKAGES = ("numpy", "torch", "pytorch_optimizer")


@dataclass(frozen=True)
class Task:
    """How many seeds, and how far around the published learning rate, as powers of two."""

    seeds: int = 400
    powers: tuple[int, ...] = (-3, -2, -1, 0, 1, 2, 3, 4)


SHORT = Task(powers=(-1, 0, 1, 3))
"""Not fewer seeds: ends are chaotic and their tails long, so that a hundred seeds gave other verdicts on another processor.
The learning rates are those that were best for Muon and S∞, on each kind of blocks."""


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


def ticks(task: Task) -> int:
    """Methods on problems."""
    return len(SPECTRA) * len(METHODS)


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
