"""One run: a network trained by one side, and its loss at two horizons."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.defaults.sides import Make
from benchmarks.defaults.tasks import STEPS, Task

HORIZONS = {"early": (15, 25), "late": (STEPS - 10, STEPS)}
"""The steps whose mean training loss counts, from zero: the ten around step 20, the last ten."""


def horizons(losses: Sequence[float]) -> dict[str, float]:
    """The mean loss at each horizon.

    Example:
        >>> horizons(range(120))
        {'early': 19.5, 'late': 114.5}
    """
    return {name: float(np.mean(losses[begin:end])) for name, (begin, end) in HORIZONS.items()}


def settings(tasks: Iterable[Task], seeds: Iterable[int]) -> dict[str, Any]:
    """What all runs of an experiment share."""
    return {
        "steps": STEPS,
        "horizons": HORIZONS,
        "seeds": list(seeds),
        "tasks": {task.name: task.words for task in tasks},
    }


def train(task: Task, data: Any, make: Make, seed: int) -> dict[str, float]:
    """The losses of one run. The seed decides the network and the batches, the same ones for every side."""
    torch.manual_seed(seed)
    model, draws = task.model(), torch.Generator().manual_seed(seed)
    optimizer, losses = make(model), []
    for _ in range(STEPS):
        loss = task.loss(model, data, draws)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return horizons(losses)
