"""What every optimizer of this package takes besides its rule's hyperparameters; `RuleOptimizer` describes it."""

from collections.abc import Callable
from typing import Any, Literal, TypedDict

import torch

from deva_core import Rule

Rounding = Literal["nearest", "stochastic", "kahan"]


class VectorOptions(TypedDict, total=False):
    """Of optimizers without a matrix rule."""

    maximize: bool
    foreach: bool | None
    capturable: bool
    state_dtype: torch.dtype | str | None
    rounding: Rounding
    generator: torch.Generator | None
    process_group: Any


class Options(VectorOptions, total=False):
    """Of optimizers with two halves."""

    vector_rule: Rule | None
    vector_learning_rate: float | torch.Tensor | Callable[[int], Any] | None
    layout: Any
    compute_dtype: torch.dtype | str
