"""A plain PyTorch loop: DeVA for matrices and convolutions, DeVAVector for the rest, by the type of each module.

`python examples/torch_digits.py` trains a small convolutional network on scikit-learn's digits for a few seconds on a CPU,
with param groups, OneCycleLR and clipped gradients. With `--out` it writes a checkpoint there after every epoch; with
`--resume` it goes on from the last one. Exit status 1: fewer than 95 % of the held-out digits were read.
"""

import argparse
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

from deva_torch import DeVA, param_groups

TRAINING, BATCH, ENOUGH = 1437, 64, 0.95
STEPS = TRAINING // BATCH


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Images of 1 by 8 by 8 and their labels, shuffled; the first `TRAINING` are to train on."""
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    return torch.tensor(data.images, dtype=torch.float32)[order, None] / 16, torch.tensor(data.target)[order]


class Digits(nn.Module):
    """A network."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(256)
        self.hidden = nn.Linear(256, 64)
        self.head = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Ten logits for each image."""
        x = torch.relu(self.second(torch.relu(self.first(images))))
        return self.head(torch.relu(self.hidden(self.norm(x.flatten(1)))))


class Run:
    """What a run is made of, and what its checkpoint holds."""

    def __init__(self, epochs: int) -> None:
        torch.manual_seed(0)
        self.model, self.epoch = Digits(), 0
        self.optimizer = DeVA(param_groups(self.model), lr=0.02)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, max_lr=0.02, total_steps=epochs * STEPS)

    def train(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """One epoch; its order depends on its number alone, so that a resumed run sees the same batches."""
        order = torch.randperm(TRAINING, generator=torch.Generator().manual_seed(self.epoch))
        for batch in order[: STEPS * BATCH].split(BATCH):
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self.model(images[batch]), labels[batch]).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.scheduler.step()
        self.epoch += 1

    def save(self, folder: Path) -> None:
        """Write `epoch-3.pt`, say."""
        parts = {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "scheduler")}
        folder.mkdir(parents=True, exist_ok=True)
        torch.save({"epoch": self.epoch, **parts}, folder / f"epoch-{self.epoch}.pt")

    def resume(self, folder: Path) -> None:
        """Read the last checkpoint; it holds numbers and names only, so nothing in it can run."""
        found = {int(path.stem.removeprefix("epoch-")): path for path in folder.glob("epoch-*.pt")}
        if not found:
            raise FileNotFoundError(f"no checkpoint to resume from in {folder}")
        held = torch.load(found[max(found)], weights_only=True)
        self.epoch = held.pop("epoch")
        for name, state in held.items():
            getattr(self, name).load_state_dict(state)


def fit(epochs: int, out: Path | None = None, resume: bool = False) -> Run:
    (images, labels), run = digits(), Run(epochs)
    print(run.optimizer.explain())  # worth a look before the first step: which parameter got which rule, and why
    if out is not None and resume:
        run.resume(out)
    while run.epoch < epochs:
        run.train(images, labels)
        if out is not None:
            run.save(out)
    return run


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, help="folder for checkpoints (default: none are written)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    args = parser.parse_args(argv)
    if args.resume and args.out is None:
        parser.error("--resume needs --out, the folder whose last checkpoint it goes on from")
    if args.resume and args.out is None:
        parser.error("--resume needs --out, the folder of the checkpoints")
    run = fit(args.epochs, args.out, args.resume)
    images, labels = digits()
    read = (run.model(images[TRAINING:]).argmax(1) == labels[TRAINING:]).float().mean().item()
    print(f"{read:.1%} of {1797 - TRAINING} held-out digits read")
    return 0 if read >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
