"""The backend: an array namespace, the choices that the standard leaves open, and optional faster functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from types import MappingProxyType
from typing import Any

from array_api_compat import array_namespace, device

from deva_core.costs import Costs

Array = Any
"""An array of any library that follows the Python Array API standard."""


def eager_cond(predicate: Any, true: Callable, false: Callable, *operands: Any) -> Any:
    """`true(*operands)` or `false(*operands)`, for libraries that evaluate booleans at once."""
    return true(*operands) if predicate else false(*operands)


def standard_matmul(A: Array, B: Array) -> Array:
    """`A @ B` by the arrays' own operator."""
    return A @ B


@dataclass(frozen=True, kw_only=True)
class Backend:
    """How a rule computes: the array library, its matrix product, its conditional, and faster functions.

    `update` gets one as its last argument. docs/embedding.md lists what a library must have.

    Args:
        xp: the array namespace: anything that follows the Array API standard, with its `linalg` extension for DeVA.
        cond: `cond(predicate, true, false, *operands)`; tracing libraries pass their own (`jax.lax.cond`).
        matmul: the product of two matrices, or stacks of matrices, in working precision.
        compute_dtype: the dtype of the Newton–Schulz products; `None` means the working dtype. It never narrows float64.
        device_of: the device for new arrays, from a given array. JAX passes None, because an explicit device would pin them.
        replacements: faster versions of functions that `deva_core` marks as `replaceable`, by name. A replacement takes
            the same arguments; the conformance kit must pass with and without it.
        costs: how to choose between forms of one computation (`deva_core.costs`).
        observer: where telemetry goes, by parameter name (`deva_core.observe`); with None, none is computed.

    Example:
        >>> import array_api_strict
        >>> from deva_core import Backend
        >>> Backend(xp=array_api_strict).cond(True, lambda x: x + 1, lambda x: x, 1)
        2
    """

    xp: Any
    cond: Callable = eager_cond
    matmul: Callable[[Array, Array], Array] = standard_matmul
    compute_dtype: Any = None
    device_of: Callable[[Array], Any] = device
    replacements: Mapping[str, Callable] = field(default_factory=lambda: MappingProxyType({}))
    costs: Costs = Costs()
    observer: Any = None

    def zeros(self, shape: tuple[int, ...], like: Array) -> Array:
        """Zeros with the dtype and on the device of `like`."""
        return self.xp.zeros(shape, dtype=like.dtype, device=self.device_of(like))

    def eye(self, n: int, like: Array) -> Array:
        """The identity matrix with the dtype and on the device of `like`."""
        return self.xp.eye(n, dtype=like.dtype, device=self.device_of(like))

    @classmethod
    def of(cls, *arrays: Array) -> "Backend":
        """The generic backend for the library of these arrays."""
        return cls(xp=array_namespace(*arrays))


def replaceable(function: Callable) -> Callable:
    """Let a backend replace `function` by a faster one with the same signature. The last argument is the backend.

    The original stays reachable as `function.__wrapped__`.

    Example:
        >>> import numpy as np
        >>> from deva_core import Backend, replaceable
        >>> @replaceable
        ... def double(x, b):
        ...     return x + x
        >>> double(2.0, Backend(xp=np)), double(2.0, Backend(xp=np, replacements={"double": lambda x, b: 2.0 * x}))
        (4.0, 4.0)
    """

    @wraps(function)
    def call(*args: Any) -> Any:
        return args[-1].replacements.get(function.__name__, function)(*args)

    return call


def is_float(dtype: Any, xp: Any) -> bool:
    """Whether `dtype` is a real floating type, including the low-precision ones that the standard does not name."""
    kind = getattr(dtype, "kind", "f")  # NumPy's: the standard does not know objects and text
    if kind not in "fV" or getattr(dtype, "names", None) is not None:
        return False
    try:
        return not xp.isdtype(dtype, ("bool", "integral", "complex floating"))
    except TypeError:  # NumPy does not know the dtypes that others register with it, such as bfloat16
        return "float" in str(dtype)


def working_dtype(dtype: Any, xp: Any) -> Any:
    """The dtype an update is computed in: float64 for float64, float32 for everything narrower."""
    return dtype if dtype == xp.float64 else xp.float32
