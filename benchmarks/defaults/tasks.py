"""What is learnt. `JUDGED` decides whether the defaults win; `TUNING`, which shares neither data nor network size with
it, is what they were chosen on."""

import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.defaults.nets import ConvNet, Mixer, ViT
from benchmarks.papers.adago import Perceptron, digits, wave
from benchmarks.papers.gpt import CONTEXT, GPT, text, windows

STEPS = 120
SOURCES = ("argparse", "ast", "dataclasses", "inspect", "pickle", "tarfile", "subprocess", "typing")
"""Modules of the standard library, whose text is the tuning GPT's."""

NOISE = 5.0
"""Standard deviation over that of the drawn patterns."""

Data = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Task:
    """A network, its loss on one batch, and the words for them."""

    name: str
    words: str
    model: Callable[[], nn.Module] = field(repr=False)
    load: Callable[[], Any] = field(repr=False)
    """Data, read once for all runs."""
    loss: Callable[[Any, Any, torch.Generator], torch.Tensor] = field(repr=False)
    """Of one batch: of the model, the data and the generator that draws."""


def language(batch: int, context: int) -> Callable[[GPT, torch.Tensor, torch.Generator], torch.Tensor]:
    """Mean cross entropy of windows drawn anywhere, in nats a byte."""

    def loss(model: GPT, data: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        starts = torch.randint(len(data) - CONTEXT, (batch,), generator=draws)
        inputs, targets = windows(data, starts)
        return model.loss(inputs[:, :context], targets[:, :context])

    return loss


def rows(criterion: Callable[..., torch.Tensor], batch: int = 64) -> Callable[..., torch.Tensor]:
    """The criterion on rows drawn with replacement."""

    def loss(model: nn.Module, data: Data, draws: torch.Generator) -> torch.Tensor:
        x, y = data
        chosen = torch.randint(len(x), (batch,), generator=draws)
        return criterion(model(x[chosen]), y[chosen])

    return loss


def images() -> Data:
    """The training part of scikit-learn's digits, `(n, 1, 8, 8)`."""
    x, y = digits()[0]
    return x.unflatten(1, (1, 8, 8)), y


def sources() -> torch.Tensor:
    """Bytes of Python's own modules."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    return torch.tensor(list("\n".join((folder / f"{name}.py").read_text("utf-8") for name in SOURCES).encode()))


def patterns(classes: int = 12, size: int = 12, count: int = 8192) -> Data:
    """Drawn images, `(n, 3, size, size)`: one smooth pattern a class, shifted by a few places, under noise."""
    r = np.random.default_rng(1)
    wide = r.normal(size=(classes, 3, size // 3, size // 3)).repeat(3, axis=-1).repeat(3, axis=-2)
    y = r.integers(classes, size=count)
    shifts = r.integers(-1, 2, size=(count, 2))
    x = np.stack([np.roll(wide[label], shift, axis=(-2, -1)) for label, shift in zip(y, shifts, strict=True)])
    return torch.tensor(x + NOISE * r.normal(size=x.shape), dtype=torch.float32), torch.tensor(y)


def regression() -> Data:
    """The points of the AdaGO experiment that are learnt from."""
    return wave()[0]


JUDGED = (
    Task(
        "gpt-64",
        "GPT, width 64, 2 layers, bytes of `help()`, 8 windows of 128",
        lambda: GPT(64, 2),
        lambda: text()[0],
        language(8, 128),
    ),
    Task("gpt-128", "the same at width 128", lambda: GPT(128, 2), lambda: text()[0], language(8, 128)),
    Task(
        "conv",
        "convolutions and batch norms on scikit-learn's digits, 64 rows",
        lambda: ConvNet(10),
        images,
        rows(F.cross_entropy),
    ),
    Task("vit", "ViT, width 64, 2 layers, on digits, 64 rows", lambda: ViT(10), images, rows(F.cross_entropy)),
    Task(
        "regression",
        "perceptron 6-64-64-1, tanh, on a sum of two waves, 64 rows",
        lambda: Perceptron(6, 1),
        regression,
        rows(F.mse_loss),
    ),
)
TUNING = (
    Task(
        "gpt-96",
        "GPT, width 96, 3 layers, bytes of Python's own modules, 16 windows of 64",
        lambda: GPT(96, 3),
        sources,
        language(16, 64),
    ),
    Task(
        "patterns",
        "patches, a convolution and a perceptron on drawn patterns of 12 classes, 64 rows",
        lambda: Mixer(12),
        patterns,
        rows(F.cross_entropy),
    ),
)
