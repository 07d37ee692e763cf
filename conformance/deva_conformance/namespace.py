"""Any Array API library as a backend, run by `deva_core.Optimizer`: give its namespace's name, or a few lines of code."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

import numpy as np

from deva_core import Backend, Optimizer, OptimizerState, Rule, checkpoint
from deva_core.capabilities import Capabilities, Operations
from deva_core.eager import Slot
from deva_core.parameter import fields, stacks_of_out_in

DTYPES = ("float64", "float32")
"""The real floating dtypes of the standard."""


class _StackOptimizer(Optimizer):
    default_layout = staticmethod(stacks_of_out_in)


@dataclass(frozen=True)
class NamespaceStart:
    """Makes a `start`, which the kit calls, for a library that has none: from a `Backend` and two conversions.

    Args:
        backend: how to compute; `Backend(xp=…)` for a namespace that follows the standard.
        asarray: converts a NumPy array to an array of the library.
        asnumpy: converts an array of the library to a NumPy array.
        capabilities: which dtypes and functions the library has; the kit does not test the others.
        evaluate: for a lazy library: what its users call after each step. It takes a list of arrays and returns them computed.

    Example:
        >>> import array_api_strict
        >>> from deva_conformance import NamespaceStart
        >>> from deva_core import Backend
        >>> start = NamespaceStart(Backend(xp=array_api_strict), array_api_strict.asarray)
    """

    backend: Backend
    asarray: Callable[[np.ndarray], Any]
    asnumpy: Callable[[Any], np.ndarray] = np.array
    capabilities: Capabilities = Capabilities(dtypes=DTYPES, compiled=False)
    evaluate: Callable[[list], Sequence] | None = None

    def operations(self) -> Operations:
        """The backend and conversions that runs use."""
        return Operations(backend=self.backend, asarray=self.arriving, asnumpy=self.leaving)

    def arriving(self, x: Any) -> Any:
        """A copy as the library's array, since the library may keep its argument."""
        return self.asarray(np.array(x))

    def leaving(self, x: Any) -> np.ndarray:
        """A copy as a NumPy array, which later steps cannot change."""
        return np.array(self.asnumpy(x))

    def __call__(
        self,
        rule: Rule,
        params: Mapping[str, np.ndarray],
        *,
        vector_rule: Rule | None = None,
        layout: Any = None,
        compiled: bool | None = None,
        replacements: bool = True,
    ) -> "NamespaceRun":
        """Start a run of a rule over named NumPy parameters; the arguments are those of every backend's `start`.

        `compiled` and `replacements` have no effect.

        Raises:
            ValueError: a parameter does not fit its layout.
            TypeError: `rule` or `vector_rule` is not a rule.
        """
        return NamespaceRun(self, _StackOptimizer(rule, vector_rule, layout, self.backend), params)


class NamespaceRun:
    """A run on a library's arrays."""

    def __init__(self, start: NamespaceStart, optimizer: Optimizer, params: Mapping[str, np.ndarray]) -> None:
        self._arriving, self._leaving, self._optimizer = start.arriving, start.leaving, optimizer
        self._evaluate = start.evaluate
        self._params = {name: self._arriving(W) for name, W in params.items()}
        self._state = optimizer.init(self._params)

    def step(self, grads: Mapping[str, np.ndarray | None]) -> None:
        """One step; a missing or None gradient leaves its parameter alone."""
        given = {name: self._arriving(G) for name, G in grads.items() if G is not None}
        self._params, self._state = self._optimizer.step(self._params, given, self._state)
        if self._evaluate:
            self._compute(self._evaluate)

    def _compute(self, evaluate: Callable[[list], Sequence]) -> None:
        """Evaluate parameters and state together, since lazy arrays share what they are computed from."""
        lazy = {(name, ""): W for name, W in self._params.items()}
        for name, slot in self._state.slots.items():
            lazy |= {(name, field): x for field, x in fields(slot.state).items()}
        done = dict(zip(lazy, evaluate(list(lazy.values())), strict=True))
        parameters, slots = self._optimizer.assignment(self._params), {}
        for name, slot in self._state.slots.items():
            computed = {field: done[name, field] for field in fields(slot.state)}
            slots[name] = Slot(slot.step, parameters[name].from_fields(computed))
        self._params = {name: done[name, ""] for name in self._params}
        self._state = OptimizerState(self._state.count, slots)

    def save(self, path: Any) -> None:
        """Write the state as a portable checkpoint."""
        from safetensors.numpy import save as serialize

        checkpoint.save(path, self._entries(self._state), self._state.count, serialize)

    def load(self, path: Any, rename: checkpoint.Rename = None) -> None:
        """Continue from a portable checkpoint. On an error the run keeps its state."""
        from safetensors.numpy import load as deserialize

        live = self._entries(self._optimizer.init(self._params))
        count, loaded = checkpoint.load(path, live, deserialize, rename)
        parameters = self._optimizer.assignment(self._params)
        arrays = {n: {k: self._arriving(x) for k, x in e.fields.items()} for n, e in loaded.items()}
        slots = {n: Slot(e.step, parameters[n].from_fields(arrays[n])) for n, e in loaded.items()}
        self._state = OptimizerState(count, slots)

    def _entries(self, state: OptimizerState) -> dict[str, checkpoint.Entry]:
        parameters = self._optimizer.assignment(self._params)
        return {
            n: checkpoint.Entry(
                parameters[n].rule,
                str(parameters[n].layout or "vector"),
                slot.step,
                {k: self._leaving(x) for k, x in fields(slot.state).items()},
            )
            for n, slot in state.slots.items()
        }

    @property
    def params(self) -> dict[str, np.ndarray]:
        """The parameters as NumPy arrays."""
        return {name: self._leaving(W) for name, W in self._params.items()}

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        """For each parameter its `step` and its rule's fields."""
        slots = self._state.slots.items()
        return {n: {"step": s.step, **{k: self._leaving(x) for k, x in fields(s.state).items()}} for n, s in slots}


def start_of(name: str) -> NamespaceStart:
    """The `start` of a namespace, given by module (`array_api_strict`) or by module and device (`array_api_strict@device1`).

    Raises:
        ValueError: there is no such device.
        Exception: whatever importing the module raises.
    """
    module, _, wanted = name.partition("@")
    xp = resolve_name(module)  # not an import: `marray.numpy` is an attribute, not a module
    b = Backend.of(xp.asarray(np.zeros(1, np.float32)))
    if not wanted:
        return NamespaceStart(b, xp.asarray, capabilities=declared(b.xp, None))
    device, home = find_device(b.xp, wanted), b.xp.__array_namespace_info__().default_device()
    return NamespaceStart(
        b,
        asarray=lambda x: b.xp.asarray(x, device=device),
        asnumpy=lambda x: np.asarray(x.to_device(home)),
        capabilities=declared(b.xp, device),
    )


def find_device(xp: Any, wanted: str) -> Any:
    """The device with this name among those that a namespace lists: `cpu`, or `device1` for a `Device('device1')`.

    Raises:
        ValueError: there is none.
    """
    devices = [d for d in xp.__array_namespace_info__().devices() if d is not None]
    for device in devices:
        if wanted == str(device) or f"'{wanted}'" in str(device):
            return device
    raise ValueError(f"no device {wanted!r}; there are {', '.join(map(str, devices))}")


def declared(xp: Any, device: Any) -> Capabilities:
    """What a namespace declares: the dtypes of the device, and whether it has the extension `linalg`.

    Some devices have no float64, and JAX has it only on request.
    """
    dtypes = DTYPES
    if hasattr(xp, "__array_namespace_info__"):
        listed = xp.__array_namespace_info__().dtypes(device=device, kind="real floating")
        dtypes = tuple(name for name in DTYPES if name in listed)
    return Capabilities(dtypes=dtypes, linalg=hasattr(xp, "linalg"), compiled=False)
