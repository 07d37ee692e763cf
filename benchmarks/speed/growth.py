"""Time a step as models grow: with the number of parameters, and with the number of equal small ones."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.speed.alternating import alternate
from benchmarks.speed.makers import torch_optim
from benchmarks.speed.pairs import MUON, TORCH_MUON
from benchmarks.speed.sets import Gradients, Shape, size

LARGE: Shape = (1024, 1024)
LARGE_COUNTS = (1, 3, 10, 30, 96)
"""From 1 to 100 million parameters."""
SMALL: Shape = (64, 64)
SMALL_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
ROUNDS = {LARGE: 3, SMALL: 7}


def measured(shape: Shape, counts: tuple[int, ...], tick: Callable[[], None]) -> list[dict[str, Any]]:
    """Ours and torch.optim.Muon, at each number of equal matrices."""
    rows = []
    for count in counts:
        shapes = [shape] * count
        sides = {"ours": TORCH_MUON(shapes), "theirs": torch_optim("Muon", **MUON)(shapes)}
        times = alternate(sides, Gradients(shapes, distinct=1), ROUNDS[shape], warm_up=1)
        medians = {name: statistics.median(seconds) for name, seconds in times.rounds.items()}
        rows.append({"count": count, "parameters": size(shapes), **medians})
        tick()
    return rows


def growth(tick: Callable[[], None]) -> dict[str, Any]:
    """Both curves, in seconds a step."""
    return {
        "by_parameters": {"shape": list(LARGE), "rows": measured(LARGE, LARGE_COUNTS, tick)},
        "by_number": {"shape": list(SMALL), "rows": measured(SMALL, SMALL_COUNTS, tick)},
    }


POINTS = len(LARGE_COUNTS) + len(SMALL_COUNTS)
