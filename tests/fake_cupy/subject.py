"""`deva_cupy.start` on the stand-in, for the conformance kit: reads of device values raise while a step runs."""

from typing import Any

import deva_cupy
from tests.fake_cupy._array import guard


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


def start(*args: Any, **options: Any) -> Run:
    """`deva_cupy.start`, guarded."""
    return Run(deva_cupy.start(*args, **options))


def plain_start(*args: Any, **options: Any) -> Run:
    """The same without the fused kernels."""
    return Run(deva_cupy.start(*args, **{**options, "replacements": False}))


start.capabilities = plain_start.capabilities = deva_cupy.start.capabilities
