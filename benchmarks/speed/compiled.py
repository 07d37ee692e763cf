"""What `torch.compile(optimizer.step)` costs and gains: Muon, compiled by torch's default compiler, beside the plain step."""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.speed.alternating import alternate
from benchmarks.speed.pairs import TORCH_MUON
from benchmarks.speed.sets import SETS, Gradients
from benchmarks.speed.statistics import ratio, summary

NAMES = ("many", "nano")
ROUNDS = 9
COMPILER = "inductor"
"""torch's default."""


class Compiled:
    """A torch side whose step is compiled."""

    def __init__(self, side: Any) -> None:
        import torch

        self.side, self.stepped = side, torch.compile(side.optimizer.step, backend=COMPILER)

    def give(self, gradients: list[np.ndarray]) -> None:
        """As the side does."""
        self.side.give(gradients)

    def step(self) -> None:
        """One step."""
        self.stepped()

    def seconds_to_compile(self, gradients: list[np.ndarray]) -> float:
        """Of the first step: tracing and compilation, nothing of it from a cache, and states."""
        import torch
        from torch._inductor import config

        torch._dynamo.reset()
        self.give(gradients)
        begun = time.perf_counter()
        with config.patch(force_disable_caches=True), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of caches that are off and of code of its own
            self.step()
        return time.perf_counter() - begun


def compiled(tick: Callable[[], None]) -> list[dict[str, Any]]:
    """Muon on each set: seconds a step, compiled and plain in turn, and seconds of the first compiled one."""
    rows = []
    for name in NAMES:
        shapes = SETS[name]
        sides: dict[str, Any] = {"plain": TORCH_MUON(shapes), "compiled": Compiled(TORCH_MUON(shapes))}
        gradients = Gradients(shapes)
        seconds = sides["compiled"].seconds_to_compile(gradients[0])
        times = alternate(sides, gradients, ROUNDS, warm_up=2).rounds
        sums = {side: summary(times[side]) for side in sides}
        rows.append({"set": name, "seconds": seconds, **sums, "ratio": ratio(times["compiled"], times["plain"])})
        tick()
    return rows
