"""The entry point for conformance runs and portable state: NumPy arrays in and out, computed by JAX."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from deva_core import Rule
from deva_core.capabilities import Capabilities, Operations
from deva_core.checkpoint import Rename
from deva_core.parameter import stacks_of_out_in
from deva_jax._backend import backend
from deva_jax._checkpoint import entries, load, save
from deva_jax._transform import transform


class Run:
    """An optimizer with its parameters. It copies every array that it takes or returns."""

    def __init__(
        self, optimizer: optax.GradientTransformation, params: Mapping[str, np.ndarray], compiled: bool
    ) -> None:
        self._wide = any(np.asarray(W).dtype == np.float64 for W in params.values())
        self._optimizer = optimizer
        self.traces = 0
        """How often the step was traced: once for any number of steps, unless the set of missing gradients changes."""

        def step(params: Any, grads: Any, state: Any) -> tuple[Any, Any]:
            self.traces += 1
            updates, state = optimizer.update(grads, state, params)
            return apply_updates(params, updates), state

        self._step = jax.jit(step) if compiled else step
        with self._precision():
            self._params: Any = {name: jnp.array(W) for name, W in params.items()}
            self._state: Any = optimizer.init(self._params)

    def _precision(self) -> AbstractContextManager:
        """The context in which JAX computes in float64, if parameters are float64."""
        return jax.enable_x64(True) if self._wide else nullcontext()

    def step(self, grads: Mapping[str, np.ndarray | None]) -> None:
        """One step; a missing or None gradient leaves its parameter alone."""
        stray = next((name for name in grads if name not in self._params), None)
        if stray is not None:
            raise ValueError(f"a gradient is named {stray!r}, but no parameter is")
        with self._precision():
            arrays = {name: None if grads.get(name) is None else jnp.array(grads[name]) for name in self._params}
            self._params, self._state = self._step(self._params, arrays, self._state)

    @property
    def params(self) -> dict[str, np.ndarray]:
        """The parameters, copied."""
        return {name: np.array(W) for name, W in self._params.items()}

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        """For each parameter its `step` and the fields of its rule's state, copied."""
        with self._precision():
            found = entries(self._optimizer, self._params, self._state)
        return {name: {"step": entry.step, **entry.fields} for name, entry in found.items()}

    def save(self, path: Any) -> None:
        """Write the state as a portable checkpoint."""
        with self._precision():
            save(path, self._optimizer, self._params, self._state)

    def load(self, path: Any, rename: Rename = None) -> None:
        """Continue from a portable checkpoint. On an error the run keeps its state."""
        with self._precision():
            self._state = load(path, self._optimizer, self._params, rename)


def apply_updates(params: Any, updates: Any) -> Any:
    """`optax.apply_updates`, which leaves parameters without an update alone."""
    old = {name: W for name, W in params.items() if updates[name] is not None}
    new: Any = optax.apply_updates(old, {name: updates[name] for name in old})
    return {**params, **new}


def start(
    rule: Rule,
    params: Mapping[str, np.ndarray],
    *,
    vector_rule: Rule | None = None,
    layout: Any = None,
    compiled: bool | None = None,
    replacements: bool = True,
) -> Run:
    """Start a run of a rule over named NumPy parameters, computed by JAX.

    Args:
        rule: the rule for matrices `(…, out, in)`; axes before the last two are batch axes.
        params: the initial parameters by name, float64, float32, bfloat16 or float16; they are copied and keep their dtype.
        vector_rule: the rule for everything else, as in `transform`.
        layout: as in `transform`.
        compiled: False runs the step without `jax.jit`.
        replacements: False switches this backend's fast paths off.

    Raises:
        ValueError: a parameter does not fit its layout.
        TypeError: `rule` or `vector_rule` is not a rule, or a parameter is not an array of real floats.

    Example:
        >>> import numpy as np
        >>> from deva_core import Muon
        >>> from deva_jax import start
        >>> run = start(Muon(lr=lambda count: 0.1 / (1 + count)), {"W": np.ones((2, 3))})
        >>> for _ in range(10):
        ...     run.step({"W": np.ones((2, 3))})
        >>> run.params["W"].dtype, run.traces
        (dtype('float64'), 1)
    """
    optimizer = transform(
        rule,
        vector_rule=vector_rule,
        layout=layout,
        default_layout=stacks_of_out_in,
        replacements=replacements,
    )
    return Run(optimizer, params, compiled=compiled is not False)


def operations() -> Operations:
    """The backend and conversions that runs use, with the context in which JAX keeps float64."""
    return Operations(
        backend=backend(platform=jax.default_backend()),
        asarray=jnp.array,
        asnumpy=np.array,
        precision=lambda: jax.enable_x64(True),
    )


start.capabilities = Capabilities()  # pyright: ignore[reportFunctionMemberAccess]
start.operations = operations  # pyright: ignore[reportFunctionMemberAccess]
