"""Dr.Jit's tensors, compiled by LLVM: the words of the standard for its functions."""

from types import SimpleNamespace

import drjit as dr
import numpy as np
from drjit.llvm import TensorXb, TensorXf, TensorXf64

from deva_conformance import NamespaceStart
from deva_core import Backend
from deva_core.capabilities import Capabilities

for kind in (TensorXb, TensorXf, TensorXf64):
    kind.dtype = kind  # a tensor's type says it


def maximum(x, y):
    """`dr.maximum` needs an instruction that LLVM 15 does not have for this processor."""
    return dr.select((x >= y) | dr.isnan(x), x, y)


def clip(x, low, high):
    """As in the standard: NaN stays, None is no limit."""
    x = x if low is None else maximum(x, low)
    return x if high is None else dr.select(x > high, high, x)


def sign(x):
    """`dr.sign(0)` is 1."""
    return dr.select(x == 0, x, dr.sign(x))


xp = SimpleNamespace(
    float32=TensorXf,
    float64=TensorXf64,
    isdtype=lambda dtype, kinds: dtype is TensorXb,
    astype=lambda x, dtype, copy=True: dtype(x),
    zeros=lambda shape, dtype, device: dr.zeros(dtype, shape),
    eye=lambda n, dtype, device: dtype(np.eye(n)),
    zeros_like=dr.zeros_like,
    ones_like=dr.ones_like,
    full_like=lambda x, value: dr.full(type(x), value, x.shape),
    abs=dr.abs,
    sign=sign,
    sqrt=dr.sqrt,
    isfinite=dr.isfinite,
    maximum=maximum,
    clip=clip,
    where=dr.select,
    matrix_transpose=lambda x: x.mT,
    permute_dims=dr.transpose,
    reshape=dr.reshape,
    expand_dims=lambda x, axis: dr.expand_dims(x, axis),
    squeeze=lambda x, axis: dr.squeeze(x, axis),
    stack=dr.stack,
    unstack=lambda x: [x[k] for k in range(x.shape[0])],
    concat=lambda arrays, axis: dr.concat(arrays, axis=axis),
    sum=dr.sum,
    mean=dr.mean,
    max=dr.max,
    all=dr.all,
)
start = NamespaceStart(
    Backend(xp=xp, device_of=lambda x: None),
    lambda x: TensorXf64(x) if x.dtype == np.float64 else TensorXf(x),
    lambda x: x.numpy(),
    Capabilities(dtypes=("float64", "float32"), linalg=False, compiled=False),
)
