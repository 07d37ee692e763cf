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
REASONS: dict[str, dict[str, sides.Make]] = {
    "regression": {
        "AdamW at 6e-4": lambda model: torch.optim.AdamW(model.parameters(), lr=6e-4),
        "DeVA at 5e-3": sides.at("DeVA", 5e-3, 0.6),  # the other half's stays at 3e-3
    }
}
"""By the task that a rule loses: what was run afterwards, to see why. Entries of DeVA's steps are 0.2 times its lr."""


@dataclass(frozen=True)
class Form:
    """What is run."""

    tasks: tuple[Task, ...] = JUDGED
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    more: bool = True
    """Whether the earlier defaults and the reasons run too."""

    def makers(self, task: str) -> dict[str, sides.Make]:
        """Every side of a task, the reference first."""
        found = {name: sides.default(name) for name in (sides.REFERENCE, *sides.RULES)}
        before = {name + BEFORE_WORD: sides.at(name, *pair) for name, pair in BEFORE.items()}
        return found | before | REASONS.get(task, {}) if self.more else found


SHORT = Form(more=False)
"""What the verdicts need. Not fewer seeds: Student's interval of three is more than twice as wide."""


def settings(form: Form) -> dict[str, Any]:
    """What all runs share; the defaults are among it, so that runs of other defaults are refused."""
    defaults = {name: sides.learning_rates(name) for name in sides.RULES}
    return {**runs.settings(form.tasks, form.seeds), "defaults": defaults, "before": BEFORE if form.more else {}}


def keys(form: Form) -> Iterator[tuple[Task, int, str]]:
    """Task by task, seed by seed, all sides."""
    for task, seed in product(form.tasks, form.seeds):
        yield from ((task, seed, side) for side in form.makers(task.name))


def ticks(form: Form) -> int:
    """Runs."""
    return len(list(keys(form)))


def run(journal: Journal, form: Form, tick: Callable[[str], None]) -> None:
    """What the journal does not hold yet, in one thread."""
    torch.set_num_threads(1)
    data = {task.name: task.load() for task in form.tasks}
    for task, seed, side in keys(form):
        make = form.makers(task.name)[side]
        key = {"task": task.name, "side": side, "seed": seed}
        journal.run(key, lambda: runs.train(task, data[task.name], make, seed))  # noqa: B023 - called before the loop goes on
        tick(f"{task.name}, {side}, seed {seed}")
