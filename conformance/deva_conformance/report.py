"""Results and reports: what held, what did not and how to see it again."""

import dataclasses
import json
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from deva_conformance.cases import Case
from deva_conformance.tolerance import THRESHOLD

STATUSES = ("pass", "fail", "error", "not_supported")
PACKAGES = ("deva-optim", "numpy", "hypothesis", "torch", "jax", "array-api-compat")


@dataclass(frozen=True, kw_only=True)
class Result:
    """One law for one rule of one backend.

    `status`: "pass", "fail" (the law is broken), "error" (something was raised) or "not_supported". `ratio`: the worst
    Monte-Carlo-arithmetic ratio among the cases that held. `case`: the one that did not.
    """

    law: str
    backend: str
    rule: str
    status: str
    checks: int
    ratio: float
    cause: str
    case: Case | None
    seconds: float

    @property
    def broken(self) -> bool:
        """Whether the law does not hold."""
        return self.status in ("fail", "error")

    @property
    def line(self) -> str:
        """`BROKEN <law> <backend> <rule> …`."""
        return f"BROKEN {self.law} {self.backend} {self.rule} {self.cause} [{describe(self.case)}]"

    @property
    def reproducer(self) -> str:
        """A program that shows it again."""
        if self.case is None:
            return ""
        load = (
            "load" if ":" in self.backend or (self.backend.isidentifier() and not self.namespace) else "from_namespace"
        )
        return (
            "from deva_conformance import Case, Problem, Ramp, from_namespace, law, load\n"
            f"from deva_core import {self.rule}\n\n"
            f"law({self.law!r}).check(\n    {load}({self.backend!r}),\n    {self.case!r},\n)\n"
        )

    @property
    def namespace(self) -> bool:
        """Whether the backend is a namespace driven through `deva_core.Optimizer`."""
        from deva_conformance.driver import installed

        return ":" not in self.backend and self.backend not in installed()

    def as_dict(self) -> dict[str, Any]:
        """What the JSON report holds, timing apart."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("case", "seconds")}
        return {
            **plain,
            "ratio": float(f"{self.ratio:.3g}"),
            "case": repr(self.case) if self.case else None,
            "reproducer": self.reproducer,
        }


def describe(case: Case | None) -> str:
    """A case in a few words."""
    if case is None:
        return "no case"
    return "; ".join(
        f"{p.family} {'x'.join(map(str, p.shape)) or 'scalar'} {p.dtype} scale {p.scale:g}" for p in case.problems
    )


@dataclass(frozen=True)
class Report:
    """All results of a run."""

    results: tuple[Result, ...]
    profile: str = "quick"
    seed: int = 0
    interrupted: bool = False

    @property
    def broken(self) -> tuple[Result, ...]:
        """The results that are not conforming."""
        return tuple(r for r in self.results if r.broken)

    @property
    def executed(self) -> int:
        """How many cases were looked at, broken ones included."""
        return sum(r.checks + r.broken for r in self.results)

    @property
    def conforms(self) -> bool:
        """Whether something was checked and nothing broken."""
        return bool(self.executed) and not self.broken and not self.interrupted

    @property
    def exit_status(self) -> int:
        """0: conforms; 1: it does not, or the run was interrupted; 2: nothing could be checked."""
        return 1 if self.broken or self.interrupted else 0 if self.executed else 2

    def counts(self) -> dict[str, int]:
        """How many results of each status."""
        return {status: sum(r.status == status for r in self.results) for status in STATUSES}

    def __add__(self, other: "Report") -> "Report":
        """Both reports' results."""
        return Report(self.results + other.results, self.profile, self.seed)

    def as_dict(self) -> dict[str, Any]:
        """The JSON report: the same for the same versions, profile and seed, but for "timing"."""
        return {
            "conforms": self.conforms,
            "interrupted": self.interrupted,
            "profile": self.profile,
            "seed": self.seed,
            "threshold": THRESHOLD,
            "counts": self.counts(),
            "executed": self.executed,
            "versions": {"python": platform.python_version(), **versions()},
            "results": [r.as_dict() for r in self.results],
            "timing": {f"{r.backend}/{r.rule}/{r.law}": round(r.seconds, 3) for r in self.results},
        }

    def write(self, directory: Path) -> None:
        """Write `report.json` and `report.html`."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "report.json").write_text(json.dumps(self.as_dict(), indent=1) + "\n", encoding="utf-8")
        from deva_conformance.page import page  # it renders what is defined here

        (directory / "report.html").write_text(page(self), encoding="utf-8")


def versions() -> dict[str, str]:
    """The versions of what takes part, where installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
