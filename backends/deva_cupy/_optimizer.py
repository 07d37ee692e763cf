"""The functional host on CuPy."""

from collections.abc import Mapping
from typing import Any

import cupy  # pyright: ignore[reportMissingImports]

from deva_core import Backend, OptimizerState, Rule
from deva_core import Optimizer as CoreOptimizer
from deva_core.eager import Slot
from deva_core.messages import answered
from deva_core.parameter import State, unwrapped, wrapped
from deva_cupy._backend import backend as backend_for
from deva_cupy._backend import checked_compute_dtype, current_capability


class Optimizer(CoreOptimizer):
    """`deva_core.Optimizer` for CuPy arrays on the current device.

    A step enqueues kernels and reads nothing back. docs/backends/cupy.md names the two options under which cuSOLVER may wait.

    Args:
        rule, vector_rule, layout, weight_decay_mask, vector_learning_rate: as in `deva_core.Optimizer`.
        backend: how to compute; by default CuPy's, with the next two arguments.
        compute_dtype: the dtype of the Newton–Schulz products: `"auto"` (bfloat16 from compute capability 8.0 on, if CuPy
            supports it, otherwise the working dtype), a dtype or its name. It never narrows float64.
        replacements: False switches the fused kernels off.

    Raises:
        ValueError: `compute_dtype` is unknown, or (in `init` and `step`) this device does not support it.
        TypeError: an argument has the wrong type or an unknown name.

    Example:
        >>> import cupy  # an array needs a GPU  # doctest: +SKIP
        >>> from deva_core import Muon
        >>> from deva_cupy import Optimizer  # doctest: +SKIP
        >>> optimizer = Optimizer(Muon(lr=0.1))  # doctest: +SKIP
        >>> params = {"weight": cupy.ones((4, 3), dtype=cupy.float32)}  # doctest: +SKIP
        >>> params, state = optimizer.step(params, params, optimizer.init(params))  # doctest: +SKIP
        >>> state.slots["weight"].step  # doctest: +SKIP
        1
    """

    @answered("deva_cupy.Optimizer")
    def __init__(
        self,
        rule: Rule,
        vector_rule: Rule | None = None,
        layout: Any = None,
        backend: Backend | None = None,
        compute_dtype: Any = "auto",
        replacements: bool = True,
        *,
        weight_decay_mask: Any = None,
        vector_learning_rate: Any = None,
    ) -> None:
        shared = dict(weight_decay_mask=weight_decay_mask, vector_learning_rate=vector_learning_rate)
        super().__init__(rule, vector_rule, layout, backend, **shared)
        self._compute_dtype = checked_compute_dtype(compute_dtype)
        self._replacements = replacements

    def step(self, params: Any, grads: Any, state: OptimizerState) -> tuple[Any, OptimizerState]:
        """One step, as `deva_core.Optimizer.step`; the new state's arrays are C-contiguous."""
        params, (count, slots) = super().step(params, grads, state)
        return params, OptimizerState(count, {name: Slot(t, in_rows(S)) for name, (t, S) in slots.items()})

    def backend_of(self, leaves: Mapping[str, Any]) -> Backend:
        """The `backend` argument, or CuPy's for the current device."""
        return self.backend or backend_for(self._compute_dtype, current_capability(), self._replacements)


def in_rows(state: State) -> State:
    """The state with its arrays in row order; arrays that already are stay the same."""
    return unwrapped({block: type(part)(*map(rows, part)) for block, part in wrapped(state).items()})


def rows(x: Any) -> Any:
    """The array in row order, without a copy if it already is (`ascontiguousarray` would give a scalar an axis).

    cuSOLVER returns factors in column order, but a resumed run has row order, and cuBLAS's products differ in the last bit.
    """
    return cupy.asarray(x, order="C")
