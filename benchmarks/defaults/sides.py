"""The optimizers: as they come, and ours at a pair of learning rate and ratio."""

import re
from collections.abc import Callable

import torch

import deva_core
import deva_torch
from deva_torch import param_groups

Make = Callable[[torch.nn.Module], torch.optim.Optimizer]
RULES = {"Muon": deva_torch.Muon, "AdaGO": deva_torch.AdaGO, "DeVA": deva_torch.DeVA}
VECTORS = {"Muon": deva_core.AdamW, "AdaGO": deva_core.AdamW, "DeVA": deva_core.DeVAVector}
"""The rule of the other half, by the matrix rule."""

REFERENCE = "AdamW"


def adamw(model: torch.nn.Module) -> torch.optim.Optimizer:
    """torch's, without a hyperparameter."""
    return torch.optim.AdamW(model.parameters())


def default(name: str) -> Make:
    """A rule of ours, or the reference, without a hyperparameter."""
    return adamw if name == REFERENCE else lambda model: RULES[name](param_groups(model))


def at(name: str, lr: float, ratio: float) -> Make:
    """A rule of ours at this learning rate of the matrices; the other half's is `ratio` times it."""
    return lambda model: RULES[name](param_groups(model), lr=lr, vector_rule=VECTORS[name](lr=lr * ratio))


def learning_rates(name: str) -> dict[str, float]:
    """What a rule's default gives matrices and the other parameters, as its `explain()` says.

    Example:
        >>> learning_rates("Muon")
        {'matrices': 0.02, 'others': 0.004}
    """
    model = torch.nn.Sequential(torch.nn.Embedding(4, 2), torch.nn.Linear(2, 3))
    lines = [re.split("  +", line) for line in default(name)(model).explain().splitlines()]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    found = {row["parameter"]: float(row["lr"]) * float(row["ratio"].replace("-", "1")) for row in rows}
    return {"matrices": found["1.weight"], "others": found["0.weight"]}
