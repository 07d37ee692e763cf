"""How far a backend may be from the oracle: the Monte-Carlo-arithmetic ratio.

No fixed tolerance serves: honest float32 Newton–Schulz errors span four decades (specification, numerics §5). The rule
is run in float64 with every operation's result perturbed by the working precision's unit roundoff; the spread σ of a
few such runs is the scale of honest errors *for this very input*. A backend's error is measured in it:

    ratio = ‖backend - oracle‖ / max(σ, u ‖oracle‖)  <=  16

Honest backends stay under 2, a few under 10 on one family of outliers.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from deva_conformance.noisy import Noisy
from deva_conformance.physical import State, physical, wide
from deva_core import Backend, Rule, hyperparameters
from deva_core.costs import Costs

THRESHOLD = 16.0
SAMPLES = 6
SINGLE, DOUBLE = 2.0**-24, 2.0**-53
PLAIN = Costs()
"""The specification's own form of Newton–Schulz."""


def unit_roundoff(dtype: Any) -> float:
    """Of the arithmetic inside a step: float64 for float64, float32 for everything narrower."""
    return DOUBLE if np.dtype(dtype) == np.float64 else SINGLE


def half_ulp(x: np.ndarray, dtype: Any) -> np.ndarray:
    """The largest error of rounding x to a dtype narrower than the arithmetic; 0 where it is not narrower."""
    digits = {"bfloat16": 8, "float16": 11}.get(np.dtype(dtype).name)
    if digits is None:
        return np.zeros_like(x)
    smallest = {"bfloat16": 2.0**-126, "float16": 2.0**-14}[np.dtype(dtype).name]
    return 2.0 ** (np.floor(np.log2(np.maximum(np.abs(x), smallest))) - digits)


def rule_state(rule: Rule, fields: Mapping[str, Any], xp: Any) -> Any:
    """A backend's exported state as the rule's own, in a namespace."""
    return rule.State(**{name: xp.asarray(wide(fields[name])) for name in rule.State._fields})


def exported(state: Any) -> State:
    """A rule's state, physical."""
    return physical({name: np.asarray(x) for name, x in state._asdict().items()})


def one_run(u: float, seed: int, run: Callable[[Noisy, Backend], State], eps: float, costs: Costs) -> State:
    """A computation under errors of size u."""
    xp = Noisy(u, seed, eps)
    with np.errstate(all="ignore"):
        return run(xp, Backend(xp=xp, costs=costs))


def spread(run: Callable[[Noisy, Backend], State], u: float, costs: Costs = PLAIN) -> dict[str, float]:
    """σ of each result: the root mean square distance of perturbed runs from the unperturbed one.

    `costs` choose between documented forms of one computation, whose errors differ.
    """
    exact = one_run(0.0, 0, run, 2 * u, costs)
    samples = [one_run(u, seed, run, 2 * u, costs) for seed in range(1, SAMPLES + 1)]
    return {name: float(np.sqrt(np.mean([distance(s[name], x) ** 2 for s in samples]))) for name, x in exact.items()}


Memory = dict[Hashable, dict[str, float]]
_memory: list[Memory] = []


@contextmanager
def remembering(memory: Memory) -> Iterator[None]:
    """Inside, spreads are looked up in `memory` before they are computed: many faults meet the same cases.

    Not for a core that is patched meanwhile: a spread is found by its rule and arrays alone.
    """
    _memory.append(memory)
    try:
        yield
    finally:
        _memory.pop()


def remembered(key: Hashable, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
    """A spread, computed once for each key where there is a memory."""
    if not _memory:
        return compute()
    if key not in _memory[-1]:
        _memory[-1][key] = compute()
    return _memory[-1][key]


def content(x: Any) -> Hashable:
    """What tells an array from others, down to its bits."""
    x = np.asarray(x)
    return x.dtype.name, x.shape, x.tobytes()


def step_spread(
    rule: Rule,
    fields: Mapping[str, Any],
    W: np.ndarray,
    G: np.ndarray,
    t: int,
    u: float,
    costs: Costs = PLAIN,
    scheduled: bool = False,
) -> dict[str, float]:
    """σ of one step from a given state; `scheduled` numbers are rounded to the working dtype, as traced ones are."""

    def run(xp: Noisy, b: Backend) -> State:
        W_, G_ = xp.asarray(wide(W)), xp.asarray(wide(G))
        rule_ = rounded(rule, xp) if scheduled else rule
        delta, state = rule_.update(G_, rule_state(rule, fields, xp), W_, t, b)
        return {"W": np.asarray(W_ + delta), **exported(state)}

    arrays = (W, G, *(fields[name] for name in rule.State._fields))
    key = ("step", rule, *map(content, arrays), t, u, costs, scheduled)
    return remembered(key, lambda: spread(run, u, costs))


def rounded(rule: Rule, xp: Noisy) -> Rule:
    """The rule with every number off by a rounding (integers fit exactly)."""
    numeric = {name: getattr(rule, name) for name, h in hyperparameters(rule).items() if h.numeric and not h.integer}
    return rule.with_values(**{name: float(x + xp.error(x)) for name, x in numeric.items() if x is not None})


def run_spread(
    rule: Rule,
    W: np.ndarray,
    grads: Sequence[np.ndarray],
    u: float,
    costs: Costs = PLAIN,
    noisy_inputs: bool = False,
) -> dict[str, float]:
    """σ of a whole run from the beginning; `noisy_inputs` lets the parameter and gradients err by a rounding too."""

    def run(xp: Noisy, b: Backend) -> State:
        def read(x: np.ndarray) -> Any:
            x = xp.asarray(wide(x))
            return x + xp.wrap(xp.error(x)) if noisy_inputs else x

        V = read(W)
        state = rule.init(V, b)
        for k, G in enumerate(grads):
            delta, state = rule.at(k).update(read(G), state, V, k + 1, b)
            V = V + delta
        return {"W": np.asarray(V), **exported(state)}

    key = ("run", rule, *map(content, (W, *grads)), u, costs, noisy_inputs)
    return remembered(key, lambda: spread(run, u, costs))


def distance(x: np.ndarray, y: np.ndarray, ignore: Any = 0.0) -> float:
    """The Euclidean distance, each entry's difference lessened by `ignore`; infinite where one is not finite."""
    if np.shape(x) != np.shape(y):
        return np.inf
    difference = np.abs(np.asarray(x) - np.asarray(y))
    if not np.all(np.isfinite(difference)):
        return np.inf
    return norm(np.maximum(difference - ignore, 0.0))


def norm(x: np.ndarray) -> float:
    """The Euclidean norm, of entries of any size."""
    size = float(np.max(np.abs(x), initial=0.0))
    return size * float(np.sqrt(np.sum((x / size) ** 2))) if size > 0 and np.isfinite(size) else size


def ratio(actual: np.ndarray, expected: np.ndarray, sigma: float, u: float, ignore: Any = 0.0) -> float:
    """The Monte-Carlo-arithmetic ratio."""
    error = distance(actual, expected, ignore)
    scale = max(sigma if np.isfinite(sigma) else 0.0, u * norm(expected))
    return error / scale if scale > 0 else (0.0 if error == 0 else np.inf)
