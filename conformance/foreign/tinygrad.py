"""tinygrad on its CPU device: the words of the standard for the methods of its `Tensor`."""

from types import SimpleNamespace

from tinygrad import Tensor, dtypes

from deva_conformance import NamespaceStart
from deva_core import Backend
from deva_core.capabilities import Capabilities

KINDS = {"bool": dtypes.is_bool, "integral": dtypes.is_int, "complex floating": lambda dtype: False}


def computed(arrays):
    """tinygrad is lazy."""
    Tensor.realize(*arrays)
    return arrays


def where(condition, x, y):
    """A method in tinygrad."""
    return condition.where(x, y)


xp = SimpleNamespace(
    float32=dtypes.float32,
    float64=dtypes.float64,
    isdtype=lambda dtype, kinds: any(KINDS[kind](dtype) for kind in kinds),
    astype=lambda x, dtype, copy=True: x.cast(dtype),
    zeros=lambda shape, dtype, device: Tensor.zeros(*shape, dtype=dtype),
    eye=lambda n, dtype, device: Tensor.eye(n, dtype=dtype),
    zeros_like=Tensor.zeros_like,
    ones_like=Tensor.ones_like,
    full_like=Tensor.full_like,
    abs=Tensor.abs,
    sign=Tensor.sign,
    sqrt=Tensor.sqrt,
    log=Tensor.log,
    expm1=lambda x: x.exp() - 1,
    isfinite=Tensor.isfinite,
    maximum=Tensor.maximum,
    clip=Tensor.clip,
    where=where,
    matrix_transpose=lambda x: x.transpose(-2, -1),
    permute_dims=Tensor.permute,
    reshape=Tensor.reshape,
    broadcast_to=Tensor.expand,
    expand_dims=lambda x, axis: x.unsqueeze(axis),
    squeeze=lambda x, axis: x.squeeze(axis),
    stack=lambda arrays: Tensor.stack(*arrays),
    unstack=lambda x: list(x),
    concat=lambda arrays, axis: Tensor.cat(*arrays, dim=axis),
    sum=lambda x, axis, keepdims=False: x.sum(axis, keepdim=keepdims),
    mean=lambda x, axis, keepdims=False: x.mean(axis, keepdim=keepdims),
    max=lambda x, axis, keepdims=False: x.max(axis, keepdim=keepdims),
    all=lambda x, axis, keepdims=False: x.all(axis, keepdim=keepdims),
)
start = NamespaceStart(
    Backend(xp=xp, device_of=lambda x: None),
    Tensor,
    Tensor.numpy,
    Capabilities(dtypes=("float64", "float32"), linalg=False, compiled=False),
    computed,
)
