"""What a backend declares: what it cannot do, which is not tested and never counted as passed, and its operations."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from deva_core.backend import Array, Backend


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a backend's `start` can do. A backend without a declaration can do everything.

    Args:
        dtypes: names of the dtypes that it computes in.
        linalg: whether it has QR and eigendecompositions (DeVA), and SVD (`ns_coefficients="exact"`).
        compiled: whether `start(…, compiled=True)` compiles the step.
    """

    dtypes: tuple[str, ...] = ("float64", "float32", "bfloat16", "float16")
    linalg: bool = True
    compiled: bool = True


@dataclass(frozen=True, kw_only=True)
class Operations:
    """What a backend's `start` computes with, for checks of single operations: `start.operations()`, which is optional.

    Args:
        backend: the `Backend` that its runs are given.
        asarray: from a NumPy array to one of its own, a copy.
        asnumpy: and back.
        precision: the context in which its arrays keep float64; not every library does by itself.

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
        """`function(*arrays, backend)` of NumPy arrays, as one."""
        with self.precision():
            return self.asnumpy(function(*map(self.asarray, arrays), self.backend))
