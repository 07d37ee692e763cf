"""The kit as a function, and as a decorator for pytest: one generator of checks behind both, and behind the command."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from deva_conformance.driver import CannotRun, Subject, load
from deva_conformance.laws import LAWS, Law
from deva_conformance.plan import PROFILES
from deva_conformance.report import Report, Result
from deva_conformance.runner import Probed, run_law
from deva_core import RULES, Rule

Expected = Mapping[str, str]
"""Laws that a backend is known to break, each with the reason: by law, or `law/Rule`."""


def expected_failures(subject: Subject, given: Expected | None = None) -> dict[str, str]:
    """Those given, and those that the backend itself declares as `start.expected_failures`.

    Raises:
        ValueError: a key that names no law and rule, or a failure without a reason.
    """
    expected = {**getattr(subject.start, "expected_failures", {}), **(given or {})}
    known = {law.id for law in LAWS}
    for key, reason in expected.items():
        law, _, rule = key.partition("/")
        if law not in known or (rule and rule not in {r.__name__ for r in RULES}):
            raise ValueError(f"expected failure {key!r}: no such law or rule")
        if not reason:
            raise ValueError(f"expected failure {key!r} has no reason")
    return expected


def judged(results: Sequence[Result], expected: Expected) -> list[Result]:
    """The results with expected failures marked as such, and as broken those that did not fail: stale."""
    return [judged_one(result, results, expected) for result in results]


def judged_one(result: Result, results: Sequence[Result], expected: Expected) -> Result:
    """One result. An expectation for a whole law is stale where no rule breaks it."""
    own = f"{result.law}/{result.rule}"
    key = next((k for k in (own, result.law) if k in expected), None)
    if key is None or result.status not in ("pass", "fail", "error"):
        return result
    if result.broken:
        return dataclasses.replace(result, status="expected", cause=f"{expected[key]} ({result.cause})")
    still = key != own and any(r.broken for r in results if r.law == result.law)
    cause = f"stale: expected to fail ({expected[key]}), but it holds; remove the expectation"
    return result if still else dataclasses.replace(result, status="fail", cause=cause)


@dataclasses.dataclass(frozen=True)
class Check:
    """One law for one rule of one backend; `reason`: why it is expected to fail, if it is."""

    probed: Probed
    rule: type[Rule]
    law: Law
    profile: str
    seed: int
    reason: str = ""

    @property
    def words(self) -> tuple[str, str, str]:
        """The backend, the rule and the law."""
        return self.probed.subject.name, self.rule.__name__, self.law.id

    def result(self, seconds: float = 0.0) -> Result:
        """Run it, within so many seconds (0: no limit)."""
        probed = self.probed
        return run_law(self.law, self.rule, probed.subject, PROFILES[self.profile], self.seed, probed.costly, seconds)

    def __call__(self) -> None:
        """Fail, skip or return, as pytest has it."""
        import pytest

        result = self.result()
        if result.status == "not_supported":
            pytest.skip(result.cause)
        if result.broken:
            pytest.fail(f"{result.line}\n\n{result.reproducer}", pytrace=False)


def checks(
    subject: Subject,
    rules: Iterable[type[Rule]] = RULES,
    laws: Sequence[Law] = LAWS,
    profile: str = "quick",
    seed: int = 0,
    expected: Expected | None = None,
) -> Iterator[Check]:
    """Every check of a backend: each law for each rule it speaks of."""
    known, probed = expected_failures(subject, expected), Probed(subject)
    for rule in rules:
        for law in laws:
            if law.domain.applies(rule):
                reason = known.get(f"{law.id}/{rule.__name__}", known.get(law.id, ""))
                yield Check(probed, rule, law, profile, seed, reason)


def chosen(rules: str | None) -> list[type[Rule]]:
    """The rules of a comma-separated list; all of them for none.

    Raises:
        CannotRun: one is not known.
    """
    known = {rule.__name__.lower(): rule for rule in RULES}
    names = [name.strip() for name in rules.split(",")] if rules else [rule.__name__ for rule in RULES]
    unknown = [name for name in names if name.lower() not in known]
    if unknown:
        raise CannotRun(f"no such rule: {', '.join(unknown)}; there are {', '.join(r.__name__ for r in RULES)}")
    return [known[name.lower()] for name in names]


def check_backend(
    subject: Subject | str,
    *,
    rules: Iterable[type[Rule]] = RULES,
    laws: Sequence[Law] = LAWS,
    profile: str = "quick",
    seed: int = 0,
    expected: Expected | None = None,
    time_limit: float = 0.0,
    progress: Callable[[Result], None] = lambda result: None,
) -> Report:
    """Every law for every rule it speaks of, in this process.

    Args:
        subject: a backend, or its name as on the command line.
        rules, laws: what to check.
        profile: `"quick"`, `"full"` or `"smoke"`.
        seed: of the drawn cases.
        expected: laws known to be broken, with reasons; strict: one that holds is stale, and broken.
        time_limit: seconds for each check; 0 is no limit.
        progress: is given each result as it comes.

    Example:
        >>> from deva_conformance import check_backend, law
        >>> from deva_core import Muon
        >>> report = check_backend("numpy", rules=[Muon], laws=[law("determinism")], profile="smoke")
        >>> report.conforms
        True
    """
    subject = load(subject) if isinstance(subject, str) else subject
    known = expected_failures(subject, expected)
    results = []
    for check in checks(subject, rules, laws, profile, seed, expected):
        results.append(check.result(time_limit))
        progress(results[-1])
    return Report(tuple(judged(results, known)), profile=profile, seed=seed)


def parametrize_with_checks(
    subjects: Sequence[Subject | str],
    *,
    rules: Iterable[type[Rule]] = RULES,
    laws: Sequence[Law] = LAWS,
    profile: str = "quick",
    seed: int = 0,
    expected: Expected | None = None,
) -> Any:
    """A pytest decorator: the test is given `check` and calls it, once for each law, rule and backend.

    Not supported is a skip, expected failures are strict xfails.

    Example:
        >>> from deva_conformance import law, parametrize_with_checks
        >>> from deva_core import Muon
        >>> @parametrize_with_checks(["numpy"], rules=[Muon], laws=[law("purity")])
        ... def test_conformance(check):
        ...     check()
    """
    import pytest

    made = []
    for each in subjects:
        subject = load(each) if isinstance(each, str) else each
        for check in checks(subject, list(rules), laws, profile, seed, expected):
            marks = [pytest.mark.xfail(reason=check.reason, strict=True)] if check.reason else []
            made.append(pytest.param(check, id="-".join(check.words), marks=marks))
    return pytest.mark.parametrize("check", made)
