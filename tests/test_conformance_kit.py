"""The kit's manners: hangs, crashes and wrong types are reported; expected failures are strict; ids bring cases back."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import zlib
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
from tests import faulty_backends
from tests.faulty_backends import Expecting

DECAY = [law("exact-decay"), law("determinism")]


def cli(*args: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(app, list(args))
    return result.exit_code, result.output.strip().splitlines()


def with_path(path: str) -> dict[str, str]:
    """The environment, with another folder to import from."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join((path, os.environ.get("PYTHONPATH", "")))}


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("sleeping", "error: no result within 1 s"),
        ("deadlocked", "error: no result within 1 s, and its process, which did not react, was ended"),
        ("locked", "error: no result within 1 s"),
        ("dying", "error: its process died with exit code 3"),
        ("Dying", "error: its process died with exit code 4"),
        ("crashing", "error: its process was ended by SIGSEGV"),
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


WRONG = [name for name, value in vars(faulty_backends).items() if isinstance(value, faulty_backends.Reporting)]


@pytest.mark.parametrize("backend", WRONG)
def test_what_is_no_array_is_a_broken_law(backend):
    """Every law says what it met, in a line; none raises."""
    assert len(WRONG) >= 10
    report = check_backend(Subject(backend, getattr(faulty_backends, backend)), rules=[AdamW, Muon], profile="smoke")
    assert any(r.law in ("oracle", "dtype-and-shape") for r in report.broken)
    assert all("\n" not in r.line for r in report.broken)
    status, lines = cli(f"tests.faulty_backends:{backend}", "--rules", "AdamW", "--profile", "smoke")
    assert status == 1
    assert lines[-1].startswith("BROKEN ")
    assert not any("Traceback" in line for line in lines)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise ImportError('no device')", "cannot be loaded: ImportError: no device"),
        ("raise SystemExit(0)", "cannot be loaded: SystemExit: 0"),
        ("import os; os._exit(5)", "cannot be loaded: its process died with exit code 5"),
        ("start = 3", "cannot be loaded: TypeError: 3 is not callable"),
        ("", "cannot be loaded: AttributeError"),
        (
            "def start(): pass\nstart.expected_failures = {'no-such-law': 'x'}",
            "expected failure 'no-such-law': no such law or rule",
        ),
    ],
)
def test_a_backend_that_cannot_be_imported_cannot_be_run(source, words, tmp_path):
    """Exit status 2 and why, even if its import takes the process down."""
    (tmp_path / "unloadable.py").write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "deva_conformance", "unloadable:start", "--rules", "AdamW", "--profile", "smoke"]
    done = subprocess.run(command, capture_output=True, text=True, env=with_path(str(tmp_path)))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "COULD NOT RUN " in done.stdout and words in done.stdout
    assert "Traceback" not in done.stderr


def test_an_interrupted_run_says_so_and_leaves_no_process(tmp_path):
    """Control-C in the middle: exit status 1, no traceback, no worker left."""
    begun = tmp_path / "begun"
    environment = {**with_path("."), "DEVA_TEST_BEGUN": str(begun)}
    command = ["-m", "deva_conformance", "tests.faulty_backends:announcing", "--rules", "AdamW"]
    listening = (  # shells have background jobs ignore Control-C, and what they start
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    command = [sys.executable, "-c", listening, *command]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 60
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=90)
    assert process.returncode == 1, out + err
    assert "INTERRUPTED" in out
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline + 30:  # multiprocessing's own helper takes a moment to see that all is over
            os.killpg(process.pid, 0)
            time.sleep(0.1)


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
    identity = Identity("oracle", "numpy(namespace)", case)
    assert decode(encode(identity)) == identity


def test_a_failure_is_reproduced_from_its_id_and_from_its_program(tmp_path):
    """`--reproduce` and the program in the report break the same law."""
    backend = "tests.faulty_backends:decay_lost"
    status, lines = cli(backend, "--rules", "AdamW", "--profile", "smoke", "--report", str(tmp_path), "--seed", "3")
    assert status == 1
    id = next(line.split()[1] for line in lines if line.startswith("--reproduce exact-decay"))
    assert cli("--reproduce", id)[0] == 2, "an id alone imports no backend"
    status, again = cli(backend, "--reproduce", id)
    assert status == 1
    assert again[-1] in lines
    program = next(tmp_path.glob("reproduce-exact-decay-*.py"))
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, env=with_path("."))
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
    check_all(tasks_for(["numpy(namespace)"], [AdamW]), Plan("smoke", 0, 30), found.append)
    alone = check_backend(from_namespace("numpy"), rules=[AdamW], profile="smoke")
    assert [r.as_dict() for r in in_order(found, ["numpy(namespace)"])] == [r.as_dict() for r in alone.results]
    assert len(alone.results) == sum(law.domain.applies(AdamW) for law in LAWS)


@pytest.mark.parametrize(
    "plain",
    [
        ["numpy", "logging:FileHandler", {"filename": "MARK"}, [], 1],
        ["numpy", "subprocess:Popen", {"args": ["touch", "MARK"]}, [], 1],
        ["subprocess:Popen", "Muon", {}, [], 1],
        ["antigravity(namespace)", "Muon", {}, [], 1],
        ["numpy", "Rule", {}, [], 1],
        ["numpy", ["Muon"], {}, [], 1],
    ],
)
def test_an_id_is_data_and_calls_nothing(plain, tmp_path):
    """It comes from somebody's report: whatever it names is refused, before it is imported."""
    mark = tmp_path / "called"
    word = json.dumps(plain).replace("MARK", str(mark)).encode()
    id = "purity:" + base64.urlsafe_b64encode(zlib.compress(word)).decode().rstrip("=")
    status, lines = cli("--reproduce", id)
    assert status == 2 and lines[-1].startswith("COULD NOT RUN")
    assert not mark.exists()
