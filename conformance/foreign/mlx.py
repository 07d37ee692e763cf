"""MLX on the CPU. Its namespace is near the standard; what is here is what differs."""

from types import SimpleNamespace

import mlx.core as mx

from deva_conformance import NamespaceStart
from deva_core import Backend

mx.set_default_device(mx.cpu)  # the one with float64 and factorisations


def array(x):
    """MLX turns float64 into float32 where no dtype is asked for."""
    return mx.array(x, dtype=getattr(mx, x.dtype.name))


def svd(X, full_matrices):
    """The reduced factors; MLX has the full ones only."""
    U, s, Vh = mx.linalg.svd(X)
    return U[..., :, : s.shape[-1]], s, Vh[..., : s.shape[-1], :]


def computed(arrays):
    """MLX is lazy."""
    mx.eval(arrays)
    return arrays


own = dict(
    astype=lambda x, dtype, copy=True: x.astype(dtype),
    zeros=lambda shape, dtype, device: mx.zeros(shape, dtype),
    eye=lambda n, dtype, device: mx.eye(n, dtype=dtype),
    argsort=lambda x, axis, stable: mx.argsort(x, axis),
    unstack=lambda x: list(x),
    linalg=SimpleNamespace(
        qr=mx.linalg.qr,
        eigh=mx.linalg.eigh,
        svd=svd,
        diagonal=lambda x: mx.diagonal(x, axis1=-2, axis2=-1),
        trace=lambda x: mx.trace(x, axis1=-2, axis2=-1),
    ),
)
start = NamespaceStart(
    Backend(xp=SimpleNamespace(**{**vars(mx), **own}), device_of=lambda x: None), array, evaluate=computed
)
