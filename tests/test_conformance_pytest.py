"""The kit's face for pytest: `-p deva_conformance.pytest_plugin` collects a test for each check, without a test file."""

import importlib.metadata
import os
from pathlib import Path

import pytest

pytest_plugins = "pytester"

ROOT = str(Path(__file__).parent.parent)
PLUGIN = ("-p", "deva_conformance.pytest_plugin", "-p", "no:cacheprovider")
QUICKLY = ("--deva-rules", "AdamW", "--deva-profile", "smoke")
LOSSY = "tests.faulty_backends:decay_lost"


@pytest.fixture
def checked(pytester, monkeypatch):
    """A run of pytest in an empty folder with the plugin and these options."""
    monkeypatch.setenv("PYTHONPATH", ROOT, prepend=os.pathsep)
    return lambda *options: pytester.runpytest_subprocess(*PLUGIN, *options)


def test_each_law_of_each_backend_and_rule_is_a_test(checked):
    """By name, without a file; what is not supported is skipped."""
    from deva_conformance import LAWS
    from deva_core import AdamW, DeVAVector

    result = checked("--deva-backend", "numpy", "--deva-namespace", "numpy", "--deva-rules", "AdamW,DeVAVector", "-v",
                     "--deva-profile", "smoke")  # fmt: skip
    assert result.ret == 0
    counts = result.parseoutcomes()
    each = sum(law.domain.applies(rule) for law in LAWS for rule in (AdamW, DeVAVector))
    assert counts["passed"] + counts["skipped"] == 2 * each
    result.stdout.fnmatch_lines(["numpy::AdamW::oracle PASSED*", "numpy(namespace)::DeVAVector::purity PASSED*"])
    result.stdout.fnmatch_lines(["*SKIPPED (the backend declares no compiled step)*"])


def test_a_broken_law_fails_with_its_line_its_program_and_its_id(checked):
    """What the command says, too."""
    result = checked("--deva-backend", LOSSY, *QUICKLY, "-k", "exact-decay or purity")
    assert result.ret == 1
    assert result.parseoutcomes()["failed"] == 1
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(
        [f"BROKEN exact-decay {LOSSY} AdamW *", "*--reproduce exact-decay:*", "law('exact-decay').check(*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_declared_failures_are_strict_xfails(checked, pytester):
    """A stale one fails."""
    pytester.makepyfile(
        known="from tests.faulty_backends import Expecting\n"
        "right = Expecting(exact_decay='not written')\n"
        "stale = Expecting(purity='was broken once')"
    )
    pytester.syspathinsert()
    assert checked("--deva-backend", "known:right", *QUICKLY, "-k", "exact-decay").parseoutcomes() == {
        "xfailed": 1, "deselected": sum(1 for _ in checks_of_adamw()) - 1
    }  # fmt: skip
    result = checked("--deva-backend", "known:stale", *QUICKLY, "-k", "purity")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*XPASS(strict)*"])


def checks_of_adamw():
    from deva_conformance import LAWS
    from deva_core import AdamW

    return (law for law in LAWS if law.domain.applies(AdamW))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "*nothing to check: give --deva-backend NAME*"),
        (("--deva-backend", "no-such-backend"), "*no-such-backend: no such backend*"),
        (("--deva-backend", "numpy", "--deva-rules", "SGD"), "*no such rule: SGD*"),
        (("--deva-backend", "numpy", *QUICKLY, "-k", "no-such-law"), "*no check looked at any case*"),
        (("--deva-backend", "numpy", *QUICKLY, "-k", "compiled"), "*no check looked at any case*"),
    ],
)
def test_where_nothing_is_checked_pytest_does_not_pass(checked, options, words):
    """It says so, and its exit status is not zero."""
    result = checked(*options)
    assert result.ret != 0
    assert any(line for line in (*result.outlines, *result.errlines) if words.strip("*") in line)


def test_a_projects_own_tests_are_collected_only_where_named(checked, pytester):
    """Without paths the checks are all there is; with one, both."""
    own = pytester.makepyfile("def test_own(): pass")
    options = ("--deva-backend", "numpy", *QUICKLY, "-k", "own or purity")
    assert checked(*options).parseoutcomes()["passed"] == 1
    assert checked(*options, own).parseoutcomes()["passed"] == 2


def test_xdist_shares_the_checks(checked):
    """Two processes, the same verdict."""
    result = checked("--deva-backend", "numpy", *QUICKLY, "-n", "2")
    assert result.ret == 0
    assert result.parseoutcomes()["passed"] > 10


def test_the_plugin_is_no_entry_point():
    """Who has the kit installed does not have it in their test runs."""
    assert not [e for e in importlib.metadata.entry_points(group="pytest11") if e.value.startswith("deva")]
