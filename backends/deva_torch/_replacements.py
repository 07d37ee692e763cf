"""Faster functions for core's replaceable ones; `python -m benchmarks.replacements` shows what each gains."""

from typing import Any

import torch

from deva_core import Backend
from deva_core.coefficients import Triple
from deva_core.elementwise import ema as plain_ema


def ema(average: torch.Tensor, new: torch.Tensor, beta: Any, b: Backend) -> torch.Tensor:
    """One pass over memory instead of three, into the donated average."""
    if isinstance(beta, torch.Tensor):
        return plain_ema.__wrapped__(average, new, beta, b)
    return average.lerp_(new, 1 - beta)


def newton_schulz(X: torch.Tensor, steps: tuple[Triple, ...], b: Backend) -> torch.Tensor:
    """Three products a step, each with its sum folded in (`beta C + alpha A B`), instead of seven operations."""
    shape = X.shape
    if X.ndim == 2:
        fused = torch.addmm
    else:
        fused, X = torch.baddbmm, X.reshape(-1, *shape[-2:])
    for a, b_, c in steps:
        A = X @ X.mT
        X = fused(X, fused(A, A, A, beta=b_, alpha=c), X, beta=a)
    return X.reshape(shape)


REPLACEMENTS = {"ema": ema, "newton_schulz": newton_schulz}
