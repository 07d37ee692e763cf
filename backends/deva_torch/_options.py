"""The arguments of every optimizer besides its rule's hyperparameters; `RuleOptimizer` describes them."""

from collections.abc import Callable
from typing import Any, Literal, TypedDict

import torch

from deva_core import Rule

Rounding = Literal["nearest", "stochastic", "kahan"]


class VectorOptions(TypedDict, total=False):
    """Arguments of optimizers with a vector rule only."""

    maximize: bool
    foreach: bool | None
    capturable: bool
    state_dtype: torch.dtype | str | None
    rounding: Rounding
    generator: torch.Generator | None
    process_group: Any


class Options(VectorOptions, total=False):
    """Arguments of optimizers with a matrix rule and a vector rule."""

    vector_rule: Rule | None
    vector_learning_rate: float | torch.Tensor | Callable[[int], Any] | None
    layout: Any
    compute_dtype: torch.dtype | str
