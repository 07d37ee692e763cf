"""What a law is: an id, a domain to draw cases from, and a check of one case."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deva_conformance.cases import NONZERO, Case, Shape
from deva_conformance.driver import Subject
from deva_core import Rule

DTYPES = ("float32", "float64", "bfloat16", "float16")
WIDE_DTYPES = ("float32", "float64")
ROOMY = ("float32", "float64", "bfloat16")
"""With room for powers of two from 2^-90 to 2^80."""
HALF_RANGE = (2.0**-8, 2.0**8)
"""Scales of gradients that float16 has room for."""

MATRIX_PANELS: tuple[tuple[Shape, ...], ...] = (
    ((4, 4), (3, 5)),
    ((2, 3, 4), (5, 3)),
    ((1, 6), (4, 4)),
    ((6, 1), (5, 3)),
)
"""Shapes that share a run; few, because some backends compile for each."""

VECTOR_PANELS: tuple[tuple[Shape, ...], ...] = (((5,), (3, 4)), ((), (2, 3, 4)))

PLAIN, WIDE = (1.0,), (1.0, 2.0**-30, 2.0**30, 1e-12, 1e12)


class Broken(AssertionError):
    """A law that does not hold for a case; the message is the cause, in a line."""


class NotSupported(Exception):
    """A case that the backend declares it cannot do."""


def anything(rule: type[Rule]) -> bool:
    """Every rule."""
    return True


def nothing(rule: type[Rule]) -> Mapping[str, Sequence]:
    """No restriction."""
    return {}


def no_more(rule: type[Rule]) -> Sequence[Case]:
    """No case beyond the covering rows."""
    return ()


def wide_scales(rule: type[Rule]) -> Sequence[float]:
    """Scales of gradients. Their squares, which AdamW stores as they are, fit float32."""
    return WIDE


@dataclass(frozen=True)
class Domain:
    """Which cases a law speaks of."""

    applies: Callable[[type[Rule]], bool] = anything
    restricted: Callable[[type[Rule]], Mapping[str, Sequence]] = nothing
    matrix_panels: tuple[tuple[Shape, ...], ...] = MATRIX_PANELS
    vector_panels: tuple[tuple[Shape, ...], ...] = VECTOR_PANELS
    families: tuple[str, ...] = NONZERO
    scales: Callable[[type[Rule]], Sequence[float]] = wide_scales
    dtypes: tuple[str, ...] = DTYPES
    steps: int = 3
    always: Callable[[type[Rule]], Sequence[Case]] = no_more
    """Cases that are looked at beyond the covering rows, the most telling first."""

    def scales_in(self, rule: type[Rule], dtype: str) -> Sequence[float]:
        """The scales that a dtype has room for."""
        low, high = HALF_RANGE if dtype == "float16" else (0.0, float("inf"))
        return [scale for scale in self.scales(rule) if low <= scale <= high]

    def panels(self, rule: type[Rule]) -> tuple[tuple[Shape, ...], ...]:
        """The panels for this kind of rule."""
        return self.matrix_panels if rule.matrix else self.vector_panels


SHARED = Domain(
    matrix_panels=(((3, 5),), ((4, 4),), ((2, 3, 4),), ((6, 1),)),
    vector_panels=(((5,), ()), ((3, 4),)),
    steps=4,
)
"""The domain of laws that compare with one run."""


@dataclass(frozen=True)
class Law:
    """A law. `check(subject, case)` returns the worst ratio it saw (0 where equality is exact) or raises `Broken`.

    `thorough`: every covering row of hyperparameters is looked at, whatever the profile. `shared`: its cases are those of
    the other shared laws, so that they can compare with one and the same run.
    """

    id: str
    check: Callable[[Subject, Case], float]
    domain: Domain = field(default_factory=Domain)
    thorough: bool = False
    shared: bool = False
    statement: str = ""

    @property
    def key(self) -> str:
        """What its cases are drawn by."""
        return "shared" if self.shared else self.id


def module_law(id: str, check: Callable[[Subject, Case], float], statement: str | None, **options: Any) -> Law:
    """A law whose statement is its module's docstring."""
    return Law(id=id, check=check, statement=(statement or "").strip(), **options)
