"""Elementwise pieces of the rules. `b` is the backend, always the last argument."""

import math
from typing import Any

from deva_core.backend import Array, Backend, replaceable


@replaceable
def ema(average: Array, new: Array, beta: Any, b: Backend) -> Array:
    """The exponential moving average: `beta average + (1 - beta) new`. Shapes and dtypes agree; `average` is donated."""
    return beta * average + (1 - beta) * new


@replaceable
def ema_and_ahead(average: Array, new: Array, beta: Any, b: Backend) -> tuple[Array, Array]:
    """The moving average, and the average after the same `new` once more, where Nesterov looks. `average` is donated."""
    average = beta * average + (1 - beta) * new
    return average, beta * average + (1 - beta) * new


def averages(average: Array, new: Array, beta: Any, nesterov: bool, b: Backend) -> tuple[Array, Array]:
    """M and N: the moving average, and the average to step by, which Nesterov takes one average ahead."""
    if nesterov:
        return ema_and_ahead(average, new, beta, b)
    average = ema(average, new, beta, b)
    return average, average


@replaceable
def descent(direction: Array, length: Any, W: Array, decay: Any, b: Backend) -> Array:
    """The delta of a step: `-(length direction + decay W)`, in W's dtype, decay 0 leaving W unread."""
    direction = b.xp.astype(direction, W.dtype, copy=False)
    if isinstance(decay, int | float) and decay == 0:
        return -length * direction
    return -(length * direction + decay * W)


@replaceable
def multiplied(X: Array, k: Array, b: Backend) -> Array:
    """`k X`, a number for each matrix. X is donated."""
    return X * k


@replaceable
def sign(x: Array, b: Backend) -> Array:
    """-1, 0 or 1 for each entry; anything for NaN, which reaches a step by the second moments (libraries differ)."""
    return b.xp.sign(x)


def or_one(x: Array, b: Backend) -> Array:
    """`x`, with 1 in place of zeros: a divisor that leaves zeros at zero and NaN at NaN."""
    return b.xp.where(x == 0, b.xp.ones_like(x), x)


def positive(x: Any, b: Backend) -> Any:
    """1 where `x`, a Python number or an array, is above zero, else 0."""
    return float(x > 0) if isinstance(x, (int, float)) else b.xp.astype(x > 0, x.dtype)


def gap(beta: Any, t: Any, like: Array, b: Backend) -> Any:
    """The weight that an average started at zero has gathered after `t` steps: `1 - beta**t`, without cancellation.

    `beta` and `t` are Python numbers or 0-d arrays; an array result has the dtype of `like`.
    """
    if isinstance(beta, (int, float)):
        log = math.log(beta) if beta > 0 else -math.inf
        if isinstance(t, int):
            return -math.expm1(t * log)
    else:
        log = b.xp.log(beta)
    steps = t if isinstance(t, int) else b.xp.astype(t, like.dtype)
    return -b.xp.expm1(log * steps)


def root(x: Any, b: Backend) -> Any:
    """The square root of a Python number or an array."""
    return math.sqrt(x) if isinstance(x, (int, float)) else b.xp.sqrt(x)
