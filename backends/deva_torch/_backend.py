"""How the rules compute on torch tensors."""

from functools import lru_cache
from typing import Any

import array_api_compat.torch as xp
import torch

from deva_core import Backend
from deva_torch._replacements import REPLACEMENTS


def checked_compute_dtype(value: Any) -> torch.dtype | None:
    """A compute dtype from a `torch.dtype` or its name; None stands for `"auto"`."""
    if value is None or value == "auto":
        return None
    dtype = getattr(torch, value, None) if isinstance(value, str) else value
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f'compute_dtype must be "auto" or a floating dtype such as "bfloat16", got {value!r}')
    return dtype


@lru_cache
def backend(device: str, compute_dtype: torch.dtype | None, replacements: bool = True) -> Backend:
    """The backend for a kind of device (`"cpu"`, `"cuda"`, …).

    By default the Newton–Schulz products run in the working dtype on a CPU, and in bfloat16 on an accelerator.
    """
    if compute_dtype is None and device != "cpu":
        compute_dtype = torch.bfloat16
    return Backend(xp=xp, compute_dtype=compute_dtype, replacements=REPLACEMENTS if replacements else {})
