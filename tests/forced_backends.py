"""torch and NumPy with every fast path forced, whatever the size: the kit's small cases would not reach them.

And torch on a CPU that is taken for an accelerator, with and without `capturable`: simulated, no GPU runs.
"""

from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import deva_numpy
import deva_torch
from deva_core import Backend
from deva_core.costs import Costs
from deva_numpy import _start as numpy_start
from deva_torch import _start as torch_start
from deva_torch._backend import backend, checked_compute_dtype
from deva_torch._traced import traced_backend

FLOAT32 = checked_compute_dtype("float32")
FORCED = Costs(form="gram", stacked_rows=1)


@contextmanager
def small_thresholds():
    """Parts of three entries, QR by Cholesky from two columns on, symmetric products by halves."""
    with (
        mock.patch("deva_torch._blocks.CACHED", 3),
        mock.patch("deva_torch._qr.WORTH_CHOLESKY", 2),
        mock.patch("deva_torch._products.WORTH_HALVING", 1),
        mock.patch("deva_torch._qr.WORTH_PANELS", 1),
        mock.patch("deva_torch._qr.PANEL", 2),
        mock.patch("deva_torch._step.WORTH_A_THREAD", 1),
        mock.patch("deva_numpy._replacements.CACHED", 3),
    ):
        yield


@contextmanager
def no_host():
    """A CPU goes where an accelerator would go: no value is read to choose a branch, everything is in stacks.

    Backends are cached by kind of device: those of this CPU are put aside. The products stay in the working dtype.
    """
    caches = backend, traced_backend
    with mock.patch("deva_torch._device.HOSTS", set()):
        for cache in caches:
            cache.cache_clear()
        try:
            yield
        finally:
            for cache in caches:
                cache.cache_clear()


class Forced:
    """A run whose every step takes the fast paths."""

    def __init__(self, run, forced=small_thresholds):
        self._run, self._forced = run, forced

    def step(self, grads):
        with self._forced():
            self._run.step(grads)

    def __getattr__(self, name):
        return getattr(self._run, name)


def torch(rule, params, **options):
    """`deva_torch.start`, Gram pinned."""
    with mock.patch.object(deva_torch.RuleOptimizer, "costs", FORCED):
        run = deva_torch.start(rule, params, **options)
    run._optimizer.costs = FORCED
    return Forced(run)


def torch_accelerator(rule, params, **options):
    """`deva_torch.start` where no device is a host; products in float32, as `make gpu` runs the kit."""
    with no_host():
        run = deva_torch.start(rule, params, **options)
    run._optimizer._compute_dtype = FLOAT32
    return Forced(run, no_host)


def torch_captured(rule, params, **options):
    """The same, its counts on the device."""
    run = torch_accelerator(rule, params, **options)
    for group in run._optimizer.param_groups:
        group["capturable"] = True
    return run


def numpy(rule, params, **options):
    """`deva_numpy.start`, in the plain form: Gram at such sizes errs up to 25 times the plain form's due error."""
    forced = Backend(
        xp=numpy_start.BACKEND.xp, replacements=numpy_start.BACKEND.replacements, costs=Costs(stacked_rows=1)
    )
    with mock.patch.object(numpy_start, "BACKEND", forced):
        return Forced(deva_numpy.start(rule, params, **options))


def accelerator_operations():
    """What torch's runs compute with where no device is a host."""
    return replace(torch_start.operations(), precision=no_host)


def torch_operations():
    """What torch's forced runs compute with: the due error is that of the form which they are forced into."""
    honest = torch_start.operations()
    return replace(honest, backend=replace(honest.backend, costs=FORCED))


for forced, honest, operations in (
    (torch, torch_start.start, torch_operations),
    (torch_accelerator, torch_start.start, accelerator_operations),
    (torch_captured, torch_start.start, accelerator_operations),
    (numpy, numpy_start.start, numpy_start.operations),
):
    forced.capabilities, forced.operations = honest.capabilities, operations
