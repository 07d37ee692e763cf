"""Running laws: hypothesis drives the cases, every outcome becomes a result."""

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from zlib import crc32

import numpy as np
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis.errors import Flaky

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws import LAWS, Broken, Law, NotSupported
from deva_conformance.plan import PROFILES, Plan, Profile, plan
from deva_conformance.report import Report, Result
from deva_core import RULES, Muon, Rule

Progress = Callable[[Result], None]

COSTLY_SECONDS = 0.08
"""NumPy and torch take about a millisecond, array libraries in Python ten, JAX several hundred."""


class Watched:
    """A law's check that remembers what it has seen: how many cases, the worst ratio, the last case."""

    def __init__(self, law: Law, subject: Subject) -> None:
        self.law, self.subject = law, subject
        self.checks, self.ratio, self.unsupported = 0, 0.0, ""
        self.case: Case | None = None

    def __call__(self, case: Case) -> None:
        """Check one case."""
        self.case = case
        try:
            ratio = self.law.check(self.subject, case)
        except NotSupported as reason:
            self.unsupported = str(reason)
            return
        self.checks += 1
        self.ratio = max(self.ratio, ratio)


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


def run_law(
    law: Law, rule: type[Rule], subject: Subject, profile: Profile, seed: int = 0, costly: bool = False
) -> Result:
    """One law for one rule of one backend."""
    begun, watched = time.perf_counter(), Watched(law, subject)
    status, cause, case = "pass", "", None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            drive(watched, plan(law, rule, subject, profile, seed, costly), profile, seed)
        if not watched.checks:
            status, cause = "not_supported", watched.unsupported
    except NotSupported as reason:
        status, cause = "not_supported", str(reason)
    except Broken as broken:
        status, cause, case = "fail", str(broken), watched.case
    except Flaky:
        status, cause, case = (
            "fail",
            "a case broke the law once and kept it when repeated: not deterministic",
            watched.case,
        )
    except Exception as error:  # whatever a backend raises is its result
        status, cause, case = "error", in_a_line(error), watched.case
    return Result(
        law=law.id,
        backend=subject.name,
        rule=rule.__name__,
        status=status,
        checks=watched.checks,
        ratio=watched.ratio,
        cause=cause,
        case=case,
        seconds=time.perf_counter() - begun,
    )


def is_costly(subject: Subject) -> bool:
    """Whether beginning a run costs far more than its arithmetic: the backend compiles for each rule and shape.

    Decades lie between those that do and those that do not, so that one threshold tells them apart on any machine.
    """
    seconds = []
    for columns in (2, 3):
        params = {"probe": np.ones((2, columns), np.float32)}
        begun = time.perf_counter()
        try:
            subject.start(Muon(), params).step(params)
        except Exception:  # the laws will say so
            return False
        seconds.append(time.perf_counter() - begun)
    return min(seconds) > COSTLY_SECONDS


def in_a_line(error: Exception) -> str:
    """An exception without its traceback."""
    return f"error: {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def check_backend(
    subject: Subject,
    *,
    rules: Iterable[type[Rule]] = RULES,
    laws: Sequence[Law] = LAWS,
    profile: str = "quick",
    seed: int = 0,
    progress: Progress = lambda result: None,
) -> Report:
    """Every law for every rule it speaks of.

    Example:
        >>> from deva_conformance import check_backend, law, load
        >>> from deva_core import Muon
        >>> report = check_backend(load("numpy"), rules=[Muon], laws=[law("determinism")], profile="smoke")
        >>> report.conforms
        True
    """
    results, costly = [], is_costly(subject)
    for rule in rules:
        for law in laws:
            if law.domain.applies(rule):
                results.append(run_law(law, rule, subject, PROFILES[profile], seed, costly))
                progress(results[-1])
    return Report(tuple(results), profile=profile, seed=seed)
