"""Elementwise pieces of the rules. `b` is the backend, always the last argument."""

import math
from typing import Any

from deva_core.backend import Array, Backend, replaceable


@replaceable
def ema(average: Array, new: Array, beta: Any, b: Backend) -> Array:
    """The exponential moving average: `beta average + (1 - beta) new`. Shapes and dtypes of `average` and `new` agree."""
    return beta * average + (1 - beta) * new


def or_one(x: Array, b: Backend) -> Array:
    """`x`, with 1 in place of zeros: a divisor that leaves zeros at zero and NaN at NaN."""
    return b.xp.where(x == 0, b.xp.ones_like(x), x)


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
