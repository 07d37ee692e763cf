"""Every rule as it comes beside torch's AdamW as it comes, on the five tasks; and our rules at what was the default before."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch

from benchmarks.defaults import runs, sides
from benchmarks.defaults.tasks import JUDGED, Task
from benchmarks.papers.journal import Journal

PACKAGES = ("torch", "numpy", "scikit-learn")
BEFORE = {"Muon": (0.02, 0.015), "AdaGO": (0.05, 0.006), "DeVA": (3e-3, 1.0)}
"""The learning rate and the ratio that a whole model got before they were chosen together: 3e-4 in AdamW's half."""

BEFORE_WORD = " before"


@dataclass(frozen=True)
class Form:
    """What is run."""

    tasks: tuple[Task, ...] = JUDGED
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    before: bool = True
    """Whether the earlier defaults run too."""

    def makers(self) -> dict[str, sides.Make]:
        """Every side, the reference first."""
        found = {name: sides.default(name) for name in (sides.REFERENCE, *sides.RULES)}
        before = {name + BEFORE_WORD: sides.at(name, *pair) for name, pair in BEFORE.items()}
        return found | (before if self.before else {})


SHORT = Form(seeds=(1, 2, 3), before=False)
"""Fewer seeds, hence wider intervals."""


def settings(form: Form) -> dict[str, Any]:
    """What all runs share; the defaults are among it, so that runs of other defaults are refused."""
    defaults = {name: sides.learning_rates(name) for name in sides.RULES}
    return {**runs.settings(form.tasks, form.seeds), "defaults": defaults, "before": BEFORE if form.before else {}}


def keys(form: Form) -> Iterator[tuple[Task, int, str]]:
    """Task by task, seed by seed, all sides."""
    yield from product(form.tasks, form.seeds, form.makers())


def ticks(form: Form) -> int:
    """Runs."""
    return len(list(keys(form)))


def run(journal: Journal, form: Form, tick: Callable[[str], None]) -> None:
    """What the journal does not hold yet, in one thread."""
    torch.set_num_threads(1)
    makers, data = form.makers(), {task.name: task.load() for task in form.tasks}
    for task, seed, side in keys(form):
        key = {"task": task.name, "side": side, "seed": seed}
        journal.run(key, lambda: runs.train(task, data[task.name], makers[side], seed))  # noqa: B023 - called before the loop goes on
        tick(f"{task.name}, {side}, seed {seed}")
