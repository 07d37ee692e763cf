"""Several sides, one step each in turn, in one process."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np


class Side(Protocol):
    """An optimizer with parameters of its own."""

    def give(self, gradients: list[np.ndarray]) -> None:
        """Set this step's gradients anew, from these values; not timed."""

    def step(self) -> None:
        """One step, finished when it returns."""


class Times(NamedTuple):
    """Seconds a step by side."""

    first: dict[str, float]
    """The very first step: states, memory pools, first bases."""
    rounds: dict[str, list[float]]
    """One for each counted round."""


def no_tick() -> None:
    """No progress to show."""


def timed(side: Side, gradients: list[np.ndarray]) -> float:
    """Seconds of one step."""
    side.give(gradients)
    begun = time.perf_counter()
    side.step()
    return time.perf_counter() - begun


def alternate(
    sides: Mapping[str, Side],
    gradients: Any,
    rounds: int,
    warm_up: int = 1,
    tick: Callable[[], None] = no_tick,
) -> Times:
    """Rounds in which each side makes one step; every round in the opposite order of the one before.

    Args:
        sides: by name.
        gradients: `gradients[k]` are the values of round k, the same for all sides.
        rounds: counted rounds, after `warm_up` (at least one) that are not.
        tick: called after each round.
    """
    first: dict[str, float] = {}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for k in range(warm_up + rounds):
        for name in in_turn(list(sides), k):
            seconds = timed(sides[name], gradients[k])
            first.setdefault(name, seconds)
            if k >= warm_up:
                times[name].append(seconds)
        tick()
    return Times(first, times)


def in_turn(names: Sequence[str], k: int) -> list[str]:
    """The order of round k.

    Example:
        >>> in_turn(["ours", "theirs"], 0), in_turn(["ours", "theirs"], 1)
        (['ours', 'theirs'], ['theirs', 'ours'])
    """
    return list(names) if k % 2 == 0 else list(reversed(names))
