"""Lightning with one optimizer for the whole model: DeVA for matrices and convolutions, DeVAVector for the rest.

`python examples/lightning_digits.py` trains a small convolutional network on scikit-learn's digits for a few seconds on a
CPU. One optimizer object drives both halves, so Lightning's automatic optimisation, OneCycleLR, clipping and checkpoints
work as with any other. Exit status 1: fewer than 95 % of the held-out digits were read.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import lightning
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

from deva_core import observe
from deva_torch import DeVA

TRAINING, ENOUGH = 1437, 0.95


def digits() -> tuple[TensorDataset, TensorDataset]:
    """Images of 8 by 8 and their labels, to train on and held out."""
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    images, labels = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16, torch.tensor(data.target)
    train, held_out = order[:TRAINING], order[TRAINING:]
    return TensorDataset(images[train], labels[train]), TensorDataset(images[held_out], labels[held_out])


class Digits(lightning.LightningModule):
    """A network, its loss, and one optimizer for all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Conv2d(1, 16, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(16, 32, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(512, 10),
        )

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        """The loss; Lightning does the rest."""
        images, labels = batch
        return torch.nn.functional.cross_entropy(self.net(images), labels)

    def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
        """The share of digits read."""
        images, labels = batch
        self.log("accuracy", (self.net(images).argmax(1) == labels).float().mean())

    def configure_optimizers(self) -> dict:
        """One optimizer and one schedule, which moves both halves."""
        optimizer = DeVA(self.net.named_parameters(), lr=3e-3)
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def optimizer_step(self, *args, **kwargs) -> None:
        """Lightning's own, observed."""
        with observe() as self.seen:
            super().optimizer_step(*args, **kwargs)


def fit(epochs: int, out: Path, checkpoint: str | None = None) -> lightning.Trainer:
    lightning.seed_everything(0, verbose=False)
    train, held_out = digits()
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        gradient_clip_val=1.0,  # Lightning clips before the step, where clipping belongs
        default_root_dir=out,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    batches = DataLoader(train, 64, shuffle=True)
    trainer.fit(Digits(), batches, DataLoader(held_out, len(held_out)), ckpt_path=checkpoint)
    return trainer


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--out", type=Path, help="folder for checkpoints (default: a temporary one)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        trainer = fit(args.epochs, args.out or Path(folder))
    last = trainer.lightning_module.seen["0.weight"]
    accuracy = trainer.callback_metrics["accuracy"].item()
    print(trainer.optimizers[0].explain())
    print(f"the last step turned away from the first convolution's momentum by a cosine of {last.momentum_cosine:.2f}")
    print(f"{accuracy:.1%} of {1797 - TRAINING} held-out digits read")
    return 0 if accuracy >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
