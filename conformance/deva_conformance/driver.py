"""Finds backends by name: an entry point, `module:callable`, or any Array API namespace."""

import importlib
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from deva_conformance.namespace import start_of
from deva_core.capabilities import Capabilities
from deva_core.costs import Costs

GROUP = "deva.backends"
NAMESPACE = "(namespace)"
"""The end of a namespace's name, so that `numpy(namespace)` is not the backend `numpy`. Names are words, without blanks."""


class CannotRun(Exception):
    """Raised for a backend or a rule that cannot be found or loaded."""


@dataclass(frozen=True)
class Subject:
    """A backend under test.

    Args:
        name: the name that reports show.
        start: its `start(rule, params, …)`, as `deva_numpy.start` documents it.
    """

    name: str
    start: Any = field(repr=False)
    memory: dict = field(default_factory=dict, repr=False, compare=False)
    """Reference runs that several laws share, by case (`laws._steps.reference`)."""

    @property
    def capabilities(self) -> Capabilities:
        """What it declares. A backend without a declaration can do everything."""
        return getattr(self.start, "capabilities", None) or Capabilities()

    @property
    def costs(self) -> Costs:
        """How it chooses the form of Newton–Schulz. The Gram form's errors are about three times the plain form's."""
        operations = getattr(self.start, "operations", None)
        return operations().backend.costs if operations else Costs()


def installed() -> list[str]:
    """The names of the installed backends."""
    return sorted(point.name for point in entry_points(group=GROUP))


def load(spec: str) -> Subject:
    """The backend with this name: an entry point, `module:callable`, or `module(namespace)`.

    Raises:
        CannotRun: there is no such backend, or its import failed.
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
    """`start`, if it is callable."""
    if not callable(start):
        raise TypeError(f"{start!r} is not callable")
    return start


def from_namespace(module: str) -> Subject:
    """Any Array API namespace as a backend, run by `deva_core.Optimizer`; `module@device` chooses one of its devices.

    Raises:
        CannotRun: the module cannot be imported, is not an Array API namespace, or has no such device.
    """
    try:
        return Subject(module + NAMESPACE, start_of(module))
    except (Exception, SystemExit) as error:  # whatever an import raises
        raise CannotRun(f"{module}: not an Array API namespace: {type(error).__name__}: {error}") from error
