"""Whose optimizers take part in the training runs, each over one group of matrices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_optimizer
import torch

import deva_torch

Make = Callable[[list[torch.nn.Parameter], float], torch.optim.Optimizer]


@dataclass(frozen=True)
class Method:
    """An optimizer of matrices, and the learning rates that it is tried at."""

    name: str
    make: Make
    lrs: Sequence[float]
    words: str
    """Its settings, for readers."""


def of(optimizer: Callable[..., Any], **settings: Any) -> Make:
    """An optimizer class with settings."""
    return lambda params, lr: optimizer(params, lr=lr, **settings)


ADAMW = of(torch.optim.AdamW, betas=(0.9, 0.95), weight_decay=0.0)
MUON = of(deva_torch.Muon, scale="rms")
SOAP = of(pytorch_optimizer.SOAP, weight_decay=0.0)
DEVA = of(deva_torch.DeVA, weight_decay=0.0)


def adago(**settings: Any) -> Make:
    """Ours, with steps that have a root mean square, as the others' have."""
    return of(deva_torch.AdaGO, scale="rms", **settings)
