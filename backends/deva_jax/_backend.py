"""How the rules compute on JAX arrays."""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from deva_core import Backend
from deva_core.costs import Costs
from deva_core.messages import compute_dtype_message

REPLACEMENTS: dict[str, Any] = {}
"""Faster functions for core's replaceable ones. Each needs a benchmark that shows its gain; there is none yet."""

COSTS = Costs(form="auto")
"""Gram Newton–Schulz where it needs fewer operations (benchmarks/speed). How leaves are stacked is `_stack`'s choice."""


def matmul(A: jax.Array, B: jax.Array) -> jax.Array:
    """The product at the arrays' own precision: accelerators would otherwise round float32 factors to fewer bits."""
    return jnp.matmul(A, B, precision=jax.lax.Precision.HIGHEST)


def uncommitted(like: jax.Array) -> None:
    """No device: an array created on a named one is committed to it, and the second step would compile anew."""


def checked_compute_dtype(value: Any) -> Any:
    """A compute dtype from a dtype or its name; None stands for `"auto"`."""
    if value is None or value == "auto":
        return None
    try:
        dtype = jnp.dtype(value)
    except TypeError:
        dtype = None
    if dtype is None or not jnp.issubdtype(dtype, jnp.floating) or dtype.itemsize < 2:
        raise ValueError(compute_dtype_message(value))
    return dtype


@lru_cache
def backend(compute_dtype: Any = None, replacements: bool = True, platform: str = "cpu") -> Backend:
    """The backend for a platform: by default the Newton–Schulz products run in the working dtype on a CPU, and in
    bfloat16 on an accelerator.
    """
    if compute_dtype is None and platform != "cpu":
        compute_dtype = jnp.dtype(jnp.bfloat16)
    return Backend(
        xp=jnp,
        cond=jax.lax.cond,
        matmul=matmul,
        compute_dtype=compute_dtype,
        device_of=uncommitted,
        replacements=REPLACEMENTS if replacements else {},
        costs=COSTS if replacements else Costs(),
    )
