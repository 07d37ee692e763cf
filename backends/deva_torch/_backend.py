"""How the rules compute on torch tensors."""

from dataclasses import replace
from functools import cache, lru_cache, partial
from typing import Any

import array_api_compat.torch as xp
import torch

from deva_core import Backend
from deva_core.coefficients import Triple
from deva_core.costs import Costs, Tried
from deva_core.messages import compute_dtype_message
from deva_core.trial import gram_is_as_good
from deva_torch._device import is_host
from deva_torch._products import matmul
from deva_torch._replacements import REPLACEMENTS


def checked_compute_dtype(value: Any) -> torch.dtype | None:
    """A compute dtype from a `torch.dtype` or its name; None stands for `"auto"`."""
    if value is None or value == "auto":
        return None
    dtype = getattr(torch, value, None) if isinstance(value, str) else value
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point or dtype.itemsize < 2:
        raise ValueError(compute_dtype_message(value))
    return dtype


ON_HOSTS = 96
"""The most rows that are stacked. On a CPU large matrices go to threads instead (`_workers`)."""

ON_ACCELERATORS = 2048
"""On every other device. On an H200 a stack of sixteen is quicker up to there, and at 4096 no slower than one by one."""

GRAM_ON_ACCELERATORS: dict[str, Any] = dict(gram_rows=768, gram_gain=0.75)
"""There its more, smaller products cost launches that plain's do not: on an H200 it is quicker from here on."""


@cache
def trial(device: str, compute_dtype: torch.dtype, shape: tuple[int, ...], steps: tuple[Triple, ...]) -> bool:
    """Whether the Gram form is right for this shape here: tried once, on matrices of rank one, two and eight."""
    generator = torch.Generator().manual_seed(0)
    plain = Backend(xp=xp, matmul=matmul, compute_dtype=compute_dtype, replacements=REPLACEMENTS)

    def hard(rank: int) -> torch.Tensor:
        rows, columns = (torch.randn(size, rank, generator=generator) for size in shape)
        return (rows @ columns.mT).to(device)

    return all(gram_is_as_good(hard(rank), steps, compute_dtype, plain) for rank in (1, 2, 8))


def default_costs(device: str, compute_dtype: torch.dtype | None) -> Costs:
    """What chooses between forms on a kind of device."""
    tried = partial(trial, device, compute_dtype or torch.float32)
    if is_host(device):
        return Tried(form="auto", stacked_rows=ON_HOSTS, trial=tried)
    return Tried(form="auto", stacked_rows=ON_ACCELERATORS, trial=tried, **GRAM_ON_ACCELERATORS)


@lru_cache
def backend(
    device: str,
    compute_dtype: torch.dtype | None,
    replacements: bool = True,
    costs: Costs | None = None,
    foreach: bool = True,
) -> Backend:
    """The backend for a kind of device (`"cpu"`, `"cuda"`, …).

    By default the Newton–Schulz products run in the working dtype on a CPU, and in bfloat16 on an accelerator, and
    equal parameters in stacks; without `foreach` one by one.
    """
    if compute_dtype is None and not is_host(device):
        compute_dtype = torch.bfloat16
    if not replacements:
        return Backend(xp=xp, compute_dtype=compute_dtype)
    costs = costs or default_costs(device, compute_dtype)
    costs = costs if foreach else replace(costs, stacked_rows=0)
    return Backend(xp=xp, matmul=matmul, compute_dtype=compute_dtype, replacements=REPLACEMENTS, costs=costs)
