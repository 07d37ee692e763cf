"""torch and NumPy with every fast path forced, whatever the size: the kit's small cases would not reach them."""

from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import deva_numpy
import deva_torch
from deva_core import Backend
from deva_core.costs import Costs
from deva_numpy import _start as numpy_start
from deva_torch import _start as torch_start

FORCED = Costs(form="gram", stacked_rows=1)


@contextmanager
def small_thresholds():
    """Parts of three entries, QR by Cholesky from two columns on, symmetric products by halves."""
    with (
        mock.patch("deva_torch._blocks.CACHED", 3),
        mock.patch("deva_torch._replacements.WORTH_CHOLESKY", 2),
        mock.patch("deva_torch._replacements.WORTH_HALVING", 1),
        mock.patch("deva_torch._step.WORTH_A_THREAD", 1),
        mock.patch("deva_numpy._replacements.CACHED", 3),
    ):
        yield


class Forced:
    """A run whose every step goes by the fast paths."""

    def __init__(self, run):
        self._run = run

    def step(self, grads):
        with small_thresholds():
            self._run.step(grads)

    def __getattr__(self, name):
        return getattr(self._run, name)


def torch(rule, params, **options):
    """`deva_torch.start`, Gram pinned."""
    with mock.patch.object(deva_torch.RuleOptimizer, "costs", FORCED):
        run = deva_torch.start(rule, params, **options)
    run._optimizer.costs = FORCED
    return Forced(run)


def numpy(rule, params, **options):
    """`deva_numpy.start`, in the plain form: Gram at such sizes errs up to 25 times the plain form's due error."""
    forced = Backend(
        xp=numpy_start.BACKEND.xp, replacements=numpy_start.BACKEND.replacements, costs=Costs(stacked_rows=1)
    )
    with mock.patch.object(numpy_start, "BACKEND", forced):
        return Forced(deva_numpy.start(rule, params, **options))


def torch_operations():
    """What torch's forced runs compute with: the due error is that of the form which they are forced into."""
    honest = torch_start.operations()
    return replace(honest, backend=replace(honest.backend, costs=FORCED))


for forced, honest, operations in (
    (torch, torch_start.start, torch_operations),
    (numpy, numpy_start.start, numpy_start.operations),
):
    forced.capabilities, forced.operations = honest.capabilities, operations
