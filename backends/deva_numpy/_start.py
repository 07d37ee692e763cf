"""The entry point for conformance runs and portable state: NumPy arrays in and out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from deva_core import Rule
from deva_core.capabilities import Capabilities, Operations
from deva_core.checkpoint import Rename
from deva_core.parameter import fields, stacks_of_out_in
from deva_numpy._checkpoint import load, save
from deva_numpy._optimizer import BACKEND, PLAIN, Optimizer


class _StackOptimizer(Optimizer):
    default_layout = staticmethod(stacks_of_out_in)


class Run:
    """An optimizer with its parameters. It copies every array that it takes or returns."""

    def __init__(self, optimizer: Optimizer, params: Mapping[str, np.ndarray]) -> None:
        self._optimizer = optimizer
        self._params = {name: np.array(W) for name, W in params.items()}
        self._state = optimizer.init(self._params)

    def step(self, grads: Mapping[str, np.ndarray | None]) -> None:
        """One step; a missing or None gradient leaves its parameter alone."""
        self._params, self._state = self._optimizer.step(self._params, dict(grads), self._state)

    @property
    def params(self) -> dict[str, np.ndarray]:
        """The parameters, copied."""
        return {name: np.array(W) for name, W in self._params.items()}

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        """For each parameter its `step` and the fields of its rule's state, copied."""
        return {
            name: {"step": slot.step, **{field: np.array(x) for field, x in fields(slot.state).items()}}
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
    """Start a run of a rule over named NumPy parameters.

    Args:
        rule: the rule for matrices `(…, out, in)`; axes before the last two are batch axes.
        params: the initial parameters by name, float64, float32, bfloat16 or float16; they are copied and keep their dtype.
        vector_rule: the rule for everything else, as in `deva_core.Optimizer`.
        layout: as in `deva_core.Optimizer`.
        compiled: must be None or False, because NumPy compiles nothing.
        replacements: False switches this backend's fast paths off.

    Raises:
        ValueError: `compiled` is True, or a parameter does not fit its layout.
        TypeError: `rule` or `vector_rule` is not a rule, or a parameter is not an array of real floats.

    Example:
        >>> import numpy as np
        >>> from deva_core import Muon
        >>> from deva_numpy import start
        >>> run = start(Muon(), {"W": np.ones((2, 3))})
        >>> run.step({"W": np.ones((2, 3))})
        >>> run.state["W"]["step"]
        1
    """
    if compiled:
        raise ValueError("compiled must be None or False: the numpy backend compiles nothing")
    backend = BACKEND if replacements else PLAIN
    return Run(_StackOptimizer(rule, vector_rule, layout, backend), params)


def operations() -> Operations:
    """The backend and conversions that runs use."""
    return Operations(backend=BACKEND, asarray=np.array, asnumpy=np.array)


start.capabilities = Capabilities(compiled=False)  # pyright: ignore[reportFunctionMemberAccess]
start.operations = operations  # pyright: ignore[reportFunctionMemberAccess]
