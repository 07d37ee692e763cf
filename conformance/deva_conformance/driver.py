"""Finds backends by name: an entry point, `module:callable`, or any Array API namespace."""

import importlib
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from deva_conformance.absence import missing_framework
from deva_conformance.namespace import start_of
from deva_core.capabilities import Capabilities
from deva_core.costs import Costs

GROUP = "deva.backends"
NAMESPACE = "(namespace)"
"""The end of a namespace's name, so that `numpy(namespace)` is not the backend `numpy`. Names are words, without blanks."""


class CannotRun(Exception):
    """Raised for a backend or a rule that cannot be found or loaded."""


class Absent(CannotRun):
    """A backend that is not broken, but whose framework is not installed here, or that finds no device."""


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
        Absent: its framework is not installed, or it finds no device.
    """
    if spec.endswith(NAMESPACE):
        return from_namespace(spec.removesuffix(NAMESPACE))
    points = {point.name: point for point in entry_points(group=GROUP)}
    if spec not in points and ":" not in spec:
        raise CannotRun(f"{spec}: no such backend; installed are {', '.join(sorted(points)) or 'none'}")
    point = points.get(spec)
    try:
        start = point.load() if point else function(spec)
        unavailable = start.unavailable() if hasattr(start, "unavailable") else None
    except (Exception, SystemExit) as error:  # whatever an import raises
        raise absent(point, error) or CannotRun(f"{spec}: cannot be loaded: {described(error)}") from error
    if unavailable:
        raise Absent(f"{spec}: no device: {unavailable}")
    return Subject(spec, start)


def absent(point: EntryPoint | None, error: BaseException) -> Absent | None:
    """The error's meaning, where all that is wrong is that an entry point's framework is not installed."""
    reason = missing_framework(point, error) if point else None
    return Absent(f"{point.name}: not installed: {reason}") if point and reason else None


def described(error: BaseException) -> str:
    """An error in words."""
    return f"{type(error).__name__}: {error}"


def function(spec: str) -> Any:
    """What `module:callable` names, if it can be called."""
    module, _, name = spec.partition(":")
    start = getattr(importlib.import_module(module), name)
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
        if isinstance(error, ModuleNotFoundError) and error.name == module.partition("@")[0].partition(".")[0]:
            raise CannotRun(f"{module}: not installed: no module {error.name}") from error
        raise CannotRun(f"{module}: not an Array API namespace: {described(error)}") from error
