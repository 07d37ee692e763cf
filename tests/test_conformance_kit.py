"""The kit's manners: hangs, crashes and wrong types are reported; expected failures are strict; ids bring cases back."""

import subprocess
import sys
from contextlib import suppress
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from deva_conformance import LAWS, Subject, check_backend, from_namespace, law, parametrize_with_checks
from deva_conformance.__main__ import app
from deva_conformance.cases import Case, Problem
from deva_conformance.faults import FAULTS
from deva_conformance.identity import Identity, decode, encode
from deva_conformance.limit import TimedOut, time_limit
from deva_core import JORDAN, POLAR_EXPRESS, AdamW, DeVA, Muon
from tests.faulty_backends import Expecting

DECAY = [law("exact-decay"), law("determinism")]


def cli(*args: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(app, list(args))
    return result.exit_code, result.output.strip().splitlines()


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("sleeping", "error: no result within 1 s"),
        ("dying", "error: its process died with exit code 3"),
        ("nothing", "error: AttributeError: 'NoneType'"),
        ("leaving", "error: SystemExit: 0"),
    ],
)
def test_a_backend_that_does_not_answer_is_broken(backend, words):
    """Exit status 1, a line that says so, no traceback; the run comes to an end."""
    status, lines = cli(
        f"tests.faulty_backends:{backend}", "--rules", "AdamW", "--profile", "smoke", "--time-limit", "1"
    )
    assert status == 1
    assert lines[-1].startswith("BROKEN ")
    assert any(words in line for line in lines)
    assert not any("Traceback" in line for line in lines)


def test_a_time_limit_interrupts_what_catches_every_exception():
    """It is not an Exception."""
    with pytest.raises(TimedOut), time_limit(0.05):
        while True:
            with suppress(Exception):
                pass


def test_an_interrupt_keeps_what_was_found():
    """Exit status 1, and the verdict says that it is not whole."""
    code = (
        "import sys, deva_conformance.__main__ as m\n"
        "def stop(*a): raise KeyboardInterrupt\n"
        "m.check_all = stop\n"
        "sys.argv = ['x', 'numpy', '--rules', 'AdamW']\n"
        "m.app()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "INTERRUPTED" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "case",
    [
        Case(Muon(lr=0.5, ns_coefficients=POLAR_EXPRESS), (Problem("gaussian", (3, 5)),)),
        Case(
            DeVA(ns_coefficients=JORDAN, factored=True), (Problem("signs", (2, 3, 4), 2.0**-30, 7, "float64"),) * 2, 5
        ),
        Case(AdamW(), (Problem("zero", (), 1e-12, 3, "bfloat16"),)),
    ],
)
def test_an_id_is_the_case(case):
    """There and back."""
    identity = Identity("oracle", "numpy", True, case)
    assert decode(encode(identity)) == identity


def test_a_failure_is_reproduced_from_its_id_and_from_its_program(tmp_path):
    """`--reproduce` and the program in the report break the same law."""
    backend = "tests.faulty_backends:decay_lost"
    status, lines = cli(backend, "--rules", "AdamW", "--profile", "smoke", "--report", str(tmp_path), "--seed", "3")
    assert status == 1
    id = next(line.split()[1] for line in lines if line.startswith("--reproduce exact-decay"))
    status, again = cli("--reproduce", id)
    assert status == 1
    assert again[-1] in lines
    program = next(tmp_path.glob("reproduce-exact-decay-*.py"))
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, env={"PYTHONPATH": "."})
    assert done.returncode != 0
    assert "Broken: p0: decay differs" in done.stderr
    assert cli("--reproduce", "exact-decay:nonsense")[0] == 2
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()[0]
    assert int(suite.attrib["failures"]) >= 1
    assert program.name in (tmp_path / "report.html").read_text(encoding="utf-8")


def outcome(start, **options):
    return check_backend(Subject("known", start), rules=[Muon, AdamW], laws=DECAY, profile="smoke", **options)


def test_an_expected_failure_is_no_failure_but_no_pass():
    """Declared with the backend, or given; counted apart, with its reason."""
    for report in (
        outcome(Expecting(exact_decay="the decay kernel is not written")),
        outcome(FAULTS["decay-lost"], expected={"exact-decay": "the decay kernel is not written"}),
    ):
        assert report.conforms
        assert report.counts()["expected"] == 2
        assert "not written" in next(r.cause for r in report.results if r.status == "expected")


def test_a_stale_expectation_is_broken():
    """A law that is expected to fail, and holds."""
    report = outcome(Expecting(exact_decay="known", determinism__AdamW="flaky, once"))
    assert [r.law for r in report.broken] == ["determinism"]
    assert "stale" in report.broken[0].line


@pytest.mark.parametrize("expected", [{"no-such-law": "x"}, {"exact-decay/SGD": "x"}, {"exact-decay": ""}])
def test_an_expectation_must_make_sense(expected):
    """It names a law and a rule, and gives a reason."""
    with pytest.raises(ValueError, match="expected failure"):
        outcome(FAULTS["decay-lost"], expected=expected)


@parametrize_with_checks(
    [Subject("lossy", FAULTS["decay-lost"]), "numpy"],
    rules=[Muon],
    laws=[law("exact-decay"), law("purity")],
    profile="smoke",
    expected={},
)
def test_checks_are_tests(check, request):
    """One test a check; the lossy backend fails its law."""
    if request.node.callspec.id == "lossy-Muon-exact-decay":
        with pytest.raises(pytest.fail.Exception, match="BROKEN exact-decay lossy Muon"):
            check()
    else:
        check()


def test_expected_checks_are_strict_xfails():
    """As pytest's own marks."""
    mark = parametrize_with_checks(["numpy"], rules=[Muon], laws=[law("purity")], expected={"purity": "why"})
    (param,) = mark.args[1]
    assert param.marks[0].kwargs == {"reason": "why", "strict": True}


def test_results_are_the_same_in_processes_and_in_one():
    """The command's workers find what `check_backend` finds."""
    from deva_conformance.workers import Plan, check_all, in_order, tasks_for

    found = []
    check_all(tasks_for([(from_namespace("numpy"), True)], [AdamW]), Plan("smoke", 0, 30), found.append)
    alone = check_backend(from_namespace("numpy"), rules=[AdamW], profile="smoke")
    assert [r.as_dict() for r in in_order(found, ["numpy"])] == [r.as_dict() for r in alone.results]
    assert len(alone.results) == sum(law.domain.applies(AdamW) for law in LAWS)
