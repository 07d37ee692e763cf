"""The kit as a pytest plugin: one test per check, without a test file.

    pytest -p deva_conformance.pytest_plugin --deva-backend numpy --deva-backend my_package:start

Only `-p` loads it. It is not an entry point, so that a project which merely has the kit installed does not collect it.
Without paths on the command line pytest collects the checks only. A check that is not supported is skipped, and an expected
failure is a strict xfail.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from deva_conformance.check import Check, checks, chosen
from deva_conformance.driver import NAMESPACE, CannotRun, load
from deva_conformance.plan import PROFILES

CHECKED = "deva_checked"
"""The property of a test's report that marks a check which examined cases; it survives the processes of xdist."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command's options, each prefixed by `--deva-`."""
    group = parser.getgroup("deva", "conformance of optimizer backends")
    group.addoption("--deva-backend", action="append", default=[], help="entry-point name, or module:callable")
    group.addoption(
        "--deva-namespace", action="append", default=[], help="an Array API namespace: module, or module@device"
    )
    group.addoption("--deva-rules", help="comma-separated rules; all by default")
    group.addoption("--deva-profile", choices=sorted(PROFILES), default="quick", help="how many cases to check")
    group.addoption("--deva-seed", type=int, default=0, help="the seed of the random cases")


def pytest_configure(config: pytest.Config) -> None:
    """Collect the checks only, unless paths are given."""
    if not names(config):
        raise pytest.UsageError(
            "deva_conformance: nothing to check: give --deva-backend NAME or --deva-namespace MODULE"
        )
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = []
    config.pluginmanager.register(Tally(), "deva-tally")


def names(config: pytest.Config) -> list[str]:
    """The names of the backends to check."""
    given: Any = config.option
    return list(dict.fromkeys((*given.deva_backend, *(module + NAMESPACE for module in given.deva_namespace))))


@pytest.hookimpl(tryfirst=True)  # before -k and -m select
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list) -> None:
    """Add the checks."""
    made = [item for name in names(config) for item in session.genitems(collector(session, name))]
    if not made:
        raise pytest.UsageError("deva_conformance: no check was collected")
    items.extend(made)


def collector(session: pytest.Session, name: str) -> "Backend":
    """The collector of a backend's checks; a backend that cannot be loaded is a usage error."""
    try:
        load(name)
        chosen(session.config.getoption("--deva-rules"))
    except CannotRun as reason:
        raise pytest.UsageError(f"deva_conformance: {reason}") from None
    return Backend.from_parent(session, name=name, nodeid=name)


class Backend(pytest.Collector):
    """A backend's checks."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item for each law and rule."""
        given: Any = self.config.option
        rules = chosen(given.deva_rules)
        for check in checks(load(self.name), rules, profile=given.deva_profile, seed=given.deva_seed):
            _, rule, law = check.words
            yield Item.from_parent(self, name=f"{rule}::{law}", check=check)


class Item(pytest.Item):
    """A check as a test."""

    def __init__(self, *, check: Check, **known: Any) -> None:
        super().__init__(**known)
        self.check = check
        if check.reason:
            self.add_marker(pytest.mark.xfail(reason=check.reason, strict=True))

    def runtest(self) -> None:
        """Run the check. A skip examined no case."""
        self.user_properties.append((CHECKED, True))
        try:
            self.check()
        except pytest.skip.Exception:
            self.user_properties.remove((CHECKED, True))
            raise

    def reportinfo(self) -> tuple[Any, None, str]:
        """The heading of a failure."""
        return self.path, None, " ".join(self.check.words)


class Tally:
    """Makes a run fail if no check examined any case."""

    def __init__(self) -> None:
        self.checked = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the checks that examined cases."""
        self.checked += report.when == "call" and (CHECKED, True) in map(tuple, report.user_properties)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Set the exit status if nothing was checked. Each process of xdist sees only a part, so their parent decides."""
        if not hasattr(session.config, "workerinput") and exitstatus == pytest.ExitCode.OK and not self.checked:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        """Report that nothing was checked."""
        if not self.checked:
            terminalreporter.write_line("deva_conformance: no check looked at any case: nothing is proven")
