"""Language modelling: a GPT of a million parameters over bytes. How many tokens to reach AdamW's and Muon's loss?

Every method moves the matrices inside the blocks; embeddings, head and norms are AdamW's, at one learning rate, in every
run. As many learning rates for each method, then more seeds at the best, and most for the two that the claim compares.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

import torch

from benchmarks.papers.gpt import CONTEXT, GPT, text, windows
from benchmarks.papers.journal import Journal, Run
from benchmarks.papers.methods import ADAMW, DEVA, MUON, SOAP, Method, adago
from benchmarks.papers.training import train

METHODS = (
    Method(
        "AdamW", ADAMW, (2e-5, 5e-5, 1.3e-4, 3.2e-4, 8e-4, 2e-3, 5e-3, 1.2e-2), "torch.optim.AdamW, betas (0.9, 0.95)"
    ),
    Method("Muon", MUON, (1.6e-3, 4e-3, 1e-2, 2.5e-2), 'deva_torch.Muon, scale="rms"'),
    Method("SOAP", SOAP, (8e-4, 2e-3, 5e-3, 1.2e-2), "pytorch_optimizer.SOAP, its defaults"),
    Method("AdaGO", adago(), (0.016, 0.04, 0.1, 0.25), 'deva_torch.AdaGO, scale="rms", its floor scheduled with lr'),
    Method("DeVA", DEVA, (1.6e-3, 4e-3, 1e-2, 2.5e-2), "deva_torch.DeVA, its defaults"),
)
TARGETS = ("AdamW", "Muon")
CLAIM = 6.6
"""Per cent fewer tokens than Muon, says DeVA's paper, of a GPT of 275 million parameters."""
COMPARED = ("Muon", "DeVA")
"""By the claim."""
PACKAGES = ("torch", "pytorch_optimizer", "numpy")


@dataclass(frozen=True)
class Task:
    """Bytes of English.

    The first seed is the search's, over at most `tried` learning rates of each method from the middle of its grid outwards; the
    seeds in `more` are of the methods that the claim compares.
    """

    width: int = 128
    layers: int = 5
    batch: int = 8
    steps: int = 200
    every: int = 10
    rest_lr: float = 3e-3
    decays: bool = True
    seeds: tuple[int, ...] = (0, 1, 2)
    more: tuple[int, ...] = (3, 4, 5, 6, 7)
    tried: int = 99
    methods: tuple[str, ...] = tuple(method.name for method in METHODS)

    def __post_init__(self) -> None:
        train, held_out = text()
        starts = torch.linspace(0, len(held_out) - CONTEXT - 1, 32).long()
        object.__setattr__(self, "train", train)
        object.__setattr__(self, "held_out", windows(held_out, starts))

    def plan(self) -> list[Method]:
        """Methods that take part."""
        return [method for method in METHODS if method.name in self.methods]

    def model(self) -> GPT:
        """New."""
        return GPT(self.width, self.layers)

    def loss(self, model: GPT, draws: torch.Generator) -> torch.Tensor:
        """Of windows drawn anywhere."""
        starts = torch.randint(len(self.train) - CONTEXT, (self.batch,), generator=draws)
        return model.loss(*windows(self.train, starts))

    def evaluate(self, model: GPT) -> list[float]:
        """Mean loss of windows spread over the text held out."""
        return [float(model.loss(*self.held_out))]


def form(width: int, layers: int, steps: int) -> Task:
    """Another size, with the methods that the claim compares and as many seeds."""
    return Task(width=width, layers=layers, steps=steps, methods=COMPARED)


SHORT = Task(more=(3, 4), tried=1, methods=COMPARED)
"""Runs of the long form: the two methods at the learning rate that was best there, the first five seeds."""


def settings(task: Task) -> dict[str, Any]:
    """What all runs share."""
    model, (train, held_out) = task.model(), text()
    sizes = {"parameters": sum(p.numel() for p in model.parameters()), "train": len(train), "held_out": len(held_out)}
    shared = {name: value for name, value in asdict(task).items() if name not in ("seeds", "more", "tried")}
    return {**shared, **sizes, "context": CONTEXT, "methods": {m.name: m.words for m in task.plan()}}


def best_lr(runs: list[Run], name: str) -> float:
    """Of the search, which is the only seed with more learning rates than one."""
    tried = [run for run in runs if run["method"] == name and run["seed"] == runs[0]["seed"]]
    return min(tried, key=lambda run: run["curve"][-1][2])["lr"]


def outwards(lrs: Sequence[float]) -> list[float]:
    """From the middle.

    Example:
        >>> outwards((1, 2, 3, 4))
        [3, 2, 4, 1]
    """
    return [lrs[k] for k in sorted(range(len(lrs)), key=lambda k: abs(k - len(lrs) // 2))]


def keys(journal: Journal, task: Task) -> Iterator[tuple[Method, float, int]]:
    """The search from the middle of the grids outwards; then seed by seed, each method at its best."""
    methods = task.plan()
    for lrs in zip_longest(*(outwards(method.lrs)[: task.tried] for method in methods)):
        for method, lr in zip(methods, lrs, strict=True):
            if lr:
                yield method, lr, task.seeds[0]
    for seed in task.seeds[1:] + task.more:
        for method in methods:
            if seed in task.seeds or method.name in COMPARED:
                yield method, best_lr(journal.runs, method.name), seed


def ticks(task: Task) -> int:
    """Runs."""
    compared = [method for method in task.plan() if method.name in COMPARED]
    search = sum(min(len(method.lrs), task.tried) for method in task.plan())
    return search + len(task.plan()) * len(task.seeds[1:]) + len(compared) * len(task.more)


def run(journal: Journal, task: Task, tick: Callable[[str], None]) -> None:
    """What the journal does not hold yet, in one thread."""
    torch.set_num_threads(1)
    for method, lr, seed in keys(journal, task):
        key = {"method": method.name, "lr": lr, "seed": seed}
        journal.run(key, lambda: train(task, method.make, lr, seed))  # noqa: B023 - called before the loop goes on
        tick(f"{method.name}, lr {lr:g}, seed {seed}")
