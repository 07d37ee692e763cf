"""CUDA tensors without CUDA: shapes, dtypes and devices, no data (torch's `FakeTensorMode`).

What would read a value raises there, and so does an operation on tensors of two devices. It says nothing of numbers, nor of
what a kernel does.
"""

from contextlib import contextmanager
from unittest import mock

import torch
from torch._subclasses import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

READS = {"_local_scalar_dense", "is_nonzero", "equal", "allclose", "nonzero", "masked_select", "unique_dim", "_unique2"}
"""Operations whose result's value or shape the host must know."""


def reads(func, args):
    """Whether an operation waits for values: by what it is, or by a mask among its indices, which is counted."""
    indexed = func.overloadpacket._qualified_op_name.rpartition("::")[2] in ("index", "index_put", "index_put_")
    masks = (torch.bool, torch.uint8)
    by_mask = indexed and any(isinstance(x, torch.Tensor) and x.dtype in masks for x in tree_leaves(args[1]))
    return by_mask or func.overloadpacket._qualified_op_name.rpartition("::")[2] in READS


class NoReads(TorchDispatchMode):
    """Raises at every operation that waits for values."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if reads(func, args):
            raise AssertionError(f"the host reads a value: {func}")
        return func(*args, **(kwargs or {}))


class OneDevice(TorchDispatchMode):
    """Raises where tensors of the host and of a device meet, or pass from one to the other."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        kinds = {x.device.type for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)}
        if len(kinds) > 1:
            raise AssertionError(f"{func} on tensors of {sorted(kinds)}")
        return out


class WithoutGuards(TorchFunctionMode):
    """Some of torch's methods ask for the CUDA library before the mode sees them: here they go straight to the dispatcher."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.copy_:
            return torch.ops.aten.copy_.default(*args)
        if func is torch.Tensor.contiguous:
            return args[0] if args[0].is_contiguous() else args[0].clone(memory_format=torch.contiguous_format)
        if func is torch.Tensor.__getitem__:
            x, index = args
            with torch._C.DisableTorchFunction():
                view = torch.empty_strided(x.shape, x.stride(), device="meta")[index]
            offset = view.storage_offset() + x.storage_offset()
            return torch.ops.aten.as_strided.default(x, view.shape, view.stride(), offset)
        return func(*args, **(kwargs or {}))


@contextmanager
def fake_cuda():
    """Inside, tensors on `"cuda"` can be made. Forms are chosen without a trial, which needs numbers."""
    with (
        mock.patch("deva_torch._backend.trial", lambda *_: True),
        FakeTensorMode(),
        OneDevice(),
        NoReads(),
        WithoutGuards(),
    ):
        yield
