"""A fault as data: hooks in an otherwise honest backend, wherever something can go wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import array_api_compat.numpy as xp
import numpy as np

from deva_conformance.namespace import NamespaceStart
from deva_core import Backend, Muon, Rule
from deva_core.capabilities import Capabilities, Operations

Arrays = dict[str, Any]


def same(x: Any, run: Any = None) -> Any:
    """No fault here."""
    return x


def saves(path: Any, run: Any) -> None:
    """Save as it should be."""
    run.inner.save(path)


def loads(path: Any, run: Any) -> None:
    """Load as it should be."""
    run.inner.load(path)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A `start` that is wrong in one way, or different in a legal one.

    Args:
        about: what is wrong; for an exhibit of the museum with its source.
        law: the law that must kill it; "" for a legal variant.
        on: the rule that shows it.
        rule: from the rule asked for to the rule that runs.
        given: from a step's gradients to those that arrive; None loses the step.
        params, state: from what is reported to what is handed out.
        saving, loading: instead of `save` and `load`.
        options: from `start`'s options to those that arrive.
        started: from the initial parameters to those that arrive.
        backend: from the honest operations to those that run.
    """

    about: str
    law: str
    on: type[Rule] = Muon
    rule: Callable[[Any], Rule] = same
    given: Callable[[Arrays, Any], Arrays | None] = same
    params: Callable[[Arrays, Any], Any] = same
    state: Callable[[Any, Any], Any] = same
    saving: Callable[[Any, Any], None] = saves
    loading: Callable[[Any, Any], None] = loads
    options: Callable[[dict], dict] = same
    started: Callable[[Arrays], Arrays] = same
    backend: Callable[[Backend], Backend] | None = None
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(dtypes=("float64", "float32"), compiled=False)
    )

    def __call__(self, rule: Rule, params: Mapping[str, np.ndarray], **options: Any) -> "FaultyRun":
        """Begin a faulty run over NumPy."""
        return self.around(self.inner)(rule, params, **options)

    @property
    def inner(self) -> NamespaceStart:
        """NumPy with the faulty operations."""
        honest = Backend(xp=xp)
        return NamespaceStart(self.backend(honest) if self.backend else honest, xp.asarray)

    def operations(self) -> Operations:
        """What runs compute with."""
        return self.inner.operations()

    def around(self, start: Any) -> "Around":
        """Any backend's `start`, with this fault (but for a fault in the operations)."""
        return Around(self, start)


@dataclass(frozen=True)
class Around:
    """A `start` with a fault around it."""

    fault: Fault
    start: Any

    @property
    def capabilities(self) -> Capabilities:
        """What the backend declares."""
        return getattr(self.start, "capabilities", None) or Capabilities()

    def __call__(self, rule: Rule, params: Mapping[str, np.ndarray], **options: Any) -> "FaultyRun":
        """Begin a faulty run."""
        fault = self.fault
        made = self.start(fault.rule(rule), fault.started(dict(params)), **fault.options(options))
        return FaultyRun(fault, made, rule, {n: np.array(W) for n, W in params.items()}, options)


class FaultyRun:
    """A run with the hooks of a fault. `memory` is for faults that remember."""

    def __init__(self, fault: Fault, inner: Any, rule: Rule, initial: Arrays, options: dict) -> None:
        self.fault, self.inner, self.rule, self.initial, self.options = fault, inner, rule, initial, options
        self.memory: dict[str, Any] = {}
        self.calls = 0

    def step(self, grads: Mapping[str, Any]) -> None:
        """One step, or what becomes of it."""
        self.calls += 1
        given = self.fault.given(dict(grads), self)
        if given is not None:
            self.inner.step(given)

    @property
    def params(self) -> Any:
        """The parameters, or what the fault reports instead."""
        return self.fault.params(self.inner.params, self)

    @property
    def state(self) -> Any:
        """The state, or what the fault reports instead."""
        return self.fault.state(self.inner.state, self)

    def save(self, path: Any) -> None:
        """Write a checkpoint."""
        self.fault.saving(path, self)

    def load(self, path: Any, rename: Any = None) -> None:
        """Read one."""
        self.fault.loading(path, self)


def each(f: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays, Any], Arrays]:
    """A hook that does something to every array."""
    return lambda arrays, run: {n: X if X is None else np.asarray(f(X)).astype(X.dtype) for n, X in arrays.items()}


def field_of(name: str, f: Callable[[np.ndarray], Any]) -> Callable[[Any, Any], Any]:
    """A hook that does something to one field of the state that is handed out."""
    return lambda state, run: {n: {k: f(x) if k == name else x for k, x in s.items()} for n, s in state.items()}
