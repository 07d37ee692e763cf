"""The kit accepts the backends, rejects what is off by a thousandth, and reports in words and files."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from deva_conformance import LAWS, Case, Problem, Subject, check_backend, from_namespace, law, load
from deva_conformance.__main__ import app
from deva_conformance.faults import FAULTS, Fault
from deva_conformance.faults.arithmetic import times
from deva_conformance.plan import PROFILES
from deva_conformance.runner import run_law
from deva_conformance.tolerance import DOUBLE, SINGLE, remembering, run_spread, step_spread
from deva_core import POLAR_EXPRESS, RULES, AdaGO, AdamW, DeVA, DeVAVector, Muon, Rule, hyperparameters
from deva_core.capabilities import Capabilities
from deva_core.costs import Costs

lr_off = FAULTS["lr-off"]


@pytest.fixture(scope="module", autouse=True)
def spreads():
    """Backends and faults of this module meet the same cases, many of them to the bit."""
    with remembering({}):
        yield


def test_a_remembered_spread_is_the_computed_one_and_nothing_else_is_found_in_its_place():
    """One entry for each rule, array, unit roundoff and form; a last bit makes another."""
    W, G = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    cases = [(Muon(), W, [G], SINGLE), (Muon(lr=0.1), W, [G], SINGLE), (Muon(), W, [G], DOUBLE)]
    cases += [(Muon(), W, [np.nextafter(G, 2)], SINGLE), (Muon(), W, [G, G], SINGLE), (Muon(), W[::-1], [G], SINGLE)]
    state = {"momentum": 0 * W}
    plain = []
    for case in cases:
        with remembering({}):  # each alone
            plain.append(run_spread(*case))
    with remembering(memory := {}):
        assert [run_spread(*case) for case in cases * 2] == plain * 2
        assert len(memory) == len(cases)
        for gradient, t, costs in 2 * ((G, 1, Costs()), (W, 1, Costs()), (G, 2, Costs()), (G, 1, Costs(form="gram"))):
            step_spread(Muon(), state, W, gradient, t, SINGLE, costs)
        assert len(memory) == len(cases) + 4


def raising(rule: Rule, params: dict, **options: Any) -> Any:
    raise RuntimeError("no device\nfound")


raising.capabilities = lr_off.capabilities

NUMBERS = [(rule, name) for rule in RULES for name, h in hyperparameters(rule).items() if h.numeric and not h.integer]


@pytest.mark.parametrize(("rule", "name"), NUMBERS, ids=[f"{rule.__name__}.{name}" for rule, name in NUMBERS])
@pytest.mark.parametrize("costly", [False, True])
def test_no_number_may_be_off_by_a_thousandth(rule, name, costly):
    """The oracle sees each numeric hyperparameter, also in the few cases that a compiling backend is given."""
    fault = Fault(about="off by a thousandth", law="oracle", rule=times(name, 0.999))
    result = run_law(law("oracle"), rule, Subject("off", fault), PROFILES["quick"], costly=costly)
    assert result.status == "fail", result


CHOICES = [(rule, name) for rule in RULES for name, h in hyperparameters(rule).items() if h.choices and not h.policy]


@pytest.mark.parametrize(("rule", "name"), CHOICES, ids=[f"{rule.__name__}.{name}" for rule, name in CHOICES])
def test_no_choice_may_be_another(rule, name):
    """The oracle sees each structural hyperparameter."""
    choices = hyperparameters(rule)[name].choices

    def next_choice(made: Rule) -> Rule:
        value = getattr(made, name, None)
        other = choices[(choices.index(value) + 1) % len(choices)] if value in choices else value
        return replace(made, **{name: other}) if isinstance(made, rule) else made

    result = run_law(
        law("oracle"),
        rule,
        Subject("other", Fault(about="another choice", law="oracle", rule=next_choice)),
        PROFILES["quick"],
    )
    assert result.status == "fail", result


def test_a_forgotten_bound_breaks_bad_hyperparameters(monkeypatch):
    """The documented domains are held against the rule, not the rule's own metadata only."""
    monkeypatch.setattr(Muon, "__post_init__", lambda self: None)
    result = run_law(law("bad-hyperparameters"), Muon, load("numpy"), PROFILES["smoke"])
    assert result.status == "fail"
    assert "is accepted" in result.cause


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_backend_conforms(backend):
    """Every law for every rule."""
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    report = check_backend(load(backend), profile="smoke")
    assert report.conforms, [r.line for r in report.broken]


JAX_CONFORMS = """
from deva_conformance import check_backend, law, load
from deva_core import DeVA, DeVAVector, Muon

report = check_backend(load("jax"), rules=[Muon, DeVAVector], profile="smoke")
report += check_backend(load("jax"), rules=[DeVA], laws=[law("oracle")], profile="smoke")
print(*(result.line for result in report.broken), sep="\\n")
raise SystemExit(report.exit_status)
"""


def test_jax_conforms():
    """Every law for the rules that compile fast, and the oracle for DeVA; compiled as users do, unlike other tests."""
    pytest.importorskip("jax")
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, "-c", JAX_CONFORMS]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("namespace", ["numpy", "array_api_strict"])
def test_a_namespace_conforms(namespace):
    """Anything that follows the standard, driven through the functional host."""
    pytest.importorskip(namespace)
    report = check_backend(from_namespace(namespace), profile="smoke")
    assert report.conforms, [r.line for r in report.broken]


def test_the_rotated_twin_of_rows_of_zeros_may_err_by_what_its_own_null_space_does():
    """Rounded zeros stay zeros, their rotation does not; found on MArray, and honest NumPy did not keep the law either."""
    rule = AdaGO(lr=0.03125, momentum=0.9375, min_step=0.25, ns_coefficients=POLAR_EXPRESS, ns_steps=6)
    case = Case(rule, (Problem("zero_rows", (4, 4), 1e-12, 100, "float64"),), 2)
    assert law("rotation").check(load("numpy"), case) < 2


def cli(*args: str) -> tuple[int, list[str]]:
    """Exit status and lines of the command."""
    result = CliRunner().invoke(app, list(args))
    return result.exit_code, result.output.strip().splitlines()


def test_the_command_accepts_and_reports(tmp_path):
    """Exit status 0; both reports; the JSON is the same again but for timing."""
    reports = []
    for name in ("a", "b"):
        status, _ = cli(
            "--namespace", "numpy", "--rules", "AdamW", "--profile", "smoke", "--report", str(tmp_path / name)
        )
        assert status == 0
        report = json.loads((tmp_path / name / "report.json").read_text(encoding="utf-8"))
        assert report.pop("timing")
        reports.append(report)
    assert reports[0] == reports[1]
    assert "conforms" in (tmp_path / "a" / "report.html").read_text(encoding="utf-8")


def test_the_command_rejects_and_names_the_law():
    """Exit status 1; the last lines are one for each broken law."""
    status, lines = cli(f"{__name__}:lr_off", "--rules", "AdamW", "--profile", "smoke")
    assert status == 1
    assert lines[-1].startswith("BROKEN ")
    assert any(line.startswith(f"BROKEN oracle {__name__}:lr_off AdamW ") for line in lines)


def test_a_backend_that_raises_is_a_broken_law_without_a_traceback():
    """Exit status 1, the cause in a line."""
    status, lines = cli(f"{__name__}:raising", "--rules", "AdamW", "--profile", "smoke")
    assert status == 1
    assert any("error: RuntimeError: no device found" in line for line in lines)
    assert not any("Traceback" in line for line in lines)


@pytest.mark.parametrize(
    "args", [["no-such-backend"], ["--namespace", "no_such_module"], ["numpy", "--rules", "SGD"], ["--profile", "huge"]]
)
def test_what_cannot_be_run_is_not_a_failure(args):
    """Exit status 2."""
    assert cli(*args)[0] == 2


def test_what_is_declared_missing_is_counted_apart():
    """Not supported is no pass; nothing checked at all is exit status 2."""

    def start(*args: Any, **options: Any) -> Any:
        raise AssertionError("never started")

    start.capabilities = Capabilities(dtypes=())
    laws = [law for law in LAWS if law.id != "bad-hyperparameters"]
    report = check_backend(Subject("nothing", start), laws=laws)
    assert report.counts()["not_supported"] == len(report.results) > 0
    assert report.exit_status == 2
    assert not report.conforms


def test_every_value_of_every_hyperparameter_is_in_a_covering_row():
    """None can be forgotten."""
    from deva_conformance.strategies import row, row_count, table

    for rule in RULES:
        values = table(rule)
        rows = [row(rule, values, k) for k in range(row_count(values))]
        for name, tried in values.items():
            assert {getattr(r, name) for r in rows} == set(tried), name


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("torch", [AdaGO, DeVA]),
        ("numpy", [AdaGO, DeVA]),
        ("torch_accelerator", [AdaGO, DeVA]),
        ("torch_captured", [AdaGO, DeVAVector]),
    ],
)
def test_fast_paths_conform_where_they_are_forced(name, rules):
    """Their thresholds lie above the kit's small cases; here every case goes through parts, threads, Cholesky, Gram.

    Muon calls nothing replaceable that AdaGO does not. The last two are what an accelerator goes through, on this CPU.
    """
    report = check_backend(f"tests.forced_backends:{name}", rules=rules)
    assert report.conforms, [result.line for result in report.broken]


def test_a_step_that_compiles_only_when_asked_is_asked():
    """A default that does not compile says nothing of the step that does."""
    honest = load("numpy").start

    def start(rule: Any, params: Any, *, compiled: bool = False, **options: Any) -> Any:
        if compiled:
            raise RuntimeError("the compiler is broken")
        return honest(rule, params, **options)

    start.capabilities = Capabilities(dtypes=("float64", "float32"), compiled=True)
    report = check_backend(Subject("on demand", start), rules=[AdamW], laws=[law("compiled")], profile="smoke")
    assert not report.conforms
    assert any("the compiler is broken" in result.line for result in report.results)
