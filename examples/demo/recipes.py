"""The hyperparameters: one recipe for every framework. Change them here."""

from typing import Any

import deva_core

RECIPES: dict[str, dict[str, Any]] = {
    "Muon": {"lr": 0.02},
    "AdaGO": {"lr": 0.2},  # its steps shrink like 1/√t: in a run this short it wants more than the default 0.05
    "DeVA": {"lr": 0.01, "weight_decay": 0.0},
}
"""Rule by rule, what differs from the rule's defaults. The three reach a similar loss with these."""

BIASES = {"lr": 3e-3, "weight_decay": 0.0}
"""AdamW's, for the biases beside Muon and AdaGO. Beside DeVA, biases get DeVA over vectors."""


def rule(name: str) -> Any:
    """`deva_core`'s rule for matrices."""
    return getattr(deva_core, name)(**RECIPES[name])


def vector_rule(name: str) -> Any:
    """`deva_core`'s rule for biases beside it."""
    return deva_core.DeVAVector() if name == "DeVA" else deva_core.AdamW(**BIASES)
