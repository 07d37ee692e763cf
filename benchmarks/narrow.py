"""What narrow weights and narrow state save, and what they cost in accuracy (docs/decisions/0014, 0015).

A network for scikit-learn's digits, 400 steps under a cosine schedule to zero, so that late updates are far below half an ulp
of bfloat16. Beside the bytes kept between steps: the training loss at the end, and the distance to the run in float32,
relative to the distance walked. Median and range over seeds.

    python -m benchmarks.narrow
"""

import statistics
from functools import cache
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.datasets import load_digits

from deva_core import AdaGO, AdamW, DeVA, Muon, Rule
from deva_torch import RuleOptimizer

STEPS, BATCH, SEEDS, LAYERS = 400, 128, range(3), ((128, 64), (128,), (10, 128), (10,))
RULES = (Muon(lr=0.01), AdaGO(lr=0.02), DeVA(lr=3e-3), AdamW(lr=1e-3))
WAYS: dict[str, dict[str, Any]] = {
    "float32": {},
    "float32, state bfloat16": {"state_dtype": "bfloat16"},
    "bfloat16, nearest": {"dtype": torch.bfloat16},
    "bfloat16, stochastic": {"dtype": torch.bfloat16, "rounding": "stochastic"},
    "bfloat16, kahan": {"dtype": torch.bfloat16, "rounding": "kahan"},
    "bfloat16, kahan, state bfloat16": {"dtype": torch.bfloat16, "rounding": "kahan", "state_dtype": "bfloat16"},
}


class End(NamedTuple):
    """Where a run ended, and what it kept between steps."""

    weights: torch.Tensor
    loss: float
    bytes_an_entry: float


def data() -> tuple[torch.Tensor, torch.Tensor]:
    digits = load_digits()
    return torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)


def loss_of(params: list[torch.nn.Parameter], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """In float32 from the weights as they are kept: only keeping differs."""
    W1, b1, W2, b2 = (p.float() for p in params)
    return torch.nn.functional.cross_entropy(torch.relu(x @ W1.T + b1) @ W2.T + b2, y)


def begin(seed: int, dtype: torch.dtype) -> list[torch.nn.Parameter]:
    """Weights that bfloat16 has, so that every run starts in one place."""
    g = torch.Generator().manual_seed(seed)
    weights = (torch.randn(shape, generator=g) * (shape[-1] ** -0.5 if len(shape) > 1 else 0.0) for shape in LAYERS)
    return [torch.nn.Parameter(W.bfloat16().to(dtype)) for W in weights]


@cache
def trained(rule: Rule, seed: int, dtype: torch.dtype = torch.float32, **options: Any) -> End:
    params, (x, y), g = begin(seed, dtype), data(), torch.Generator().manual_seed(seed)
    optimizer = RuleOptimizer(params, rule, generator=torch.Generator().manual_seed(seed), **options)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        batch = torch.randint(len(y), (BATCH,), generator=g)
        optimizer.zero_grad()
        loss_of(params, x[batch], y[batch]).backward()
        optimizer.step()
        schedule.step()
    kept = [*params, *(s for slot in optimizer.state.values() for s in slot.values() if isinstance(s, torch.Tensor))]
    size = sum(p.numel() for p in params)
    weights = torch.cat([p.detach().float().flatten() for p in params])
    return End(weights, loss_of(params, x, y).item(), sum(k.numel() * k.itemsize for k in kept) / size)


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2g} ({min(values):.2g}–{max(values):.2g})"


def main() -> None:
    torch.set_num_threads(1)
    view = Table("rule", "weights", "bytes an entry", "training loss", "distance to float32 / walked")
    for rule, (way, options) in track([(r, w) for r in RULES for w in WAYS.items()], transient=True):
        ends = [(trained(rule, seed, **options), trained(rule, seed), begin(seed, torch.float32)) for seed in SEEDS]
        apart = []
        for end, exact, start in ends:
            walked = exact.weights - torch.cat([p.detach().flatten() for p in start])
            apart.append(((end.weights - exact.weights).norm() / walked.norm()).item())
        size, losses = f"{ends[0][0].bytes_an_entry:.1f}", spread([end.loss for end, _, _ in ends])
        view.add_row(type(rule).__name__, way, size, losses, spread(apart))
    console = Console(width=120)
    console.print(view)
    console.print(f"torch {torch.__version__}, CPU, {STEPS} steps, {len(SEEDS)} seeds")


if __name__ == "__main__":
    main()
