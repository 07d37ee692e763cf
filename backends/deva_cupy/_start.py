"""The entry point for conformance runs and portable state: NumPy arrays in and out, computed by CuPy."""

from collections.abc import Mapping
from typing import Any

import cupy  # pyright: ignore[reportMissingImports]
import numpy as np

from deva_core import Rule
from deva_core.capabilities import Capabilities, Operations
from deva_core.checkpoint import Rename
from deva_core.parameter import fields, stacks_of_out_in
from deva_cupy._backend import backend, bfloat16, current_capability
from deva_cupy._checkpoint import load, save
from deva_cupy._optimizer import Optimizer


class _StackOptimizer(Optimizer):
    default_layout = staticmethod(stacks_of_out_in)


def to_device(name: str, x: np.ndarray) -> Any:
    """A copy on the current device with the same dtype; bfloat16 becomes `ml_dtypes.bfloat16`."""
    x = np.asarray(x)
    if x.dtype.name == "bfloat16" and bfloat16() is None:
        raise TypeError(
            f"{name!r} is bfloat16, which CuPy {cupy.__version__} with NumPy {np.__version__} cannot hold:"
            " it needs CuPy >= 14, NumPy >= 2.1.2 and ml_dtypes; give float32"
        )
    return cupy.array(x)


class Run:
    """An optimizer with its parameters. It copies every array that it takes or returns."""

    def __init__(self, optimizer: Optimizer, params: Mapping[str, np.ndarray]) -> None:
        self._optimizer = optimizer
        self._params = {name: to_device(name, W) for name, W in params.items()}
        self._state = optimizer.init(self._params)

    def step(self, grads: Mapping[str, np.ndarray | None]) -> None:
        """One step; a missing or None gradient leaves its parameter alone."""
        given = {name: to_device(name, G) for name, G in grads.items() if G is not None}
        self._params, self._state = self._optimizer.step(self._params, given, self._state)

    @property
    def params(self) -> dict[str, np.ndarray]:
        """The parameters, copied."""
        return {name: cupy.asnumpy(W) for name, W in self._params.items()}

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        """For each parameter its `step` and the fields of its rule's state, copied."""
        return {
            name: {"step": slot.step, **{field: cupy.asnumpy(x) for field, x in fields(slot.state).items()}}
            for name, slot in self._state.slots.items()
        }

    def save(self, path: Any) -> None:
        """Write the state as a portable checkpoint."""
        save(path, self._optimizer, self._params, self._state)

    def load(self, path: Any, rename: Rename = None) -> None:
        """Continue from a portable checkpoint. On an error the run keeps its state."""
        self._state = load(path, self._optimizer, self._params, rename)


def start(
    rule: Rule,
    params: Mapping[str, np.ndarray],
    *,
    vector_rule: Rule | None = None,
    layout: Any = None,
    compiled: bool | None = None,
    replacements: bool = True,
) -> Run:
    """Start a run of a rule over named NumPy parameters, computed by CuPy on the current device.

    Args:
        rule: the rule for matrices `(…, out, in)`; axes before the last two are batch axes.
        params: the initial parameters by name, float64, float32, bfloat16 or float16; they are copied and keep their dtype.
        vector_rule: the rule for everything else, as in `Optimizer`.
        layout: as in `Optimizer`.
        compiled: must be None or False, because this backend does not compile its step.
        replacements: False switches the fused kernels off.

    Raises:
        RuntimeError: there is no CUDA device.
        ValueError: `compiled` is True, or a parameter does not fit its layout.
        TypeError: a parameter is bfloat16 and this CuPy does not support it, or an argument has the wrong type.

    Example:
        >>> import numpy as np
        >>> from deva_core import Muon
        >>> from deva_cupy import start  # a run needs a GPU  # doctest: +SKIP
        >>> run = start(Muon(), {"W": np.ones((2, 3), dtype=np.float32)})  # doctest: +SKIP
        >>> run.step({"W": np.ones((2, 3), dtype=np.float32)})  # doctest: +SKIP
        >>> run.params["W"].dtype  # doctest: +SKIP
        dtype('float32')
    """
    if compiled:
        raise ValueError("compiled must be None or False: the cupy backend does not compile its step")
    if reason := unavailable():
        raise RuntimeError(f"{reason}: deva_cupy needs an NVIDIA GPU")
    optimizer = _StackOptimizer(rule, vector_rule, layout, compute_dtype="float32", replacements=replacements)
    return Run(optimizer, params)


def unavailable() -> str | None:
    """Why nothing can be run on this machine; None where something can."""
    if cupy.is_available():
        return None
    return f"CuPy {cupy.__version__} finds no CUDA device and driver on this machine"


def operations() -> Operations:
    """The backend and conversions that runs use, on the current device."""
    return Operations(
        backend=backend(np.dtype("float32"), current_capability()),
        asarray=lambda x: to_device("an operand", x),
        asnumpy=cupy.asnumpy,
    )


HELD = ("float64", "float32", *(("bfloat16",) if bfloat16() else ()), "float16")
"""The parameter dtypes that this CuPy supports."""

start.capabilities = Capabilities(dtypes=HELD, compiled=False)  # pyright: ignore[reportFunctionMemberAccess]
start.operations = operations  # pyright: ignore[reportFunctionMemberAccess]
start.unavailable = unavailable  # pyright: ignore[reportFunctionMemberAccess]
