"""A NumPy namespace in float64 whose every operation errs as one of a given unit roundoff may (Monte-Carlo arithmetic).

A rule run through it a few times shows how far honest rounding may move its result, whatever the input.
"""

from typing import Any

import array_api_compat.numpy as compat
import numpy as np

SELECTIONS = ("negative", "positive", "absolute", "sign", "floor", "clip", "maximum", "minimum")
PREDICATES = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "isnan", "isfinite")
EXACT = frozenset((*SELECTIONS, *PREDICATES, "logical_and", "logical_or", "logical_not"))
"""Operations that IEEE arithmetic does without rounding, by NumPy's names."""


class NoisyArray(np.ndarray):
    """Float64 values; operations return them perturbed by their namespace's noise."""

    namespace: Any = None

    def __array_finalize__(self, source: Any) -> None:
        """Views and copies err like their source."""
        self.namespace = getattr(source, "namespace", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """The exact result, then its error."""
        out = (kwargs.pop("out", None) or (None,))[0]
        plain: list[Any] = []
        namespace: Any = None
        for x in inputs:
            noisy = isinstance(x, NoisyArray)
            namespace = x.namespace if noisy and namespace is None else namespace
            plain.append(x.view(np.ndarray) if noisy else x)
        result = np.asarray((ufunc if method == "__call__" else getattr(ufunc, method))(*plain, **kwargs))
        if namespace.u and result.dtype.kind == "f" and ufunc.__name__ not in EXACT:
            result = result + namespace.error(result, size(ufunc, method, plain, kwargs))
        if out is None:
            return namespace.wrap(result)
        np.copyto(out.view(np.ndarray), result)
        return out


def size(ufunc: Any, method: str, inputs: list, kwargs: dict) -> Any:
    """The magnitude that an operation's rounding is relative to: of the terms for sums, of the result otherwise."""
    if ufunc is np.matmul:
        return np.abs(inputs[0]) @ np.abs(inputs[1])
    if method == "reduce" and ufunc is np.add:
        return np.add.reduce(np.abs(inputs[0]), **kwargs)
    return None


class _Linalg:
    """Factorisations with a backward error: of the matrix, relative to its norm, and of what comes out."""

    def __init__(self, namespace: "Noisy") -> None:
        self.namespace = namespace

    def __getattr__(self, name: str) -> Any:
        function = getattr(compat.linalg, name)

        def call(X: Any, **kwargs: Any) -> Any:
            X = np.asarray(X)
            if name in ("diagonal", "trace"):
                return self.namespace.wrap(function(X, **kwargs))
            result = function(self.namespace.backward(X, name), **kwargs)
            return tuple(self.namespace.wrap(part) for part in result)

        return call


class Noisy:
    """The namespace. `unit_roundoff` 0 makes it exact (float64).

    Args:
        unit_roundoff: of the arithmetic that is imitated; `finfo(...).eps` reports twice that.
        seed: of the errors.
    """

    def __init__(self, unit_roundoff: float, seed: int, eps: float | None = None) -> None:
        self.u, self.eps = unit_roundoff, 2 * unit_roundoff if eps is None else eps
        self.random = np.random.Generator(np.random.Philox(key=seed))
        self.linalg = _Linalg(self)

    def __getattr__(self, name: str) -> Any:
        function = getattr(compat, name)
        if isinstance(function, type) or not callable(function):
            return function

        def call(*args: Any, **kwargs: Any) -> Any:
            """NumPy's function; some, such as `where`, forget that their arrays are noisy."""
            result = function(*args, **kwargs)
            return self.wrap(result) if isinstance(result, np.ndarray | np.floating) else result

        return call

    def wrap(self, x: Any) -> NoisyArray:
        """x, erring from here on."""
        array = np.asarray(x).view(NoisyArray)
        array.namespace = self
        return array

    def error(self, result: Any, size: Any = None) -> np.ndarray:
        """One rounding of the result, and one of its terms where it is a sum."""
        x = np.asarray(result)
        error = self.u * x * self.random.standard_normal(x.shape)
        return error if size is None else error + self.u * size * self.random.standard_normal(x.shape)

    def backward(self, X: np.ndarray, factorization: str) -> np.ndarray:
        """X with the backward error of a factorisation, one rounding an entry, relative to a norm.

        Householder's QR errs column by column; bidiagonalisation (SVD) and tridiagonalisation (eigh) turn from both
        sides, so that all entries err relative to the whole matrix (LAPACK Users' Guide, 4.7 and 4.9).
        """
        axis = -2 if factorization == "qr" else (-2, -1)
        E = self.u * np.linalg.norm(X, axis=axis, keepdims=True) * self.random.standard_normal(X.shape)
        return X + ((E + np.swapaxes(E, -1, -2)) / 2 if factorization == "eigh" else E)

    def finfo(self, dtype: Any) -> Any:
        """The limits of the imitated arithmetic, as far as rules ask."""
        return type("finfo", (), {"eps": self.eps})

    def asarray(self, x: Any, **kwargs: Any) -> NoisyArray:
        """x as an array of this namespace, float64."""
        return self.wrap(np.array(x, dtype=np.float64))

    def eye(self, n: int, **kwargs: Any) -> NoisyArray:
        """The identity."""
        return self.wrap(np.eye(n))

    def zeros(self, shape: Any, **kwargs: Any) -> NoisyArray:
        """Zeros."""
        return self.wrap(np.zeros(shape))
