"""What torch calls a parameter: its layout by convention, what is refused, and where it lies."""

import sys
from typing import Any

import torch

from deva_core.parameter import Parameter, ambiguous, check_array
from deva_core.parameter import check_gradient as check_core_gradient
from deva_torch._backend import backend

CONVOLUTIONS = {4: "out in kh kw", 5: "out in kd kh kw"}


def torch_layout(name: str, shape: tuple[int, ...]) -> tuple[Any, str]:
    """torch's convention: (out, in), and convolutions in four and five axes."""
    if len(shape) < 2:
        return "vector", "not a matrix"
    if len(shape) == 2:
        return "out in", "two axes: (out, in) in torch"
    if len(shape) in CONVOLUTIONS:
        return CONVOLUTIONS[len(shape)], f"{len(shape)} axes: a convolution in torch"
    raise ambiguous(name, shape)


def is_dtensor(p: torch.Tensor) -> bool:
    """Whether p is a DTensor; where that module was never imported nothing is."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(p, module.DTensor)


def check_parameter(name: str, p: torch.Tensor) -> None:
    """Refuse parameters that no rule can move, with advice."""
    if isinstance(p, torch.nn.parameter.UninitializedParameter):
        raise ValueError(f"parameter {name!r} has no shape yet: run the model once before")
    if p.dtype.is_complex:
        raise TypeError(f"parameter {name!r} is complex ({p.dtype}): pass its torch.view_as_real instead")
    check_array(name, p, backend("cpu", None).xp)


def check_gradient(p: torch.Tensor, parameter: Parameter, G: torch.Tensor) -> None:
    """Refuse what cannot be a gradient, before anything has moved."""
    if G.layout == torch.strided and G.dtype == p.dtype and G.shape == p.shape:
        return
    if G.layout != torch.strided:
        name = parameter.name
        raise TypeError(f"the gradient of {name!r} is sparse: use Embedding(sparse=False), or SparseAdam for it")
    check_core_gradient(parameter.name, G, p, backend("cpu", None).xp)
