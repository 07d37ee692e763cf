"""The entry point for conformance runs and portable state: NumPy arrays in, NumPy arrays out, JAX between."""

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
    """An optimizer with its parameters. Nothing handed in is kept or written, nothing handed out is live."""

    def __init__(
        self, optimizer: optax.GradientTransformation, params: Mapping[str, np.ndarray], compiled: bool
    ) -> None:
        self._wide = any(np.asarray(W).dtype == np.float64 for W in params.values())
        self._optimizer = optimizer
        self.traces = 0
        """How often the step was traced; once, however many steps, unless gradients go missing."""

        def step(params: Any, grads: Any, state: Any) -> tuple[Any, Any]:
            self.traces += 1
            updates, state = optimizer.update(grads, state, params)
            return apply_updates(params, updates), state

        self._step = jax.jit(step) if compiled else step
        with self._precision():
            self._params: Any = {name: jnp.array(W) for name, W in params.items()}
            self._state: Any = optimizer.init(self._params)

    def _precision(self) -> AbstractContextManager:
        """JAX computes in float64 only where it is allowed to."""
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
        """Continue from a portable checkpoint; refused, it leaves everything as it was."""
        with self._precision():
            self._state = load(path, self._optimizer, self._params, rename)


def apply_updates(params: Any, updates: Any) -> Any:
    """`optax.apply_updates`, with parameters that have no update left alone."""
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
    """Begin a run of a rule over named parameters in JAX, computed in their dtypes.

    Args:
        rule: for matrices `(…, out, in)`; axes before the last two are batch axes.
        params: the initial parameters by name; copied.
        vector_rule: for the rest.
        layout: as in `transform`.
        compiled: False runs the step without `jax.jit`.
        replacements: False switches this backend's fast paths off.

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
    """What runs compute with; float64 only where it is allowed to."""
    return Operations(
        backend=backend(platform=jax.default_backend()),
        asarray=jnp.array,
        asnumpy=np.array,
        precision=lambda: jax.enable_x64(True),
    )


start.capabilities = Capabilities()  # pyright: ignore[reportFunctionMemberAccess]
start.operations = operations  # pyright: ignore[reportFunctionMemberAccess]
