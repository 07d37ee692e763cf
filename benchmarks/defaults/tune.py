"""Grids of (lr, ratio) on the two tuning tasks: what the defaults were chosen from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import torch

from benchmarks.defaults import runs, sides
from benchmarks.defaults.tasks import TUNING, Task
from benchmarks.papers.journal import Journal

PACKAGES = ("torch", "numpy")
Grid = tuple[tuple[float, ...], tuple[float, ...]]
"""Learning rates of the matrices, and the other half's over it."""

GRIDS: dict[str, Grid] = {
    "Muon": ((0.005, 0.01, 0.02, 0.04, 0.08), (0.05, 0.1, 0.2, 0.4, 0.8)),
    "AdaGO": ((0.025, 0.05, 0.1, 0.2, 0.4), (0.02, 0.04, 0.08, 0.16, 0.32)),
    "DeVA": ((1.5e-3, 3e-3, 6e-3, 1.2e-2, 2.4e-2), (0.25, 0.5, 1.0, 2.0, 4.0)),
}


@dataclass(frozen=True)
class Search:
    """What is run: grids on tasks, none of whose data or seeds are among those that are judged."""

    tasks: tuple[Task, ...] = TUNING
    seeds: tuple[int, ...] = (101, 102)
    grids: dict[str, Grid] = field(default_factory=lambda: GRIDS)


def settings(search: Search) -> dict[str, Any]:
    """What all runs share."""
    return runs.settings(search.tasks, search.seeds)


def points(search: Search) -> Iterator[tuple[str, float, float]]:
    """Rule, learning rate, ratio; the reference has neither of the two."""
    yield sides.REFERENCE, 0.0, 0.0
    for name, (lrs, ratios) in search.grids.items():
        for lr, ratio in product(lrs, ratios):
            yield name, lr, ratio


def ticks(search: Search) -> int:
    """Runs."""
    return len(search.tasks) * len(search.seeds) * len(list(points(search)))


def run(journal: Journal, search: Search, tick: Callable[[str], None]) -> None:
    """What the journal does not hold yet, in one thread."""
    torch.set_num_threads(1)
    data = {task.name: task.load() for task in search.tasks}
    for task, seed, (name, lr, ratio) in product(search.tasks, search.seeds, points(search)):
        make = sides.at(name, lr, ratio) if name in sides.RULES else sides.default(name)
        key = {"task": task.name, "side": name, "lr": lr, "ratio": ratio, "seed": seed}
        journal.run(key, lambda: runs.train(task, data[task.name], make, seed))  # noqa: B023 - called before the loop goes on
        tick(f"{task.name}, {name}, lr {lr:g}, ratio {ratio:g}")
