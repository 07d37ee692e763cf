"""Fused replacements of core's `ema`, `newton_schulz` and `positive_qr`.

Each is core's own formula with its elementwise part in one kernel instead of three to five; the products and the QR are
cuBLAS's and cuSOLVER's as before. No gain has been measured yet: `make gpu` times a step with and without them.
`polar` keeps core's version: beside its fifteen products, its two reductions are not worth a copy of its edge cases.
"""

from types import MappingProxyType
from typing import Any

import cupy  # pyright: ignore[reportMissingImports]

from deva_core import Backend
from deva_cupy._sources import COMBINE_DOUBLE, COMBINE_FLOAT, FLIP_NEGATIVE, Source


def kernel(source: Source) -> Any:
    """The kernel of a source. CuPy compiles it when it is first called, once for each dtype."""
    return cupy.ElementwiseKernel(source.inputs, source.outputs, source.operation, source.name)


combine_float, combine_double, flip_negative = map(kernel, (COMBINE_FLOAT, COMBINE_DOUBLE, FLIP_NEGATIVE))


def combine(x: Any, y: Any, p: Any, q: Any) -> Any:
    """`p x + q y` for arrays of one dtype; p and q are Python numbers or 0-d arrays of the dtype computed in."""
    return (combine_double if x.dtype == cupy.float64 else combine_float)(x, y, p, q)


def ema(average: Any, new: Any, beta: Any, b: Backend) -> Any:
    """`deva_core.elementwise.ema` in one kernel."""
    return combine(average, new, beta, 1 - beta)


def multiply_add(beta: float, C: Any, alpha: float, A: Any, B: Any, b: Backend) -> Any:
    """`deva_core.linalg.multiply_add` with one kernel after the product."""
    return combine(C, b.matmul(A, B), beta, alpha)


def positive_qr(A: Any, b: Backend) -> Any:
    """`deva_core.linalg.positive_qr` with the signs applied in one kernel."""
    Q, R = b.xp.linalg.qr(A)
    return flip_negative(Q, b.xp.linalg.diagonal(R)[..., None, :])


REPLACEMENTS = MappingProxyType({"ema": ema, "multiply_add": multiply_add, "positive_qr": positive_qr})
"""By the names that core knows them by."""
