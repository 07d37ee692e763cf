"""Running laws: hypothesis drives the cases, every outcome becomes a result."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from zlib import crc32

import numpy as np
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis.errors import Flaky

from deva_conformance.cases import Case
from deva_conformance.diagnosis import hint
from deva_conformance.driver import Subject
from deva_conformance.laws import Broken, Law, NotSupported
from deva_conformance.limit import TimedOut, time_limit
from deva_conformance.plan import Plan, Profile, plan
from deva_conformance.precision import Observed, listening
from deva_conformance.report import Result
from deva_core import Muon, Rule

Progress = Callable[[Result], None]

COSTLY_SECONDS = 0.08
"""NumPy and torch take about a millisecond, array libraries in Python ten, JAX several hundred."""


PROBE_LIMIT = 20.0
"""Seconds to find out whether a backend compiles."""


class Watched:
    """A law's check that remembers what it has seen: how many cases, the worst ratio (by dtype too), the last case."""

    def __init__(self, law: Law, subject: Subject) -> None:
        self.law, self.subject = law, subject
        self.checks, self.ratio, self.unsupported = 0, 0.0, ""
        self.case: Case | None = None
        self.dtypes: dict[str, tuple[int, float]] = {}
        self.observed: dict[str, Observed] = {}

    def __call__(self, case: Case) -> None:
        """Check one case."""
        self.case = case
        try:
            with listening(self.observed):
                ratio = self.law.check(self.subject, case)
        except NotSupported as reason:
            self.unsupported = str(reason)
            return
        self.checks += 1
        self.ratio = max(self.ratio, ratio)
        dtype = case.problems[0].dtype
        checks, worst = self.dtypes.get(dtype, (0, 0.0))
        self.dtypes[dtype] = checks + 1, max(worst, ratio)


def drive(watched: Watched, made: Plan, profile: Profile, seed: int) -> None:
    """Let hypothesis run the explicit and the drawn cases; raises what the first broken one raises."""
    phases = [Phase.explicit] + [Phase.generate] * bool(made.random) + [Phase.shrink] * profile.shrink

    def law_holds(case: Case) -> None:
        watched(case)

    test = given(made.drawn)(law_holds)
    for case in reversed(made.explicit):
        test = example(case)(test)
    test = hypothesis_seed(crc32(f"{watched.law.id} {seed}".encode()))(test)
    options = settings(
        max_examples=max(1, made.random),
        derandomize=True,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
        report_multiple_bugs=False,
    )
    options(test)()


def verdict(watched: Watched, run: Callable[[], None]) -> tuple[str, str, bool]:
    """The status, its cause, and whether the check hung."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run()
    except NotSupported as reason:
        return "not_supported", str(reason), False
    except Broken as broken:
        return "fail", f"{broken}{hint(watched.subject, watched.case, str(broken))}", False
    except Flaky:
        return "fail", "a case broke the law once and kept it when repeated: not deterministic", False
    except TimedOut as late:
        return "error", f"error: {late}", True
    except (Exception, SystemExit) as error:  # whatever a backend raises is its result
        return "error", in_a_line(error), False
    return ("pass", "", False) if watched.checks else ("not_supported", watched.unsupported, False)


def run_law(
    law: Law,
    rule: type[Rule],
    subject: Subject,
    profile: Profile,
    seed: int = 0,
    costly: bool = False,
    seconds: float = 0,
) -> Result:
    """One law for one rule of one backend, within so many seconds (0: no limit)."""
    begun, watched = time.perf_counter(), Watched(law, subject)

    def run() -> None:
        with time_limit(seconds):
            drive(watched, plan(law, rule, subject, profile, seed, costly), profile, seed)

    status, cause, hung = verdict(watched, run)
    return Result(
        law=law.id,
        backend=subject.name,
        rule=rule.__name__,
        status=status,
        checks=watched.checks,
        ratio=watched.ratio,
        cause=cause,
        case=watched.case if status in ("fail", "error") else None,
        seconds=time.perf_counter() - begun,
        hung=hung,
        dtypes=watched.dtypes,
        observed=watched.observed,
    )


def unfinished(law: str, backend: str, rule: type[Rule], status: str, cause: str, hung: bool = False) -> Result:
    """The result of a check that was not done, or not to its end."""
    return Result(
        law=law,
        backend=backend,
        rule=rule.__name__,
        status=status,
        checks=0,
        ratio=0.0,
        cause=cause,
        case=None,
        seconds=0.0,
        hung=hung,
    )


@dataclass
class Probed:
    """A backend, and whether it is costly: found out when first asked."""

    subject: Subject
    limit: float = PROBE_LIMIT

    @cached_property
    def costly(self) -> bool:
        """Whether few cases must do."""
        return is_costly(self.subject, self.limit)


def is_costly(subject: Subject, limit: float = PROBE_LIMIT) -> bool:
    """Whether beginning a run costs far more than its arithmetic: the backend compiles for each rule and shape.

    Decades lie between those that do and those that do not, so that one threshold tells them apart on any machine.
    """
    seconds = []
    for columns in (2, 3):
        params = {"probe": np.ones((2, columns), np.float32)}
        begun = time.perf_counter()
        try:
            with time_limit(limit):
                subject.start(Muon(), params).step(params)
        except (Exception, SystemExit, TimedOut):  # the laws will say so
            return False
        seconds.append(time.perf_counter() - begun)
    return min(seconds) > COSTLY_SECONDS


def in_a_line(error: BaseException) -> str:
    """An exception without its traceback."""
    return f"error: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
