"""OpenVINO's CPU plugin for every product, as it comes: no precision is asked for, so that it chooses one."""

from functools import cache

import array_api_compat.numpy as xp
import numpy as np
import openvino
from openvino import opset13

from deva_conformance import NamespaceStart
from deva_core import Backend


@cache
def compiled(*operands):
    """A compiled product of matrices of these ranks and dtypes."""
    inputs = [opset13.parameter(openvino.PartialShape([-1] * ndim), np.dtype(dtype)) for ndim, dtype in operands]
    model = openvino.Model([opset13.matmul(*inputs, False, False)], inputs)
    return openvino.Core().compile_model(model, "CPU")


def matmul(A, B):
    """`A @ B` by OpenVINO."""
    return compiled(*((X.ndim, X.dtype.name) for X in (A, B)))([A, B])[0].astype(A.dtype)


start = NamespaceStart(Backend(xp=xp, matmul=matmul), np.array)
