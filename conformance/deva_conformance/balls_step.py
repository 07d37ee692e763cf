"""One step of a rule as ball arithmetic evaluates it, and the expected rounding error for it."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from deva_conformance import balls
from deva_conformance.balls import BallArray, Undetermined
from deva_conformance.noisy import Noisy
from deva_conformance.tolerance import PLAIN, norm, spread
from deva_core import Backend, Rule, hyperparameters
from deva_core.costs import Costs

PRECISIONS = (160, 384, 1024)
"""Bits, one after the other until the radius is negligible: a root of a quantity that is zero halves the digits."""

NEGLIGIBLE = 2.0**-30
"""How large a radius may be, in units of the due rounding error."""

Fields = Mapping[str, np.ndarray]


def exact_numbers(rule: Rule) -> Rule:
    """The rule with its numbers as balls, the shape factor among them, so that Python rounds nothing either."""
    numeric = [name for name, h in hyperparameters(rule).items() if h.numeric and not h.integer]
    values = {name: getattr(rule, name) for name in numeric}
    exact = rule.with_values(**{name: balls.exactly(value) for name, value in values.items() if value is not None})
    if not hasattr(rule, "shape_factor"):
        return exact
    made: Any = exact

    def factor(W: Any) -> Any:
        return type(made).shape_factor(made, SimpleNamespace(shape=[balls.ball(n) for n in W.shape]))

    return exact.with_values(shape_factor=factor)


def evaluated(rule: Rule, state: Fields, W: np.ndarray, G: np.ndarray, t: int, b: Backend, read: Any) -> dict[str, Any]:
    """The new parameter (`W`) and state, in any namespace."""
    W, S = read(W), rule.State(**{name: read(state[name]) for name in rule.State._fields})
    delta, new = rule.update(read(G), S, W, t, b)
    return {"W": W + delta, **new._asdict()}


def due(
    rule: Rule, state: Fields, W: np.ndarray, G: np.ndarray, t: int, u: float, costs: Costs = PLAIN
) -> dict[str, float]:
    """How far honest roundings of this unit roundoff move each result, from Monte-Carlo arithmetic (`tolerance`)."""

    def run(xp: Noisy, b: Backend) -> dict[str, np.ndarray]:
        new = evaluated(rule, state, W, G, t, b, xp.asarray)
        return {name: np.asarray(x) for name, x in new.items()}

    return spread(run, u, costs)


def enclosed(
    rule: Rule, state: Fields, W: np.ndarray, G: np.ndarray, t: int, u: float, costs: Costs = PLAIN
) -> tuple[dict, dict]:
    """The true step as balls of negligible radius, and for each the due rounding error.

    Raises:
        Undetermined: rounding decides, or no precision tried is enough.
    """
    sigma = due(rule, state, W, G, t, u, costs)
    b = Backend(xp=balls.Balls(), device_of=lambda like: None)
    for bits in PRECISIONS:
        with balls.precision(bits):
            new = evaluated(exact_numbers(rule), state, W, G, t, b, balls.exactly)
            scale = {name: max(sigma[name], u * norm(balls.middle(x))) for name, x in new.items()}
            if all(is_negligible(x, scale[name]) for name, x in new.items()):
                return new, scale
    raise Undetermined(f"{PRECISIONS[-1]} bits are not enough")


def is_negligible(x: BallArray, scale: float) -> bool:
    """Whether a radius is so, beside the due rounding error."""
    size = norm(balls.radius(x))
    return size == 0 or size <= NEGLIGIBLE * scale


def off_by(actual: np.ndarray, x: BallArray, scale: float) -> float:
    """How far a backend's numbers are at most from the true ones, in units of the due rounding error."""
    if np.shape(actual) != x.shape:
        return np.inf
    error = norm(balls.farthest(x, actual))
    return error / scale if scale > 0 else (0.0 if error == 0 else np.inf)
