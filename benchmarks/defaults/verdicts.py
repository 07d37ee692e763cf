"""Log ratios of losses, seed by seed, their mean and Student's interval, and whether a rule's defaults win."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.defaults.runs import HORIZONS
from benchmarks.defaults.sides import REFERENCE, RULES
from benchmarks.papers.report import chosen, interval

BOUND = 0.01
"""The upper end of the 95 % interval may be this far above zero."""

ENOUGH = 4
"""Of the five tasks, at both horizons."""


@dataclass(frozen=True)
class Ratio:
    """A side's losses over AdamW's on one task at one horizon."""

    side: str
    task: str
    horizon: str
    mean: float
    low: float
    high: float
    ours: tuple[float, ...]
    """Losses, seed by seed."""
    theirs: tuple[float, ...]

    @property
    def met(self) -> bool:
        """Whether it is certain that the loss is at most a hundredth above AdamW's."""
        return bool(self.high <= BOUND)


def losses(result: dict[str, Any], horizon: str, **key: Any) -> dict[int, float]:
    """By seed."""
    return {run["seed"]: run[horizon] for run in chosen(result, **key)}


def ratio(result: dict[str, Any], side: str, task: str, horizon: str) -> Ratio:
    """Of the mean over seeds; a loss that is not finite loses without bound."""
    ours, theirs = (losses(result, horizon, side=name, task=task) for name in (side, REFERENCE))
    a, b = (np.array([found[seed] for seed in theirs]) for found in (ours, theirs))
    logs = np.where(np.isfinite(a), np.log(a / b), np.inf)
    low, high = interval(list(logs)) if np.isfinite(logs).all() else (-np.inf, np.inf)
    return Ratio(side, task, horizon, float(logs.mean()), low, high, tuple(a), tuple(b))


def ratios(result: dict[str, Any], side: str) -> list[Ratio]:
    """Every horizon, every task."""
    tasks = result["settings"]["tasks"]
    return [ratio(result, side, task, horizon) for horizon in HORIZONS for task in tasks]


def won(result: dict[str, Any], side: str) -> list[str]:
    """The tasks whose bound is met at both horizons."""
    missed = {found.task for found in ratios(result, side) if not found.met}
    return [task for task in result["settings"]["tasks"] if task not in missed]


def wins(result: dict[str, Any]) -> dict[str, bool]:
    """For each rule, whether enough tasks are won."""
    return {side: len(won(result, side)) >= ENOUGH for side in RULES}
