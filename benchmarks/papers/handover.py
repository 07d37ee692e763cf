"""One run begun in torch and finished in JAX, from its portable checkpoint; beside it the same run all in torch."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import deva_torch
from benchmarks.papers import gpt
from benchmarks.papers.journal import Journal

RULES = {
    "Muon": (deva_torch.Muon, "muon", 0.02),
    "AdaGO": (deva_torch.AdaGO, "adago", 0.1),
    "DeVA": (deva_torch.DeVA, "deva", 0.01),
}
"""The torch class, the JAX factory and the learning rate."""
DTYPES = ("float32", "float64")
HEADS = 4
PACKAGES = ("torch", "jax", "optax", "numpy")


@dataclass(frozen=True)
class Task:
    """The network, and how long."""

    width: int = 64
    layers: int = 2
    batch: int = 8
    steps: int = 160


SHORT = Task(width=32, layers=1, steps=40)
Batches = list[tuple[torch.Tensor, torch.Tensor]]


def ticks(task: Task) -> int:
    """Runs."""
    return len(RULES) * len(DTYPES)


def settings(task: Task) -> dict[str, Any]:
    """What the result says of itself."""
    return asdict(task)


def batches(task: Task) -> Batches:
    """The same for both."""
    data, draws = gpt.text()[0], torch.Generator().manual_seed(0)
    starts = torch.randint(len(data) - gpt.CONTEXT, (task.steps, task.batch), generator=draws)
    return [gpt.windows(data, row) for row in starts]


class InTorch:
    """The network and its optimizer."""

    def __init__(self, task: Task, rule: str, dtype: str) -> None:
        torch.manual_seed(0)
        self.model = gpt.GPT(task.width, task.layers, HEADS).to(getattr(torch, dtype))
        make, _, lr = RULES[rule]
        self.optimizer = make(self.model.named_parameters(), lr=lr)

    def losses(self, data: Batches) -> list[float]:
        """Of steps on these."""
        found = []
        for inputs, targets in data:
            self.optimizer.zero_grad()
            loss = self.model.loss(inputs, targets)
            loss.backward()
            self.optimizer.step()
            found.append(loss.item())
        return found

    def params(self) -> dict[str, np.ndarray]:
        """By name."""
        return {name: p.detach().numpy().copy() for name, p in self.model.named_parameters()}


def in_jax(task: Task, rule: str, params: Any, checkpoint: Path, data: Batches) -> tuple[list[float], Any]:
    """Losses and parameters of the steps on these, from a checkpoint of either framework."""
    import jax
    import optax

    import deva_jax
    from benchmarks.papers.gpt_jax import loss

    _, factory, lr = RULES[rule]
    optimizer = getattr(deva_jax, factory)(lr)
    params = jax.tree.map(jax.numpy.asarray, params)
    state = deva_jax.load(checkpoint, optimizer, params)
    value_and_grad = jax.value_and_grad(partial(loss, layers=task.layers, heads=HEADS))

    @jax.jit
    def step(params: Any, state: Any, inputs: Any, targets: Any) -> Any:
        value, grads = value_and_grad(params, inputs, targets)
        updates, state = optimizer.update(grads, state, params)
        return value, optax.apply_updates(params, updates), state

    found = []
    for inputs, targets in data:
        value, params, state = step(params, state, inputs.numpy(), targets.numpy())
        found.append(float(value))
    return found, jax.tree.map(np.asarray, params)


def distance(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    """Between all parameters."""
    return float(sum(np.sum((a[name] - b[name]) ** 2) for name in a) ** 0.5)


def handed_over(task: Task, rule: str, dtype: str) -> dict[str, Any]:
    """Losses of both runs, the largest difference, and how far apart they end over the distance walked."""
    data, half = batches(task), task.steps // 2
    run = InTorch(task, rule, dtype)
    begin, first = run.params(), run.losses(data[:half])
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "state.safetensors"
        deva_torch.save(checkpoint, run.optimizer)
        second, ended = in_jax(task, rule, run.params(), checkpoint, data[half:])
    whole = first + run.losses(data[half:])
    apart = distance(run.params(), ended) / distance(run.params(), begin)
    loss_apart = float(np.abs(np.subtract(whole[half:], second)).max())
    return {"whole": whole, "handed_over": first + second, "apart": apart, "loss_apart": loss_apart}


def run(journal: Journal, task: Task, tick: Callable[[str], None]) -> None:
    """What the journal does not hold yet, in one thread."""
    import jax

    torch.set_num_threads(1)
    jax.config.update("jax_enable_x64", True)
    for dtype in DTYPES:
        for rule in RULES:
            journal.run({"rule": rule, "dtype": dtype}, lambda: handed_over(task, rule, dtype))  # noqa: B023 - called at once
            tick(f"{rule}, {dtype}")
