"""What is missing where a backend cannot be imported: its framework, which pip can bring, or something that ought to be there."""

import re
from importlib.metadata import EntryPoint


def missing_framework(point: EntryPoint, error: BaseException) -> str | None:
    """What to install, where an entry point's import failed because its framework is not there; None for other failures.

    A framework is what the entry point is called, or what its distribution requires. A module of any other name, and a module
    inside a package that is there, is a fault of the backend.
    """
    if not isinstance(error, ModuleNotFoundError) or not error.name or "." in error.name:
        return None
    requirement = required(point, error.name)
    if requirement is None and canonical(error.name) != canonical(point.name):
        return None
    return f"no module {error.name} ({command(point, requirement or error.name)})"


def required(point: EntryPoint, module: str) -> str | None:
    """The requirement that brings a module: of its name, as numpy, or of one that goes on after it, as cupy-cuda12x."""
    names = [re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in requirements(point)]
    wanted = canonical(module)
    return next((name for name in names if canonical(name) == wanted or canonical(name).startswith(wanted + "-")), None)


def requirements(point: EntryPoint) -> list[str]:
    """What the entry point's distribution requires, extras included."""
    return list(point.dist.requires or []) if point.dist else []


def command(point: EntryPoint, requirement: str) -> str:
    """How pip installs it: by the distribution's extra of the entry point's name, if it has one."""
    extras = (point.dist.metadata.get_all("Provides-Extra") or []) if point.dist else []
    if point.dist and point.name in extras:
        return f"pip install '{point.dist.name}[{point.name}]'"
    return f"pip install {requirement}"


def canonical(name: str) -> str:
    """A name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
