"""Results and reports: what held, what did not and how to see it again."""

import dataclasses
import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from deva_conformance.cases import Case
from deva_conformance.identity import Identity, encode
from deva_conformance.precision import HONEST, PROMOTED, Observed, total
from deva_conformance.tolerance import DOUBLE, SINGLE, THRESHOLD
from deva_core import SPECIFICATION

STATUSES = ("pass", "fail", "error", "not_supported", "expected", "not_run")
PACKAGES = ("deva-optim", "numpy", "hypothesis", "torch", "jax", "array-api-compat")


@dataclass(frozen=True, kw_only=True)
class Result:
    """One law for one rule of one backend.

    `status`: "pass", "fail" (the law is broken), "error" (something was raised, or hung), "not_supported" (declared),
    "expected" (a declared failure, with its reason) or "not_run". `ratio`: the worst Monte-Carlo-arithmetic ratio among
    the cases that held. `case`: the one that did not.
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
    hung: bool = False
    dtypes: Mapping[str, tuple[int, float]] = dataclasses.field(default_factory=dict)
    """For each dtype how many cases held, and their worst ratio."""
    observed: Mapping[str, Observed] = dataclasses.field(default_factory=dict)
    """For each dtype the comparisons with the oracle, which tell what precision was computed in."""

    @property
    def broken(self) -> bool:
        """Whether the law does not hold."""
        return self.status in ("fail", "error")

    @property
    def line(self) -> str:
        """`BROKEN <law> <backend> <rule> …`."""
        return f"BROKEN {self.law} {self.backend} {self.rule} {self.cause} [{describe(self.case)}]"

    @property
    def identity(self) -> str:
        """What `--reproduce` takes; empty where no case was begun."""
        return encode(Identity(self.law, self.backend, self.case)) if self.case else ""

    @property
    def reproducer(self) -> str:
        """A program that shows it again."""
        if self.case is None:
            return ""
        return (
            f"# {self.law}: {self.cause}\n# python -m deva_conformance --reproduce {self.identity}\n"
            "from deva_conformance import Case, Problem, Ramp, law, load\n"
            f"from deva_core import {self.rule}\n\n"
            f"law({self.law!r}).check(\n    load({self.backend!r}),\n    {self.case!r},\n)\n"
        )

    def as_dict(self) -> dict[str, Any]:
        """What the JSON report holds, timing apart."""
        plain = {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if f.name not in ("case", "seconds", "hung", "dtypes", "observed")
        }
        return {
            **plain,
            "ratio": float(f"{self.ratio:.3g}"),
            "dtypes": {d: {"checks": n, **roundoff(d, ratio)} for d, (n, ratio) in sorted(self.dtypes.items())},
            "case": repr(self.case) if self.case else None,
            "reproduce": self.identity,
            "reproducer": self.reproducer,
        }


@dataclass(frozen=True)
class Precision:
    """In what precision a backend seems to compute where a dtype is asked for: an observation, never a failure."""

    backend: str
    dtype: str
    observed: Observed

    @property
    def unit_roundoff(self) -> float:
        """The effective one."""
        return self.observed.unit_roundoff(unit_roundoff_of(self.dtype))

    @property
    def promoted(self) -> bool:
        """Whether float32 seems to be computed in something wider, in silence."""
        return self.dtype != "float64" and self.observed.enough and self.unit_roundoff < PROMOTED

    @property
    def words(self) -> str:
        """The note."""
        due = f"2^{math.log2(unit_roundoff_of(self.dtype)):.0f}"
        note = (
            f"{self.backend} {self.dtype}: effective unit roundoff 2^{math.log2(self.unit_roundoff):.1f} (due: {due})"
        )
        return note + ("; wider arithmetic than was asked for, as of float64" if self.promoted else "")

    def as_dict(self) -> dict[str, Any]:
        """What the JSON report holds."""
        effective, count = float(f"{self.unit_roundoff:.3g}"), self.observed.count
        return {
            "backend": self.backend,
            "dtype": self.dtype,
            "effective_unit_roundoff": effective,
            "comparisons": count,
            "promoted": self.promoted,
        }


def roundoff(dtype: str, ratio: float) -> dict[str, float]:
    """A ratio, and the unit roundoff of an honest arithmetic that would show it: names what computes in less."""
    return {
        "ratio": float(f"{ratio:.3g}"),
        "effective_unit_roundoff": float(f"{unit_roundoff_of(dtype) * ratio / HONEST:.3g}"),
    }


def unit_roundoff_of(dtype: str) -> float:
    """The unit roundoff with which a backend computes parameters of this dtype."""
    return DOUBLE if dtype == "float64" else SINGLE


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

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """A note for each backend and dtype about which enough is known."""
        keys = dict.fromkeys((r.backend, dtype) for r in self.results for dtype in sorted(r.observed))
        found = (Precision(*key, total(self.observed(*key))) for key in sorted(keys))
        return tuple(found)

    def observed(self, backend: str, dtype: str) -> list[Observed]:
        """What tells the precision of one backend in one dtype."""
        return [r.observed[dtype] for r in self.results if r.backend == backend and dtype in r.observed]

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
            "specification": SPECIFICATION,
            "threshold": THRESHOLD,
            "counts": self.counts(),
            "executed": self.executed,
            "versions": {"python": platform.python_version(), **versions()},
            "precision": [p.as_dict() for p in self.precisions],
            "results": [r.as_dict() for r in self.results],
            "timing": {f"{r.backend}/{r.rule}/{r.law}": round(r.seconds, 3) for r in self.results},
        }

    def write(self, directory: Path) -> None:
        """Write `report.json`, `report.xml` (JUnit), `report.html`, `badge.svg`, and a program for each broken law."""
        from deva_conformance.badge import badge
        from deva_conformance.junit import junit  # these render what is defined here
        from deva_conformance.page import page

        directory.mkdir(parents=True, exist_ok=True)
        pages = {"json": json.dumps(self.as_dict(), indent=1) + "\n", "xml": junit(self), "html": page(self)}
        for kind, text in pages.items():
            (directory / f"report.{kind}").write_text(text, encoding="utf-8")
        (directory / "badge.svg").write_text(badge(self), encoding="utf-8")
        for result in self.broken:
            if result.case:
                (directory / program_name(result)).write_text(result.reproducer, encoding="utf-8")


def program_name(result: Result) -> str:
    """The file that shows a broken law again."""
    words = "-".join((result.law, result.backend, result.rule))
    return "reproduce-" + "".join(c if c.isalnum() or c in "-_" else "_" for c in words) + ".py"


def versions() -> dict[str, str]:
    """The versions of what takes part, where installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
