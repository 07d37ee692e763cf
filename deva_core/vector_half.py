"""The vector half: which rule everything that is not a matrix gets, and its learning rate. The same in every host.

| the vector rule's lr | its learning rate |
|---|---|
| not given | follows: the matrix rule's, times one ratio (`Rule.vector_lr_ratio`) |
| a number (in torch also a 0-d tensor) | exact; in torch it follows later changes of `group["lr"]` in proportion |
| a callable, an array | exact |

`vector_learning_rate`, an argument of every host, gives it, whatever the vector rule says.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from deva_core.adamw import AdamW
from deva_core.deva import DeVA
from deva_core.deva_vector import DeVAVector
from deva_core.hyperparameter import called, hyperparameters, validate
from deva_core.rule import Rule

Follows = Callable[[Any], tuple[Any, float] | None]
"""For a parameter whose learning rate follows another one: that one, and the ratio. None for one with its own."""


def default_vector_rule(rule: Rule) -> Rule:
    """What parameters that are not matrices get beside this rule."""
    if not rule.matrix:
        return rule
    return DeVAVector() if isinstance(rule, DeVA) else AdamW()


def vector_lr_ratio(rule: Rule, vector_rule: Rule) -> float | None:
    """The vector rule's lr over the matrix rule's, where it was given none; None where one of them has no lr.

    Example:
        >>> from deva_core import AdamW, Muon
        >>> from deva_core.vector_half import vector_lr_ratio
        >>> vector_lr_ratio(Muon(), AdamW()), vector_lr_ratio(Muon(scale="rms"), AdamW())
        (0.2, 1.0)
    """
    if rule.vector_lr_ratio is not None and vector_rule.unit_steps:
        return rule.vector_lr_ratio
    lrs = [hyperparameters(r)["lr"].default if "lr" in hyperparameters(r) else None for r in (vector_rule, rule)]
    return lrs[0] / lrs[1] if lrs[0] is not None and lrs[1] else None


def with_lr(rule: Rule, vector_rule: Rule, learning_rate: Any) -> Rule:
    """The vector rule with the lr that a host's `vector_learning_rate` gave it, if it did."""
    if learning_rate is None:
        return vector_rule
    if not rule.matrix:
        raise ValueError(
            f"{type(rule).__name__} moves every parameter by its lr: vector_learning_rate is for matrix rules"
        )
    if "lr" not in hyperparameters(vector_rule):
        raise ValueError(f"vector_learning_rate cannot be set: the vector rule {vector_rule!r} has no lr")
    validate(type(rule).__name__, "vector_learning_rate", hyperparameters(vector_rule)["lr"], learning_rate)
    return replace(vector_rule, lr=learning_rate, _lr_given=True)


def times(rule: Any, ratio: float) -> Any:
    """A rule's lr, times a number: of a callable, a callable."""
    lr, what = rule.lr, f"{type(rule).__name__}.lr"
    return (lambda count: called(what, lr, count) * ratio) if callable(lr) else lr * ratio


def followed(rule: Rule, vector_rule: Rule) -> tuple[Any, float] | None:
    """The lr that the vector rule's lr follows, and the ratio; None where it has one of its own."""
    ratio = None if vector_rule is rule or vector_rule.lr_given else vector_lr_ratio(rule, vector_rule)
    return None if ratio is None else (getattr(rule, "lr"), ratio)  # noqa: B009 - not every rule has one


def vector_half(rule: Rule, vector_rule: Rule | None = None, learning_rate: Any = None) -> Rule:
    """The vector rule as hosts run it whose rules hold the learning rate: all but torch's, where groups do.

    Args:
        rule: the matrix rule; another takes every parameter and is returned.
        vector_rule: the rule beside it; by default `AdamW()`, beside DeVA `DeVAVector()`.
        learning_rate: the vector rule's, whatever it says itself.

    Raises:
        ValueError, TypeError: a learning rate outside its domain, or for a vector rule that has none.

    Example:
        >>> from deva_core import AdamW, Muon
        >>> from deva_core.vector_half import vector_half
        >>> round(vector_half(Muon(lr=0.1)).lr, 6), vector_half(Muon(lr=0.1), AdamW(lr=3e-4)).lr
        (0.02, 0.0003)
    """
    own = with_lr(rule, default_vector_rule(rule) if vector_rule is None else vector_rule, learning_rate)
    if not rule.matrix:
        return rule
    follows = followed(rule, own)
    return own if follows is None else own.with_values(lr=times(rule, follows[1]), _lr_given=False)
