"""What a backend declares: its capabilities and its operations. The kit skips what is missing, and counts it as not passed."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from deva_core.backend import Array, Backend


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a backend's `start` can do. The default, without a declaration, is everything.

    Args:
        dtypes: names of the parameter dtypes that it accepts.
        linalg: whether it has QR and eigendecompositions (DeVA), and SVD (`ns_coefficients="exact"`).
        compiled: whether `start(…, compiled=True)` compiles the step.

    Example:
        >>> from deva_core.capabilities import Capabilities
        >>> Capabilities(dtypes=("float32",), linalg=False).compiled
        True
    """

    dtypes: tuple[str, ...] = ("float64", "float32", "bfloat16", "float16")
    linalg: bool = True
    compiled: bool = True


@dataclass(frozen=True, kw_only=True)
class Operations:
    """What a backend computes with, so that the kit can check single operations: the result of `start.operations()`.

    `operations` is optional.

    Args:
        backend: the `Backend` that its runs use.
        asarray: copies a NumPy array into one of the library.
        asnumpy: copies an array of the library into a NumPy array.
        precision: the context in which the library keeps float64 (JAX needs one).

    Example:
        >>> import array_api_compat.numpy as xp
        >>> from deva_core import Backend
        >>> from deva_core.capabilities import Operations
        >>> operations = Operations(backend=Backend(xp=xp), asarray=xp.asarray, asnumpy=xp.asarray)
        >>> operations.call(lambda A, b: b.matmul(A, A), xp.ones((2, 2)))
        array([[2., 2.],
               [2., 2.]])
    """

    backend: Backend
    asarray: Callable[[Any], Array]
    asnumpy: Callable[[Array], Any]
    precision: Callable[[], AbstractContextManager] = nullcontext

    def call(self, function: Callable[..., Array], *arrays: Any) -> Any:
        """`function(*arrays, backend)`, with NumPy arrays as arguments and result."""
        with self.precision():
            return self.asnumpy(function(*map(self.asarray, arrays), self.backend))
