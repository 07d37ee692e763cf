"""deva_cupy: the rules on CuPy arrays.

`Optimizer` is `deva_core.Optimizer` with CuPy's fused kernels. `save` and `load` handle the portable checkpoint. `start` is
the entry point `deva.backends:cupy`. docs/backends/cupy.md says what is verified without a GPU, docs/gpu.md what ran on an
H200.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deva_cupy._checkpoint import load as load
    from deva_cupy._checkpoint import save as save
    from deva_cupy._optimizer import Optimizer as Optimizer
    from deva_cupy._start import start as start

HOMES = {"Optimizer": "_optimizer", "load": "_checkpoint", "save": "_checkpoint", "start": "_start"}
"""These are imported at first use, so that the kernels' text (`_sources`) is available where CuPy cannot be imported."""


def __getattr__(name: str) -> Any:
    """The public names. The first use of one imports CuPy."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *HOMES})
