"""array-api-compat's CuPy namespace, with two functions that do not wait for the device.

Its `clip` and `sign` (1.16) assign through boolean masks; CuPy reads the number of chosen elements back to the host for
that. Here both are plain elementwise kernels of CuPy.
"""

from typing import Any

import array_api_compat.cupy as standard
import cupy  # pyright: ignore[reportMissingImports]

sign = cupy.sign
"""-1, 0 or 1; NaN stays NaN (CuPy >= 14)."""


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """`x` between `min` and `max`, numbers or arrays of `x`'s dtype or None; NaN anywhere stays NaN."""
    x = x if min is None else cupy.maximum(x, min)
    return x if max is None else cupy.minimum(x, max)


def __getattr__(name: str) -> Any:
    """Everything else, as array-api-compat has it."""
    return getattr(standard, name)
