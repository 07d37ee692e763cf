"""Finding backends and starting runs of them: entry points, `module:callable`, or any Array API namespace."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

import numpy as np

from deva_core import Backend, Optimizer, OptimizerState, Rule, checkpoint
from deva_core.capabilities import Capabilities, Operations
from deva_core.costs import Costs
from deva_core.eager import Slot
from deva_core.parameter import fields, stacks_of_out_in

GROUP = "deva.backends"
NAMESPACE = "(namespace)"
"""Ends the name of a namespace, so that `numpy(namespace)` is not the backend `numpy`; no blank: names are words."""


class CannotRun(Exception):
    """A backend that could not be found or loaded."""


@dataclass(frozen=True)
class Subject:
    """A backend under test: its name and its `start` (api.md, Backends)."""

    name: str
    start: Any = field(repr=False)
    memory: dict = field(default_factory=dict, repr=False, compare=False)
    """Runs that several laws compare others with, by case (`laws._steps.reference`)."""

    @property
    def capabilities(self) -> Capabilities:
        """What it declares; a backend that declares nothing does everything."""
        return getattr(self.start, "capabilities", None) or Capabilities()

    @property
    def costs(self) -> Costs:
        """The form of Newton–Schulz that it chooses: Gram's errs about thrice as much as the specification's own."""
        operations = getattr(self.start, "operations", None)
        return operations().backend.costs if operations else Costs()


def installed() -> list[str]:
    """The names of the installed backends."""
    return sorted(point.name for point in entry_points(group=GROUP))


def load(spec: str) -> Subject:
    """A backend by its name: an entry point, `module:callable`, or `module(namespace)`.

    Raises:
        CannotRun: no such backend, or its import failed.
    """
    if spec.endswith(NAMESPACE):
        return from_namespace(spec.removesuffix(NAMESPACE))
    points = {point.name: point for point in entry_points(group=GROUP)}
    try:
        if spec in points:
            return Subject(spec, points[spec].load())
        if ":" in spec:
            module, _, name = spec.partition(":")
            return Subject(spec, function(getattr(importlib.import_module(module), name)))
    except (Exception, SystemExit) as error:  # whatever an import raises
        raise CannotRun(f"{spec}: cannot be loaded: {type(error).__name__}: {error}") from error
    raise CannotRun(f"{spec}: no such backend; installed are {', '.join(sorted(points)) or 'none'}")


def function(start: Any) -> Any:
    """`start`, if it can be called."""
    if not callable(start):
        raise TypeError(f"{start!r} is no function")
    return start


def from_namespace(module: str) -> Subject:
    """Any Array API namespace as a backend, driven through `deva_core.Optimizer`.

    Raises:
        CannotRun: the module cannot be imported or has no arrays.
    """
    try:
        xp = importlib.import_module(module)
        xp.asarray(np.zeros(1, np.float32))
    except (Exception, SystemExit) as error:  # whatever an import raises
        raise CannotRun(f"{module}: not an Array API namespace: {type(error).__name__}: {error}") from error
    return Subject(module + NAMESPACE, NamespaceStart(xp))


class _StackOptimizer(Optimizer):
    default_layout = staticmethod(stacks_of_out_in)


@dataclass(frozen=True)
class NamespaceStart:
    """`start` for a namespace: arrays go in through `xp.asarray` and come out through `np.asarray`."""

    xp: Any
    backend: Backend | None = None

    @property
    def capabilities(self) -> Capabilities:
        """The standard's dtypes; factorisations where the namespace has them; nothing to compile."""
        return Capabilities(dtypes=("float64", "float32"), linalg=hasattr(self.xp, "linalg"), compiled=False)

    def operations(self) -> Operations:
        """What runs compute with."""
        b = self.backend or Backend.of(self.xp.asarray(np.zeros(1, np.float32)))
        return Operations(backend=b, asarray=lambda x: self.xp.asarray(np.array(x)), asnumpy=np.array)

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
        """Begin a run."""
        return NamespaceRun(self.xp, _StackOptimizer(rule, vector_rule, layout, self.backend), params)


class NamespaceRun:
    """A run on a namespace's arrays."""

    def __init__(self, xp: Any, optimizer: Optimizer, params: Mapping[str, np.ndarray]) -> None:
        self._xp, self._optimizer = xp, optimizer
        self._params = {name: xp.asarray(np.array(W)) for name, W in params.items()}
        self._state = optimizer.init(self._params)

    def step(self, grads: Mapping[str, np.ndarray | None]) -> None:
        """One step; a missing or None gradient leaves its parameter alone."""
        given = {name: self._xp.asarray(np.array(G)) for name, G in grads.items() if G is not None}
        self._params, self._state = self._optimizer.step(self._params, given, self._state)

    def save(self, path: Any) -> None:
        """Write the state as a portable checkpoint."""
        from safetensors.numpy import save as serialize

        checkpoint.save(path, self._entries(self._state), self._state.count, serialize)

    def load(self, path: Any, rename: checkpoint.Rename = None) -> None:
        """Continue from a portable checkpoint; refused, it leaves everything as it was."""
        from safetensors.numpy import load as deserialize

        live = self._entries(self._optimizer.init(self._params))
        count, loaded = checkpoint.load(path, live, deserialize, rename)
        parameters = self._optimizer.assignment(self._params)
        arrays = {n: {k: self._xp.asarray(np.array(x)) for k, x in e.fields.items()} for n, e in loaded.items()}
        slots = {n: Slot(e.step, parameters[n].from_fields(arrays[n])) for n, e in loaded.items()}
        self._state = OptimizerState(count, slots)

    def _entries(self, state: OptimizerState) -> dict[str, checkpoint.Entry]:
        parameters = self._optimizer.assignment(self._params)
        return {
            n: checkpoint.Entry(
                parameters[n].rule,
                str(parameters[n].layout or "vector"),
                slot.step,
                {k: np.array(x) for k, x in fields(slot.state).items()},
            )
            for n, slot in state.slots.items()
        }

    @property
    def params(self) -> dict[str, np.ndarray]:
        """The parameters as NumPy arrays."""
        return {name: np.array(W) for name, W in self._params.items()}

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        """For each parameter its `step` and its rule's fields."""
        slots = self._state.slots.items()
        return {n: {"step": s.step, **{k: np.array(x) for k, x in fields(s.state).items()}} for n, s in slots}
