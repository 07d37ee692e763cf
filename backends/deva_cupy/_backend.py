"""How the rules compute on CuPy arrays: the namespace, the products and their precision."""

from functools import lru_cache
from math import prod
from typing import Any

import cupy  # pyright: ignore[reportMissingImports]
import numpy as np

import deva_cupy._namespace as xp
from deva_core import Backend
from deva_cupy._kernels import REPLACEMENTS

WORTH_A_LAUNCH = 2**29
"""Multiply-adds in one product from which 16-bit stacks go to cuBLAS matrix by matrix. On an H200 products of 512 rows
are quicker together in float32, products of 1024 rows one by one (docs/gpu.md)."""

COMPUTE_DTYPES = ("float16", "bfloat16", "float32", "float64")


def bfloat16() -> np.dtype | None:
    """`ml_dtypes.bfloat16` where this CuPy can hold it (CuPy >= 14 and NumPy >= 2.1.2, with ml_dtypes); else None."""
    try:
        import ml_dtypes
    except ImportError:
        return None
    recent = np.lib.NumpyVersion(cupy.__version__) >= "14.0.0" and np.lib.NumpyVersion(np.__version__) >= "2.1.2"
    return np.dtype(ml_dtypes.bfloat16) if recent else None


def matmul(A: Any, B: Any) -> Any:
    """The product of two stacks of matrices. 16-bit factors are accumulated in float32 and rounded once.

    CuPy 14.2 has 16-bit products of two matrices (cuBLAS GemmEx) but none of stacks: bfloat16 raises, float16 is
    widened. A stack of small matrices is widened to a batched float32 product; large ones are multiplied one by one.
    """
    if A.ndim == 2 or A.dtype.itemsize > 2:
        return A @ B
    if A.shape[-2] * A.shape[-1] * B.shape[-1] < WORTH_A_LAUNCH:
        return (A.astype(cupy.float32) @ B.astype(cupy.float32)).astype(A.dtype)
    return one_by_one(A, B)


def one_by_one(A: Any, B: Any) -> Any:
    """The product of two equally long stacks of matrices, a cuBLAS call for each pair."""
    (*batch, m, k), n = A.shape, B.shape[-1]
    out = cupy.empty((prod(batch), m, n), dtype=A.dtype)
    for X, Y, Z in zip(A.reshape(-1, m, k), B.reshape(-1, k, n), out, strict=True):
        cupy.matmul(X, Y, out=Z)
    return out.reshape(*batch, m, n)


def checked_compute_dtype(value: Any) -> np.dtype | None:
    """A compute dtype from a dtype or its name; None stands for `"auto"`."""
    if value is None or value == "auto":
        return None
    try:
        name = np.dtype(value).name if value != "bfloat16" else value
    except TypeError:
        name = None
    if name not in COMPUTE_DTYPES:
        raise ValueError(f'compute_dtype must be "auto" or one of {", ".join(COMPUTE_DTYPES)}, got {value!r}')
    if name != "bfloat16":
        return np.dtype(name)
    if bfloat16() is None:
        raise ValueError(
            "compute_dtype bfloat16 needs CuPy >= 14, NumPy >= 2.1.2 and ml_dtypes; install or choose another"
        )
    return bfloat16()


def policy(compute_dtype: np.dtype | None, capability: int) -> np.dtype | None:
    """The dtype of the Newton–Schulz products on a device of this compute capability (80 for 8.0); None: the working one.

    "auto" is bfloat16 where device and CuPy have it: tensor cores multiply it from 8.0 on. Elsewhere it is float32.

    Raises:
        ValueError: bfloat16 was asked for, but the device has no such products.
    """
    if compute_dtype is None:
        return bfloat16() if capability >= 80 else None
    if compute_dtype.name == "bfloat16" and capability < 80:
        asked, has = "compute_dtype bfloat16 needs compute capability 8.0", f"{capability // 10}.{capability % 10}"
        raise ValueError(f'{asked}, this device has {has}: use "auto" or float32')
    return compute_dtype


@lru_cache
def backend(compute_dtype: np.dtype | None, capability: int, replacements: bool = True) -> Backend:
    """The backend for devices of a compute capability."""
    return Backend(
        xp=xp,
        matmul=matmul,
        compute_dtype=policy(compute_dtype, capability),
        replacements=REPLACEMENTS if replacements else {},
    )


def current_capability() -> int:
    """The compute capability of the current device, 80 for 8.0. An attribute of the device: nothing waits for it."""
    return int(cupy.cuda.Device().compute_capability)
