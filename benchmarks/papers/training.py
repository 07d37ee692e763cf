"""One run of one task by one method: a curve against steps and against processor time."""

import time
from typing import Any, Protocol

import torch

from benchmarks.papers.methods import ADAMW, Make

WARM_UP = 0.1


class Model(Protocol):
    """A network whose matrices a method moves."""

    def split(self) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
        """Those matrices; and what AdamW moves in every run."""
        ...


class Task(Protocol):
    """What is learnt, from which data, for how long."""

    steps: int
    every: int
    """Steps from one evaluation to the next."""
    rest_lr: float
    """Of AdamW on the parameters that are not the method's."""
    decays: bool
    """Whether learning rates follow `factor`, or stay."""

    def model(self) -> Any:
        """A new network, drawn from torch's global generator."""
        ...

    def loss(self, model: Any, draws: torch.Generator) -> torch.Tensor:
        """Of one batch."""
        ...

    def evaluate(self, model: Any) -> list[float]:
        """What is noted down, the loss first."""
        ...


def factor(step: int, steps: int) -> float:
    """Linear warm-up over a tenth, then linear to zero.

    Example:
        >>> [factor(k, 20) for k in (0, 1, 2, 11, 19)]
        [0.5, 1.0, 1.0, 0.5, 0.05555555555555555]
    """
    warm = WARM_UP * steps
    return min((step + 1) / warm, (steps - step) / (steps - warm))


class Scheduled:
    """An optimizer whose lr, and AdaGO's floor, follow `factor` where the task's decays."""

    def __init__(self, optimizer: torch.optim.Optimizer, task: Task) -> None:
        self.optimizer, self.task, self.count = optimizer, task, 0
        names = ("lr", "min_step")
        self.given = [{n: group[n] for n in names if n in group} for group in optimizer.param_groups]

    def step(self) -> None:
        """One step at its learning rate."""
        share = factor(self.count, self.task.steps) if self.task.decays else 1.0
        for group, given in zip(self.optimizer.param_groups, self.given, strict=True):
            group.update({name: value * share for name, value in given.items() if value is not None})
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.count += 1


def train(task: Task, make: Make, lr: float, seed: int) -> dict[str, Any]:
    """`curve`: rows of step, processor seconds spent on training, and what the task evaluates.

    The seed decides the network and the batches, so that methods are compared on the same ones.
    """
    torch.manual_seed(seed)
    model, draws = task.model(), torch.Generator().manual_seed(seed)
    hidden, rest = model.split()
    optimizers = [Scheduled(make(hidden, lr), task), Scheduled(ADAMW(rest, task.rest_lr), task)]
    curve, seconds = [], 0.0
    for k in range(task.steps):
        begun = time.process_time()
        task.loss(model, draws).backward()
        for optimizer in optimizers:
            optimizer.step()
        seconds += time.process_time() - begun
        if (k + 1) % task.every == 0:
            with torch.no_grad():
                curve.append([k + 1, seconds, *task.evaluate(model)])
    return {"curve": curve}
