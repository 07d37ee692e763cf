"""ndonnx on ONNX Runtime, each operation computed when it is written."""

import ndonnx as xp
import spox.opset.ai.onnx.v21 as onnx

from deva_conformance import NamespaceStart
from deva_core import Backend
from deva_core.capabilities import Capabilities


def matmul(A, B):
    """ONNX's own: `A @ B` goes a long way round for axes of size zero, 0.4 s each."""
    return xp.asarray(onnx.matmul(A.unwrap_spox(), B.unwrap_spox()))


start = NamespaceStart(
    Backend(xp=xp, matmul=matmul),
    xp.asarray,
    lambda x: x.unwrap_numpy(),
    Capabilities(dtypes=("float64", "float32"), linalg=False, compiled=False),
)
