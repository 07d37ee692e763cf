"""Telemetry in TensorBoard: what each parameter's step looks like while a network learns to read digits.

`python examples/tensorboard_telemetry.py` trains for a few seconds on a CPU and writes, every tenth step, each number of
`deva_core.Telemetry` under its own name: `tensorboard --logdir out/telemetry` draws one chart a number and parameter. Steps in
between compute nothing of it. Exit status 1: fewer than 95 % of the held-out digits were read.
"""

import argparse
import math
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch.utils.tensorboard import SummaryWriter

from deva_core import Telemetry, observe
from deva_core.table import table
from deva_torch import DeVA

STEPS, EVERY, BATCH, TRAINING, ENOUGH = 300, 10, 64, 1437, 0.95


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Images of 64 pixels and their labels, shuffled."""
    data = load_digits()
    order = torch.randperm(len(data.target))
    return torch.tensor(data.data, dtype=torch.float32)[order] / 16, torch.tensor(data.target)[order]


def write(writer: SummaryWriter, seen: dict[str, Telemetry], step: int) -> None:
    """Each number that the parameter's rule has; reading one is what waits for a device."""
    for parameter, telemetry in seen.items():
        for name, value in telemetry._asdict().items():
            if not math.isnan(value):
                writer.add_scalar(f"{name}/{parameter}", value, step)


def train(steps: int, folder: Path) -> tuple[dict[str, Telemetry], float]:
    """The last telemetry, and the share of held-out digits read."""
    torch.manual_seed(0)
    (images, labels), model, seen = digits(), network(), {}
    optimizer = DeVA(model.named_parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=steps)
    with SummaryWriter(str(folder)) as writer:
        for step in range(1, steps + 1):
            batch = torch.randint(TRAINING, (BATCH,))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            if step % EVERY:
                optimizer.step()
            else:
                with observe() as seen:
                    optimizer.step()
                write(writer, seen, step)
            scheduler.step()
    right = model(images[TRAINING:]).argmax(1) == labels[TRAINING:]
    return seen, right.float().mean().item()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument(
        "--out", type=Path, default=Path("out/telemetry"), help="folder for TensorBoard (default: out/telemetry)"
    )
    args = parser.parse_args(argv)
    seen, accuracy = train(args.steps, args.out)
    rows = ((parameter, *(f"{float(x):.2g}" for x in telemetry)) for parameter, telemetry in seen.items())
    print(table(("parameter", *Telemetry._fields), rows))
    print(f"{accuracy:.1%} of held-out digits read; tensorboard --logdir {args.out}")
    return 0 if accuracy >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
