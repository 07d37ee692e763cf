"""Which law kills which fault, and which a naive comparison of one step would kill."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from deva_conformance.cases import Problem
from deva_conformance.driver import Subject, from_namespace
from deva_conformance.faults.hooks import Fault
from deva_conformance.laws import LAWS, Law
from deva_conformance.plan import PROFILES
from deva_conformance.report import Result
from deva_conformance.runner import run_law
from deva_conformance.tolerance import Memory, remembering

NAIVE_TOLERANCE = 1e-5
SPREADS: Memory = {}
"""Of this process: all faults go around the same backend, so that most of their cases are the same to the bit."""


class Row(NamedTuple):
    """A fault and what killed it."""

    name: str
    fault: Fault
    killers: tuple[str, ...]
    naive: bool

    @property
    def museum(self) -> bool:
        """Whether it is a real bug of someone's."""
        from deva_conformance.faults import MUSEUM

        return self.name in MUSEUM


def killers(name: str, fault: Fault, laws: Iterable[str] | None = None, profile: str = "quick") -> tuple[str, ...]:
    """The laws that reject a fault, on the rule that shows it."""
    subject, asked = Subject(name, fault), [law for law in LAWS if laws is None or law.id in laws]
    return tuple(law.id for law in asked if law.domain.applies(fault.on) and tried(law, fault, subject, profile).broken)


def tried(law: Law, fault: Fault, subject: Subject, profile: str = "quick", costly: bool = False) -> Result:
    """One law on a fault."""
    with remembering(SPREADS):
        return run_law(law, fault.on, subject, PROFILES[profile], costly=costly)


def naive(fault: Fault) -> bool:
    """Whether `allclose` on one step of the default rule for one Gaussian 8×8 matrix (as peers test) rejects a fault."""
    p = Problem("gaussian", (8, 8))
    given, ends = {"W": p.weights()}, []
    for start in (fault, from_namespace("numpy").start):
        try:
            run = start(fault.on(), {n: W.copy() for n, W in given.items()})
            run.step({"W": p.gradient(0)})
            ends.append(np.asarray(run.params["W"]))
        except Exception:  # whatever a fault raises
            return True
    return not np.allclose(*ends, rtol=NAIVE_TOLERANCE, atol=NAIVE_TOLERANCE)


def found(name: str) -> tuple[str, tuple[str, ...], bool]:
    """What kills a fault or legal variant, by name: faults themselves do not travel between processes."""
    fault = of_name(name)
    return name, killers(name, fault), naive(fault)


def of_name(name: str) -> Fault:
    """The fault, or legal variant."""
    from deva_conformance.faults import FAULTS, LEGAL  # the package imports this module's siblings

    return FAULTS[name] if name in FAULTS else LEGAL[name]


def table(names: Sequence[str], processes: int, seen: Callable[[Row], None] = lambda row: None) -> list[Row]:
    """All of them against all laws, in this order."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        rows = []
        for name, laws, rejected in pool.map(found, names):
            rows.append(Row(name, of_name(name), laws, rejected))
            seen(rows[-1])
    return rows


def alone(rows: Iterable[Row]) -> dict[str, list[str]]:
    """For each law the faults that no other law kills."""
    found: dict[str, list[str]] = {law.id: [] for law in LAWS}
    for row in rows:
        if len(row.killers) == 1:
            found[row.killers[0]].append(row.name)
    return found
