"""`deva_cupy.start` on the stand-in, for the conformance kit: reads of device values raise while a step runs."""

import sys
from typing import Any

from tests.fake_cupy import install
from tests.fake_cupy._array import guard

if "cupy" not in sys.modules:  # the kit checks in processes of their own
    install()

import deva_cupy


class Run:
    """A run of `deva_cupy` whose steps are guarded."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def step(self, grads: Any) -> None:
        with guard.on():
            self._inner.step(grads)

    @property
    def params(self) -> Any:
        return self._inner.params

    @property
    def state(self) -> Any:
        return self._inner.state

    def save(self, path: Any) -> None:
        self._inner.save(path)

    def load(self, path: Any, rename: Any = None) -> None:
        self._inner.load(path, rename)


def start(*args: Any, **options: Any) -> Run:
    """`deva_cupy.start`, guarded."""
    return Run(deva_cupy.start(*args, **options))


def plain_start(*args: Any, **options: Any) -> Run:
    """The same without the fused kernels."""
    return Run(deva_cupy.start(*args, **{**options, "replacements": False}))


start.capabilities = plain_start.capabilities = deva_cupy.start.capabilities
