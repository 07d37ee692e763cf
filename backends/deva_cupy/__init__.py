"""deva_cupy: the rules on CuPy arrays.

`Optimizer` is `deva_core.Optimizer` on CuPy; `save` and `load` its portable checkpoint;
`start` is the entry point `deva.backends:cupy`.
What is verified without a GPU: docs/backends/cupy.md. What was run on one, an H200: docs/gpu.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deva_cupy._checkpoint import load as load
    from deva_cupy._checkpoint import save as save
    from deva_cupy._optimizer import Optimizer as Optimizer
    from deva_cupy._start import start as start

HOMES = {"Optimizer": "_optimizer", "load": "_checkpoint", "save": "_checkpoint", "start": "_start"}
"""Imported when asked for, so that the kernels' text (`_sources`) can be had where CuPy cannot be imported."""


def __getattr__(name: str) -> Any:
    """The public names; the first of them imports CuPy."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *HOMES})
