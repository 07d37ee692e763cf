"""How far single operations of a backend are from exact ones, each in units in which 16 is the most that is honest.

`CHECKS` has one for every function that `deva_core` lets a backend replace, by name, and for what rules compose of them.
A check is given a `Bench` and returns its worst ratio; references are computed in a wider dtype from the definitions.
"""

import importlib
import itertools
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

import deva_core
from deva_conformance import strategies
from deva_conformance.laws._operation_bench import (
    Bench,
    entrywise,
    extended,
    product,
    square,
    transposed,
)
from deva_conformance.laws._steps import need, within
from deva_conformance.oracle.matrix import through_singular_values
from deva_conformance.physical import wide
from deva_conformance.tolerance import SINGLE, THRESHOLD, content, distance, ratio, remembered, spread
from deva_core import JORDAN, Backend, Rule, basis, elementwise, linalg, replaceable
from deva_core.costs import Costs
from deva_core.stacks import donated_stack as donated

BETAS = (0.95, 0.0, 0.5, 0.03125)

JACOBI = 20
"""Up to this size the float64 singular values come in extended precision; beyond, LAPACK's, whose own error is of the
size that is judged and takes a few of the sixteen units."""

NARROW = 1.5
"""How many times the plain iteration's error is allowed where products run in a narrow dtype: 16 on the kit's scale."""


def matmul(bench: Bench) -> float:
    """`A B` and, with an operand that lies transposed in memory, `A Aᵀ`; NaN stays in its row."""
    A, B, k = bench.X, transposed(bench.draw(1)).copy(), bench.X.shape[-1]
    unit = bench.u * np.sqrt(k)
    size = product(np.abs(A), np.abs(B))
    worst = entrywise("A B", bench.call(lambda A, B, b: b.matmul(A, B), A, B), product(A, B), unit * size)
    size = product(np.abs(A), np.abs(transposed(A)))
    found = bench.call(lambda A, b: b.matmul(A, linalg.transpose(A, b)), A)
    worst = max(worst, entrywise("A Aᵀ", found, product(A, transposed(A)), unit * size))
    spoiled = A.copy()
    spoiled[..., 0, 0] = np.nan
    lost = np.isnan(bench.call(lambda A, B, b: b.matmul(A, B), spoiled, B))
    need(
        bool(np.all(lost[..., 0, :]) and not np.any(lost[..., 1:, :])),
        "NaN in a row of A is not NaN in that row of A B",
    )
    return worst


def multiply_add(bench: Bench) -> float:
    """`beta C + alpha A B`, the operands unchanged."""
    A, B = bench.X, transposed(bench.draw(1)).copy()
    C = bench.draw(2, (*A.shape[:-1], B.shape[-1]))
    expected = 2.0315 * extended(C) - 4.775 * product(A, B)
    size = 2.0315 * np.abs(extended(C)) + 4.775 * product(np.abs(A), np.abs(B))
    found = bench.call(lambda C, A, B, b: linalg.multiply_add(2.0315, C, -4.775, A, B, b), C, A, B)
    worst = entrywise("beta C + alpha A B", found, expected, bench.u * np.sqrt(A.shape[-1] + 1) * size)
    kept = bench.call(lambda C, A, B, b: (linalg.multiply_add(2.0315, C, -4.775, A, B, b), C)[1], C, A, B)
    need(bool(np.all(kept == C)), "beta C + alpha A B writes C")
    return worst


def symmetric_multiply_add(bench: Bench) -> float:
    """`beta R + alpha A A` of a symmetric A and of a multiple of it, the operands unchanged."""
    A = square(bench.X)
    A = A + transposed(A)
    R = 2 * A
    expected = -4.775 * extended(R) + 2.0315 * product(A, A)
    size = 4.775 * np.abs(extended(R)) + 2.0315 * product(np.abs(A), np.abs(A))
    found = bench.call(lambda R, A, b: linalg.symmetric_multiply_add(-4.775, R, 2.0315, A, A, b), R, A)
    worst = entrywise("beta R + alpha A A", found, expected, bench.u * np.sqrt(A.shape[-1] + 1) * size)
    kept = bench.call(lambda R, A, b: (linalg.symmetric_multiply_add(2.0, R, 1.0, A, A, b), R + A)[1], R, A)
    need(bool(np.all(kept == R + A)), "beta R + alpha A A writes R or A")
    return worst


def gram(bench: Bench) -> float:
    """`X Xᵀ`, X kept."""
    X = bench.X
    size = bench.u * np.sqrt(X.shape[-1]) * product(np.abs(X), np.abs(transposed(X)))
    worst = entrywise("X Xᵀ", bench.call(linalg.gram, X), product(X, transposed(X)), size)
    kept = bench.call(lambda X, b: (linalg.gram(X, b), X)[1], X)
    need(bool(np.all(kept == X)), "X Xᵀ writes X")
    return worst


def donated_stack(bench: Bench) -> float:
    """Arrays along a new first axis, exactly, and again of the parts of what came out."""
    parts = [bench.draw(k) for k in range(3)]

    def twice(A: Any, B: Any, C: Any, b: Backend) -> Any:
        whole = donated([A, B, C], b)
        return donated([whole[k, ...] for k in (2, 1, 0)], b)

    need(np.array_equal(bench.call(twice, *parts), np.stack(parts[::-1])), "a stack of arrays holds others")
    return 0.0


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
    need(bool(np.all(kept == G)), "an average writes the new value")
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
    need(bool(np.all(kept == Z)), "Z + a I writes Z")
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


def outer_ema(bench: Bench) -> float:
    """`beta C + (1 - beta) G Gᵀ`, G kept."""
    G, worst = bench.X, 0.0
    C = (2 * wide(bench.draw(1)) @ wide(transposed(bench.draw(2)))).astype(bench.dtype)
    outer, size = product(G, transposed(G)), product(np.abs(G), np.abs(transposed(G)))
    for beta in BETAS:
        rest = 1 - extended(beta)
        expected = beta * extended(C) + rest * outer
        unit = bench.u * np.sqrt(G.shape[-1] + 1) * (beta * np.abs(extended(C)) + rest * size)
        found = bench.call(lambda C, G, b, beta=beta: basis.outer_ema(C, G, beta, b), C, G)
        worst = max(worst, entrywise(f"an average with G Gᵀ at beta {beta:g}", found, expected, unit))
    kept = bench.call(lambda C, G, b: (basis.outer_ema(C, G, 0.5, b), G)[1], C, G)
    need(bool(np.all(kept == G)), "an average with G Gᵀ writes G")
    return worst


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
    need(bool(np.all(kept == W)), "a step writes W")
    return worst


def in_its_dtype(X: Any, b: Backend) -> Any:
    """`X / ‖X‖` as X is."""
    return linalg.unit(X, X.dtype, b)


def unit(bench: Bench) -> float:
    """`X / ‖X‖`, and zero for zero."""
    X = bench.X
    size = np.sqrt(np.sum(extended(X) ** 2, axis=(-2, -1), keepdims=True))
    terms = np.sqrt(X.shape[-1] * X.shape[-2])
    found, expected = bench.call(in_its_dtype, X), extended(X) / size
    worst = entrywise("X / ‖X‖", found, expected, bench.u * terms * np.abs(expected))
    need(not np.any(bench.call(in_its_dtype, np.zeros_like(X))), "zero over its norm is not zero")
    return worst


def frobenius(bench: Bench) -> float:
    """‖X‖, axes kept, and zero of zero."""
    X = bench.X
    expected = np.sqrt(np.sum(extended(X) ** 2, axis=(-2, -1), keepdims=True))
    found = bench.call(lambda X, b: linalg.frobenius(X, b), X)
    need(not np.any(bench.call(lambda X, b: linalg.frobenius(X, b), np.zeros_like(X))), "the norm of zero is not zero")
    return entrywise("‖X‖", found, expected, bench.u * np.sqrt(X.shape[-1] * X.shape[-2]) * expected)


def sign(bench: Bench) -> float:
    """-1, 0 and 1, exactly."""
    X = bench.X.copy()
    X[..., 0, 0] = 0
    found = bench.call(lambda X, b: elementwise.sign(X, b), X)
    need(np.array_equal(found, np.sign(X)), "a sign is another")
    return 0.0


def positive_qr(bench: Bench) -> float:
    """LAPACK's ratios by columns: Q orthogonal, `Qᵀ A` upper triangular with no negative diagonal."""
    A, n = square(bench.X), min(bench.X.shape[-2:])
    Q = extended(bench.call(linalg.positive_qr, A))
    need(Q.shape == A.shape, f"Q has the shape {Q.shape}")
    columns = bench.u * n * np.linalg.norm(wide(A), axis=-2)
    R = transposed(Q) @ extended(A)
    defect = norms(transposed(Q) @ Q - np.eye(n))
    worst = entrywise("QᵀQ - I", defect, np.zeros_like(defect), bench.u * n * np.sqrt(n))
    below, negative = norms(np.tril(R, -1)), np.maximum(-np.diagonal(R, axis1=-2, axis2=-1), 0)
    worst = max(worst, entrywise("R below its diagonal", below, np.zeros_like(below), columns))
    return max(worst, entrywise("a negative diagonal of R", negative, np.zeros_like(negative), columns))


def norms(X: np.ndarray) -> np.ndarray:
    """The norms of the columns."""
    return np.sqrt(np.sum(X**2, axis=-2))


def orthogonalization(rule: Any) -> linalg.Orthogonalization:
    """The rule's Newton–Schulz triples; Jordan's five where it asks for singular vectors or knows no polar factor."""
    how = getattr(rule, "orthogonalization", None)
    return linalg.Orthogonalization((JORDAN,) * 5) if how is None or how.steps == "exact" else how


def through_quintics(bench: Bench, X: np.ndarray, how: Any) -> np.ndarray:
    """The matrices that the odd quintics make of X's singular values."""
    precise = bench.u if min(X.shape[-2:]) <= JACOBI else SINGLE
    named = {"ns_coefficients": how.steps, "ns_steps": len(how.steps)}
    parts = [through_singular_values(X[i], named, precise) for i in np.ndindex(*X.shape[:-2])]
    return np.reshape(parts, X.shape).astype(np.float64)


def newton_schulz(bench: Bench) -> float:
    """The iteration alone, on matrices of norm 1, in the working dtype."""
    how, size = orthogonalization(bench.rule), np.sqrt(np.sum(wide(bench.X) ** 2, axis=(-2, -1), keepdims=True))
    X = (wide(bench.X) / size).astype(bench.dtype)
    found = wide(bench.call(lambda X, b: linalg.newton_schulz(X, how.steps, b), X))
    expected = through_quintics(bench, wide(X), how)
    sigma = factor_spread(lambda X, b: linalg.newton_schulz(X, how.steps, b), "newton_schulz", wide(X), how, bench.u)
    return within("Newton–Schulz", ratio(found, expected, sigma, bench.u))


def factor_spread(function: Any, name: str, X: np.ndarray, how: Any, u: float) -> float:
    """σ of an orthogonalisation of X, by the function's name."""
    key = (name, content(X), how, u)
    return remembered(key, lambda: spread(lambda xp, b: {"O": np.asarray(function(xp.asarray(X), b))}, u))["O"]


def polar(bench: Bench) -> float:
    """The polar factor, of tall matrices too, against the polynomial of the singular values."""
    how, X = orthogonalization(bench.rule), wide(bench.X)
    expected = through_quintics(bench, X, how)
    found = wide(bench.call(lambda X, b: b.xp.astype(linalg.polar(X, how, b), X.dtype), bench.X))
    u = products_roundoff(bench)
    sigma = factor_spread(lambda X, b: linalg.polar(X, how, b), "polar", X, how, u)
    worst = within("a polar factor", ratio(found, expected, sigma, u))
    return worst if u == bench.u else max(worst, no_worse(bench, how, found))


def products_roundoff(bench: Bench) -> float:
    """The unit roundoff of Newton–Schulz products: of `compute_dtype`, where that is set and the dtype is not float64."""
    b = bench.operations.backend
    if b.compute_dtype is None or bench.dtype == np.float64:
        return bench.u
    return float(b.xp.finfo(b.compute_dtype).eps) / 2


def no_worse(bench: Bench, how: Any, found: np.ndarray) -> float:
    """In a narrow dtype, where even honest errors are large: at most half again as far from orthogonal as the plain
    iteration in it.
    """
    b = bench.operations.backend
    plain = replace(bench.operations, backend=replace(b, replacements={}, costs=type(b.costs)()))
    honest = wide(plain.call(lambda X, b: b.xp.astype(linalg.polar(X, how, b), X.dtype), bench.X))
    off, due = orthogonality_error(found), orthogonality_error(honest)
    return within("beside the plain iteration, a polar factor", THRESHOLD / NARROW * off / due if due else 0.0)


def orthogonality_error(X: np.ndarray) -> float:
    """How far the smaller Gram matrix is from the identity."""
    G = X @ transposed(X) if X.shape[-2] <= X.shape[-1] else transposed(X) @ X
    return distance(G, np.broadcast_to(np.eye(G.shape[-1]), G.shape))


CHECKS: dict[str, Callable[[Bench], float]] = {
    "matmul": matmul,
    "multiply_add": multiply_add,
    "symmetric_multiply_add": symmetric_multiply_add,
    "gram": gram,
    "donated_stack": donated_stack,
    "plus_identity": plus_identity,
    "multiplied": multiplied,
    "outer_ema": outer_ema,
    "take": take,
    "ema": ema,
    "ema_and_ahead": ema_and_ahead,
    "descent": descent,
    "unit": unit,
    "frobenius": frobenius,
    "sign": sign,
    "positive_qr": positive_qr,
    "newton_schulz": newton_schulz,
    "polar": polar,
}
"""By the name of the function; `matmul` is the backend's own."""

COMPOSED = ("matmul",)
"""Of these, what no function replaces: the backend's own product."""

HOSTED = ("donated_stack",)
"""Of these, what hosts call, whatever the rule."""


@lru_cache
def replaceables() -> frozenset[str]:
    """The names of all functions in `deva_core` that a backend may replace."""
    code = replaceable(lambda b: b).__code__
    modules = (importlib.import_module(f"deva_core.{m.name}") for m in pkgutil.iter_modules(deva_core.__path__))
    return frozenset(
        f.__name__ for module in modules for f in vars(module).values() if getattr(f, "__code__", None) is code
    )


class Spy(dict):
    """Replacements that are none, and remember what was asked for."""

    def get(self, name: str, default: Any = None) -> Any:
        """The specification's own function."""
        self[name] = default
        return default


@lru_cache
def used(rule: type[Rule]) -> tuple[str, ...]:
    """Which operations the rule's steps call, under any hyperparameters: what two of them on NumPy ask for."""
    spy, values, W = Spy(), strategies.table(rule), np.ones((3, 3))
    for k, form in itertools.product(range(strategies.row_count(values)), ("plain", "gram")):
        b = replace(Backend.of(W), replacements=spy, costs=Costs(form=form))
        made = strategies.row(rule, values, k)
        S = made.init(W, b)
        for t in (1, 2):
            _, S = made.update(np.eye(3), S, W, t, b)
    composed = HOSTED + (COMPOSED if "multiply_add" in spy else ())
    return tuple(name for name in CHECKS if name in spy or name in composed)
