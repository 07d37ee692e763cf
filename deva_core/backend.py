"""The backend: an array namespace, what the standard leaves open, and optional faster functions."""

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
    """`true(*operands)` or `false(*operands)`, for libraries whose booleans can be read at once."""
    return true(*operands) if predicate else false(*operands)


def standard_matmul(A: Array, B: Array) -> Array:
    """`A @ B` by the arrays' own operator."""
    return A @ B


@dataclass(frozen=True, kw_only=True)
class Backend:
    """How a rule computes: the one object that an `update` is given besides arrays.

    Args:
        xp: the array namespace (anything that follows the Array API standard, with its `linalg` extension for DeVA).
        cond: `cond(predicate, true, false, *operands)`; tracing libraries pass their own (`jax.lax.cond`).
        matmul: the product of two (stacks of) matrices, at full working precision.
        compute_dtype: the dtype of the Newton–Schulz products; `None` means the working dtype. Never narrows float64.
        device_of: where new arrays go beside a given one; JAX passes None, since a device asked for is a commitment.
        replacements: faster functions for those that `deva_core` marks as replaceable, by name. A replacement
            takes the same arguments and must pass the conformance kit with and without it.
        costs: what decides between forms of one computation (`deva_core.costs`).
        observer: where telemetry goes, by parameter name (`deva_core.observe`); None: nothing of it is computed.

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
        """Zeros of the dtype and on the device of `like`."""
        return self.xp.zeros(shape, dtype=like.dtype, device=self.device_of(like))

    def eye(self, n: int, like: Array) -> Array:
        """The identity matrix, of the dtype and on the device of `like`."""
        return self.xp.eye(n, dtype=like.dtype, device=self.device_of(like))

    @classmethod
    def of(cls, *arrays: Array) -> "Backend":
        """The generic backend of the library that these arrays come from."""
        return cls(xp=array_namespace(*arrays))


def replaceable(function: Callable) -> Callable:
    """Let a backend replace `function` by a faster one of the same signature, whose last argument is the backend.

    The specification's own version stays reachable as `function.__wrapped__`.

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
    kind = getattr(dtype, "kind", "f")  # NumPy's: objects and text are nothing that the standard knows
    if kind not in "fV" or getattr(dtype, "names", None) is not None:
        return False
    try:
        return not xp.isdtype(dtype, ("bool", "integral", "complex floating"))
    except TypeError:  # NumPy does not know the dtypes that others register with it, such as bfloat16
        return "float" in str(dtype)


def working_dtype(dtype: Any, xp: Any) -> Any:
    """The dtype an update is computed in: float64 for float64, float32 for everything narrower."""
    return dtype if dtype == xp.float64 else xp.float32
