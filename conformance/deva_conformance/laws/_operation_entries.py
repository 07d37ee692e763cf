"""What is computed entry by entry: averages, multiples and steps; and what only moves or reads entries, exactly."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from deva_conformance.laws._operation_bench import Bench, entrywise, extended, square
from deva_conformance.laws._steps import need
from deva_conformance.physical import wide
from deva_core import Backend, basis, elementwise, linalg
from deva_core.stacks import donated_stack as donated

BETAS = (0.95, 0.0, 0.5, 0.03125)


def weights(bench: Bench, beta: float, as_array: bool) -> tuple[Any, Any, str]:
    """An average's weights as they arrive, as a Python number or as an array of the working dtype, and in words."""
    value = extended(bench.dtype.type(beta) if as_array else beta)
    return value, 1 - value, f"at beta {beta:g}{' as an array' if as_array else ''}"


def averages(bench: Bench, function: Callable, expect: Callable) -> float:
    """The worst error of a moving average, for numbers and arrays; the new value is kept."""
    M, G, worst = bench.X, (2.0**10 * wide(bench.draw(1))).astype(bench.dtype), 0.0
    for beta, as_array in itertools.product(BETAS, (False, True)):
        beta_, rest, words = weights(bench, beta, as_array)
        terms = expect(beta_, rest, extended(M), extended(G))
        if as_array:
            found = bench.call(lambda M, G, x, b: function(M, G, x, b), M, G, np.asarray(beta, bench.dtype))
        else:
            found = bench.call(lambda M, G, b, beta=beta: function(M, G, beta, b), M, G)
        worst = max(worst, entrywise(f"an average {words}", found, sum(terms), bench.u * sum(map(np.abs, terms))))
    kept = bench.call(lambda M, G, b: (function(M, G, 0.5, b), G)[1], M, G)
    need(bool(np.all(kept == G)), "an average overwrites its argument")
    return worst


def now(beta: Any, rest: Any, M: Any, G: Any) -> tuple[Any, ...]:
    """The terms of an average."""
    return beta * M, rest * G


def once_more(beta: Any, rest: Any, M: Any, G: Any) -> tuple[Any, ...]:
    """The terms of an average after the same value twice."""
    return beta * beta * M, beta * rest * G, rest * G


def ema(bench: Bench) -> float:
    """`beta average + (1 - beta) new`."""
    return averages(bench, elementwise.ema, now)


def ema_and_ahead(bench: Bench) -> float:
    """The average, and the one ahead, each while the other is there."""
    worst = averages(bench, lambda *a: elementwise.ema_and_ahead(*a)[0], now)
    return max(worst, averages(bench, lambda *a: elementwise.ema_and_ahead(*a)[1], once_more))


def plus_identity(bench: Bench) -> float:
    """`Z + a I`, Z kept."""
    Z = square(bench.X)
    one = np.eye(Z.shape[-1])
    found = bench.call(lambda Z, b: linalg.plus_identity(Z, 3.4445, b), Z)
    kept = bench.call(lambda Z, b: (linalg.plus_identity(Z, 3.4445, b), Z)[1], Z)
    need(bool(np.all(kept == Z)), "Z + a I overwrites Z")
    a = extended(3.4445) * one
    return entrywise("Z + a I", found, extended(Z) + a, bench.u * (np.abs(extended(Z)) + a))


def multiplied(bench: Bench) -> float:
    """`k X`, another number for each matrix."""
    X = bench.X
    k = (0.7 + np.arange(np.prod(X.shape[:-2], dtype=int))).reshape(*X.shape[:-2], 1, 1).astype(bench.dtype)
    expected = extended(k) * extended(X)
    return entrywise(
        "k X", bench.call(lambda X, k, b: elementwise.multiplied(X, k, b), X, k), expected, bench.u * np.abs(expected)
    )


def descent(bench: Bench) -> float:
    """`-(length direction + decay W)`, W kept; without decay W is not read."""
    O, W, worst = bench.X, bench.draw(1), 0.0
    lengths = np.asarray(0.02, bench.dtype), np.full((*O.shape[:-2], 1, 1), 0.02, bench.dtype)
    for decay in (0.0, 0.125):
        terms = extended(bench.dtype.type(0.02)) * extended(O), extended(decay) * extended(W)
        unread = W if decay else np.full_like(W, np.nan)
        for length in lengths:
            found = bench.call(lambda O, W, x, b, d=decay: elementwise.descent(O, x, W, d, b), O, unread, length)
            size = bench.u * sum(map(np.abs, terms))
            worst = max(worst, entrywise(f"a step with decay {decay}", found, -sum(terms), size))
    kept = bench.call(lambda O, W, b: (elementwise.descent(O, 0.02, W, 0.125, b), W)[1], O, W)
    need(bool(np.all(kept == W)), "a step overwrites W")
    return worst


def sign(bench: Bench) -> float:
    """-1, 0 and 1, exactly."""
    X = bench.X.copy()
    X[..., 0, 0] = 0
    found = bench.call(lambda X, b: elementwise.sign(X, b), X)
    need(np.array_equal(found, np.sign(X)), "sign(X) differs from NumPy's")
    return 0.0


def take(bench: Bench) -> float:
    """Rows and columns in an order of each matrix's own: exactly, whatever they hold."""
    X = bench.X
    for axis in (-2, -1):
        g, n = bench.problem.generator(3, 0, -axis), X.shape[axis]
        order = np.argsort(g.random((*X.shape[:-2], n)), axis=-1)
        indices = order[..., None, :] if axis == -1 else order[..., :, None]
        found = bench.call(lambda X, order, b, axis=axis: basis.take(X, order, axis, b), X, order)
        need(
            np.array_equal(found, np.take_along_axis(X, indices, axis)),
            f"entries exchanged along axis {axis} are others",
        )
    return 0.0


def donated_stack(bench: Bench) -> float:
    """Arrays along a new first axis, exactly, and again of the parts of what came out."""
    parts = [bench.draw(k) for k in range(3)]

    def twice(A: Any, B: Any, C: Any, b: Backend) -> Any:
        whole = donated([A, B, C], b)
        return donated([whole[k, ...] for k in (2, 1, 0)], b)

    need(np.array_equal(bench.call(twice, *parts), np.stack(parts[::-1])), "a stack holds the wrong arrays")
    return 0.0
