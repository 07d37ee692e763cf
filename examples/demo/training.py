"""Training runs with their records, and distances between them."""

import time
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from demo.data import Digits, Weights, batches, cast, flat, initial_weights, load
from demo.numpy_net import log_probabilities
from demo.progress import Progress


class Problem(NamedTuple):
    """What a run gets: images, initial weights, the images of each step, a dtype."""

    digits: Digits
    weights: Weights
    order: np.ndarray
    dtype: str = "float64"

    @classmethod
    def of(cls, seed: int, steps: int, dtype: str = "float64") -> "Problem":
        """The problem that a seed makes."""
        digits = load(seed)
        return cls(digits, initial_weights(seed), batches(seed, len(digits.train_x), steps), dtype)

    @property
    def images(self) -> int:
        """How many there are to train on."""
        return len(self.digits.train_x)

    @property
    def start(self) -> np.ndarray:
        """The initial weights as one vector, rounded to the dtype of the run."""
        return flat(cast(self.weights, self.dtype))


@dataclass
class Run:
    """What a run leaves. `path` holds all parameters after the steps in `steps`, as float64 vectors."""

    framework: str
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    path: list[np.ndarray] = field(default_factory=list)
    train_loss: float = float("nan")
    accuracy: float = float("nan")
    scores: Any = None
    traces: int | None = None
    final: Weights = field(default_factory=dict)

    @property
    def ms_per_step(self) -> float:
        """Median, without the first step, which compiles."""
        return 1e3 * float(np.median(self.seconds[1:] or self.seconds))


def train(framework: str, network: Any, problem: Problem, what: str, progress: Progress, every: int = 1) -> Run:
    """Train a network over all batches of the problem; keep its parameters every so many steps."""
    run, total = Run(framework), len(problem.order)
    images, labels = problem.digits.train_x.astype(problem.dtype), problem.digits.train_y
    with progress.task(what, total) as tick:
        for t, batch in enumerate(problem.order, start=1):
            x, y, began = images[batch], labels[batch], time.perf_counter()
            value = network.step(x, y)
            run.seconds.append(time.perf_counter() - began)
            run.losses.append(value)
            if t % every == 0 or t == total:
                run.steps.append(t)
                run.path.append(flat(network.parameters()))
            tick(f"loss {value:.2g}")
    evaluate(run, network, problem)
    return run


def evaluate(run: Run, network: Any, problem: Problem) -> None:
    """The loss over all training images, and the accuracy over the test images."""
    d = problem.digits
    logp = log_probabilities(network.scores(d.train_x.astype(problem.dtype)).astype(np.float64))
    run.train_loss = float(-logp[np.arange(len(d.train_y)), d.train_y].mean())
    run.scores = network.scores(d.test_x.astype(problem.dtype)).astype(np.float64)
    run.accuracy = float((run.scores.argmax(axis=1) == d.test_y).mean())
    run.final = network.parameters()
    run.traces = getattr(network, "traces", None)


def parted(a: list[np.ndarray], b: list[np.ndarray], start: np.ndarray) -> np.ndarray:
    """‖a − b‖ / ‖a − start‖ at every record: the distance between two runs relative to the distance that a walked."""
    between = [np.linalg.norm(p - q) for p, q in zip(a, b, strict=True)]
    walked = [np.linalg.norm(p - start) for p in a]
    return np.asarray(between) / np.maximum(walked, np.finfo(float).tiny)


def largest_parting(runs: list[Run], start: np.ndarray) -> np.ndarray:
    """At every record, the largest distance between any two runs relative to the distance walked."""
    pairs = [parted(a.path, b.path, start) for a, b in combinations(runs, 2)]
    return np.max(pairs, axis=0) if pairs else np.zeros(0)
