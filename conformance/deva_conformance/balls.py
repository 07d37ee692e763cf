"""Ball arithmetic: an array namespace whose entries are intervals that certainly hold the true value.

A rule run in it, on the very numbers that a backend had, tells what rounding should have approximated, to as many bits as
asked for. Entries are python-flint's `arb`: midpoint and radius, every operation's error added to the radius.
A comparison that the balls, or a working precision, cannot decide raises `Undetermined` instead of guessing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

try:
    import flint
except ImportError:  # optional: laws that need it say how to install it
    flint: Any = None

HOW = "ball arithmetic needs python-flint: pip install python-flint"

OPEN = 2.0**-26
"""Decisions closer than this count as open. Grid cells are 2**-20 wide, so float64 quotients of matrices with up to some
dozen columns are exact to about 32 n u 2**20 = 2**-26 cells; for relative sizes it is wider than rounding by far."""


class Undetermined(Exception):
    """A decision that rounding takes: the true step is not one value."""


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Compute with so many bits inside the block."""
    with flint.ctx.workprec(bits):
        yield


def ball(x: Any) -> Any:
    """A number as a ball; exact, as floats are dyadic."""
    return x if isinstance(x, flint.arb) else flint.arb(x)


def root(x: Any) -> Any:
    """The square root; a ball that reaches below zero stands for the nonnegative values in it."""
    x = ball(x)
    return x.sqrt() if x > 0 or x.is_zero() else flint.arb(0).union(x.abs_upper().sqrt())


def log(x: Any) -> Any:
    """The logarithm, -infinity at zero."""
    return flint.arb("-inf") if ball(x).is_zero() else ball(x).log()


def expm1(x: Any) -> Any:
    """`exp(x) - 1`, -1 at -infinity."""
    return ball(x).expm1() if ball(x).is_finite() else flint.arb(-1)


def largest(x: Any, y: Any) -> Any:
    """The maximum."""
    return ball(x).max(ball(y))


def least(x: Any, y: Any) -> Any:
    """The minimum."""
    return ball(x).min(ball(y))


def difference_sign(x: Any, y: Any) -> int:
    """The sign of `x - y`, if no honest rounding of either changes it."""
    x, y = ball(x), ball(y)
    difference, size = x - y, OPEN * largest(abs(x), abs(y))
    if difference.is_zero():
        return 0
    if abs(difference) > size:
        return 1 if difference > 0 else -1
    raise Undetermined(f"a comparison of {x.str(6)} and {y.str(6)}")


def cell(x: Any) -> Any:
    """The floor, if x is not near an integer."""
    low = (ball(x) - OPEN).floor()
    if not (low.is_exact() and low == (ball(x) + OPEN).floor()):
        raise Undetermined(f"{x.str(12)} is on the edge of a cell")
    return low


COMPARISONS: dict[Any, Callable[[int], bool]] = {
    np.equal: lambda sign: sign == 0,
    np.not_equal: lambda sign: sign != 0,
    np.less: lambda sign: sign < 0,
    np.less_equal: lambda sign: sign <= 0,
    np.greater: lambda sign: sign > 0,
    np.greater_equal: lambda sign: sign >= 0,
}

OPERATIONS: dict[Any, np.ufunc] = {
    np.sqrt: np.frompyfunc(root, 1, 1),
    np.log: np.frompyfunc(log, 1, 1),
    np.expm1: np.frompyfunc(expm1, 1, 1),
    np.sign: np.frompyfunc(lambda x: ball(x).sgn(), 1, 1),
    np.floor: np.frompyfunc(cell, 1, 1),
    np.maximum: np.frompyfunc(largest, 2, 1, identity=None),
    np.minimum: np.frompyfunc(least, 2, 1, identity=None),
}


def entries(f: Callable[..., Any], *arrays: Any) -> np.ndarray:
    """A function of each entry, broadcast; an array also where NumPy would return its one entry."""
    return np.asarray(np.frompyfunc(f, len(arrays), 1)(*map(np.asarray, arrays)), dtype=object)


class BallArray(np.ndarray):
    """An array of balls."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Object arithmetic, with the functions above where NumPy's would decide or not know."""
        plain = [np.asarray(x) for x in inputs]
        if ufunc in COMPARISONS:
            return entries(lambda x, y: COMPARISONS[ufunc](difference_sign(x, y)), *plain).astype(bool)
        return wrap(getattr(OPERATIONS.get(ufunc, ufunc), method)(*plain, **kwargs))


def wrap(x: Any) -> BallArray:
    """Entries as an array of balls, 0-d ones too."""
    return np.asarray(x, dtype=object).view(BallArray)


def exactly(x: Any) -> BallArray:
    """Float64 numbers as balls of radius zero."""
    return wrap(entries(lambda v: flint.arb(float(v)), x))


class Linalg:
    """The linear algebra that rules ask of a namespace."""

    @staticmethod
    def trace(X: BallArray) -> BallArray:
        """The sum of each diagonal."""
        return wrap(np.sum(Linalg.diagonal(X), axis=-1))

    @staticmethod
    def diagonal(X: BallArray) -> BallArray:
        """The diagonals."""
        return wrap(np.diagonal(X, axis1=-2, axis2=-1))

    @staticmethod
    def qr(A: BallArray) -> tuple[BallArray, BallArray]:
        """The factors of regular matrices, R's diagonal positive: Gram–Schmidt, which many bits make harmless."""
        Q = wrap(np.zeros(A.shape))
        for j in range(A.shape[-1]):
            v, done = A[..., :, j : j + 1], Q[..., :, :j]
            v = v - done @ (np.swapaxes(done, -1, -2) @ v) if j else v
            Q[..., :, j : j + 1] = v / np.sqrt(np.sum(v * v, axis=-2, keepdims=True))
        return Q, wrap(np.swapaxes(Q, -1, -2) @ A)


MOVING = ("where", "reshape", "matrix_transpose", "permute_dims", "expand_dims", "squeeze", "concat", "stack", "flip")
ARITHMETIC = (
    "abs",
    "negative",
    "add",
    "subtract",
    "multiply",
    "divide",
    "square",
    "sqrt",
    "exp",
    "log",
    "expm1",
    "log1p",
)
DECIDING = ("sum", "max", "min", "maximum", "minimum", "sign", "floor", "equal", "less", "less_equal", "greater")
SOUND = frozenset((*MOVING, *ARITHMETIC, *DECIDING))
"""NumPy's functions that enclose when given balls: they move entries, or act by the operations above."""


class Balls:
    """The namespace: what the rules use of the Array API."""

    linalg = Linalg
    float64 = np.float64

    def __getattr__(self, name: str) -> Any:
        """NumPy's function where it is sound."""
        if name not in SOUND:
            raise Undetermined(f"ball arithmetic has no {name}")
        function = getattr(np, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            return result if getattr(result, "dtype", None) == np.bool else wrap(result)

        return call

    def astype(self, X: BallArray, dtype: Any, copy: bool = True) -> BallArray:
        """Balls have no narrower dtype."""
        return X

    def mean(self, X: BallArray, axis: Any = None, keepdims: bool = False) -> BallArray:
        """The mean."""
        total = wrap(np.sum(X, axis=axis, keepdims=keepdims))
        return wrap(total / (X.size // total.size))

    def clip(self, X: BallArray, low: Any = None, high: Any = None) -> BallArray:
        """Within bounds."""
        X = X if low is None else wrap(np.maximum(X, low))
        return X if high is None else wrap(np.minimum(X, high))

    def argsort(self, keys: BallArray, axis: int = -1, stable: bool = True) -> np.ndarray:
        """A stable order of integers."""
        return np.argsort(entries(integer, keys).astype(np.int64), axis=axis, kind="stable")

    def take_along_axis(self, X: BallArray, indices: np.ndarray, axis: int) -> BallArray:
        """The entries in another order."""
        return wrap(np.take_along_axis(X, np.asarray(indices), axis=axis))

    def broadcast_to(self, X: Any, shape: tuple[int, ...]) -> Any:
        """Repeated; indices stay what they are."""
        return np.broadcast_to(X, shape)

    def zeros(self, shape: Any, **kwargs: Any) -> BallArray:
        """Zeros."""
        return exactly(np.zeros(shape))

    def eye(self, n: int, **kwargs: Any) -> BallArray:
        """The identity."""
        return exactly(np.eye(n))

    def zeros_like(self, X: BallArray) -> BallArray:
        """Zeros of this shape."""
        return exactly(np.zeros(X.shape))

    def ones_like(self, X: BallArray) -> BallArray:
        """Ones of this shape."""
        return exactly(np.ones(X.shape))


def integer(x: Any) -> int:
    """The integer that a ball is."""
    found = ball(x).unique_fmpz()
    if found is None:
        raise Undetermined(f"{x.str(12)} is to be sorted")
    return int(found)


def middle(X: BallArray) -> np.ndarray:
    """The midpoints, rounded to float64."""
    return entries(lambda x: float(ball(x).mid()), X).astype(np.float64)


def radius(X: BallArray) -> np.ndarray:
    """An upper bound of the radii; infinite where a ball is not a number."""
    return upper(X, lambda x: x.rad())


def farthest(X: BallArray, x: np.ndarray) -> np.ndarray:
    """How far the numbers x are at most from the true ones, entry by entry."""
    return upper(wrap(X - exactly(x)), abs)


def upper(X: BallArray, f: Callable[[Any], Any]) -> np.ndarray:
    """Upper bounds of a function of the entries, in float64 rounded up by an ulp."""

    def bound(x: Any) -> float:
        x = ball(x)
        return float(f(x).abs_upper()) * (1 + 2.0**-52) if x.is_finite() else np.inf

    return entries(bound, X).astype(np.float64)
