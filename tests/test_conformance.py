"""The kit accepts the backends and rejects seeded faults, each by a law that is named here."""

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from deva_conformance import LAWS, Subject, check_backend, from_namespace, law, load
from deva_conformance.__main__ import app
from deva_conformance.plan import PROFILES
from deva_conformance.runner import run_law
from deva_core import RULES, AdaGO, AdamW, DeVA, DeVAVector, Muon, Rule, hyperparameters
from deva_core.capabilities import Capabilities

HONEST = from_namespace("numpy").start

Arrays = dict[str, np.ndarray]


class Run:
    """An honest run with hooks where faults go in."""

    def __init__(self, inner: Any, fault: "Fault") -> None:
        self.inner, self.fault = inner, fault

    def step(self, grads: Mapping[str, Any]) -> None:
        self.inner.step(self.fault.grads(dict(grads), self.inner))

    @property
    def params(self) -> Arrays:
        return self.fault.params(self.inner.params, self.inner)

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        return self.fault.state(self.inner.state)


def same(x: Any, inner: Any = None) -> Any:
    return x


@dataclass(frozen=True)
class Fault:
    """One way to be wrong: in the rule, in gradients on their way in, in parameters or state on their way out."""

    rule: Callable[[Rule], Rule] = same
    grads: Callable[[dict[str, Any], Any], dict[str, Any]] = same
    params: Callable[[Arrays, Any], Arrays] = same
    state: Callable[[Any], Any] = same
    capabilities = Capabilities(dtypes=("float64", "float32"), compiled=False)

    def __call__(self, rule: Rule, params: Arrays, **options: Any) -> Run:
        return Run(HONEST(self.rule(rule), params, **options), self)


def times(name: str, factor: float) -> Callable[[Rule], Rule]:
    """A hyperparameter off by a factor, schedules included."""

    def changed(rule: Rule) -> Rule:
        value = getattr(rule, name, None)
        if value is None:
            return rule
        return replace(rule, **{name: (lambda t: factor * value(t)) if callable(value) else factor * value})

    return changed


def without_decay(rule: Rule) -> Rule:
    return replace(rule, weight_decay=0.0)


def one_step_less(rule: Rule) -> Rule:
    return replace(rule, ns_steps=max(1, rule.ns_steps - 1))


def late_refresh(rule: Rule) -> Rule:
    return replace(rule, precondition_frequency=1 + rule.precondition_frequency)


def early_schedules(rule: Rule) -> Rule:
    """Schedules called with 1 first."""
    shifted = {
        name: (lambda value: lambda t: value(t + 1))(getattr(rule, name))
        for name in hyperparameters(rule)
        if callable(getattr(rule, name))
    }
    return replace(rule, **shifted)


class Unpermuted(DeVA):
    """V keeps its order when the columns of the basis are exchanged."""

    def refreshed(self, S, t, b):
        new = super().refreshed(S, t, b)
        return new._replace(
            second_moment=S.second_moment,
            row_second_moment=S.row_second_moment,
            column_second_moment=S.column_second_moment,
        )


class Unrotated(DeVA):
    """Momentum stays as it is when the basis turns."""

    def refreshed(self, S, t, b):
        return super().refreshed(S, t, b)._replace(momentum=S.momentum)


def as_class(kind: type) -> Callable[[Rule], Rule]:
    def changed(rule: Rule) -> Rule:
        return kind(**{name: getattr(rule, name) for name in hyperparameters(rule)}) if isinstance(rule, DeVA) else rule

    return changed


def through_half(params: Arrays, inner: Any) -> Arrays:
    return {n: W.astype(np.float16).astype(W.dtype) for n, W in params.items()}


def widened(params: Arrays, inner: Any) -> Arrays:
    return {n: W.astype(np.float64) for n, W in params.items()}


def flushed(grads: dict[str, Any], inner: Any) -> dict[str, Any]:
    return {n: np.where(np.abs(G) < 1e-8, 0, G).astype(G.dtype) for n, G in grads.items() if G is not None}


def missing_as_zero(grads: dict[str, Any], inner: Any) -> dict[str, Any]:
    return {n: np.zeros_like(W) if grads.get(n) is None else grads[n] for n, W in inner.params.items()}


def nan_everywhere(grads: dict[str, Any], inner: Any) -> dict[str, Any]:
    given = {n: G for n, G in grads.items() if G is not None}
    bad = any(not np.all(np.isfinite(np.asarray(G, dtype=np.float64))) for G in given.values())
    return {n: np.full_like(G, np.nan) if bad else G for n, G in given.items()}


def written(grads: dict[str, Any], inner: Any) -> dict[str, Any]:
    for G in grads.values():
        if G is not None:
            G *= G.dtype.type(2)
    return grads


def twins_swapped(grads: dict[str, Any], inner: Any) -> dict[str, Any]:
    """The gradients of parameters of one shape, each handed to the next."""
    names: dict[tuple, list[str]] = {}
    for n, G in grads.items():
        names.setdefault(np.shape(G), []).append(n)
    return {n: grads[m] for group in names.values() for n, m in zip(group, group[1:] + group[:1], strict=True)}


def first_of_stack(grads: dict[str, Any], inner: Any) -> dict[str, Any]:
    return {n: np.broadcast_to(G[:1], G.shape).copy() if np.ndim(G) == 3 else G for n, G in grads.items()}


def clipped(grads: dict[str, Any], inner: Any) -> dict[str, Any]:
    """Entries clipped: neither rotations nor a change of scale pass through."""
    return {n: np.clip(G, -1, 1) for n, G in grads.items()}


def first_row_shortened(grads: dict[str, Any], inner: Any) -> dict[str, Any]:
    def shortened(G: np.ndarray) -> np.ndarray:
        G = G.copy()
        G[..., 0, :] *= G.dtype.type(0.5)
        return G

    return {n: shortened(G) if np.ndim(G) > 1 else G for n, G in grads.items()}


def zero_to_nan(grads: dict[str, Any], inner: Any) -> dict[str, Any]:
    return {n: G if np.any(G) else np.full_like(G, np.nan) for n, G in grads.items()}


def noisy(grads: dict[str, Any], inner: Any) -> dict[str, Any]:
    random = np.random.default_rng()
    return {n: (G * (1 + 1e-3 * random.standard_normal(G.shape))).astype(G.dtype) for n, G in grads.items()}


class Kept(Run):
    """Hands out what it works on."""

    def __init__(self, inner: Any, fault: Fault) -> None:
        super().__init__(inner, fault)
        self.live = inner.params

    def step(self, grads: Mapping[str, Any]) -> None:
        self.inner._params = dict(self.live)
        self.inner.step(grads)
        self.live = self.inner.params

    @property
    def params(self) -> Arrays:
        return self.live


def handing_out(rule: Rule, params: Arrays, **options: Any) -> Run:
    return Kept(HONEST(rule, params, **options), Fault())


def raising(rule: Rule, params: Arrays, **options: Any) -> Run:
    raise RuntimeError("no device\nfound")


raising.capabilities = handing_out.capabilities = Fault.capabilities

lr_off = Fault(rule=times("lr", 1.001))

FAULTS: list[tuple[str, Any, type[Rule], str]] = [
    ("lr off by 0.1 %", lr_off, Muon, "oracle"),
    ("four Newton–Schulz steps instead of five", Fault(rule=one_step_less), Muon, "oracle"),
    ("parameters through float16", Fault(params=through_half), Muon, "oracle"),
    ("V not reordered", Fault(rule=as_class(Unpermuted)), DeVA, "oracle"),
    ("momentum not rotated", Fault(rule=as_class(Unrotated)), DeVA, "oracle"),
    ("decay dropped", Fault(rule=without_decay), Muon, "exact-decay"),
    ("decay off by 0.1 %", Fault(rule=times("weight_decay", 1.001)), AdaGO, "exact-decay"),
    ("missing gradient as zero", Fault(grads=missing_as_zero), Muon, "missing-gradient"),
    ("tiny gradients flushed", Fault(grads=flushed), Muon, "scale"),
    ("tiny gradients flushed", Fault(grads=flushed), DeVA, "scale"),
    ("NaN spreads", Fault(grads=nan_everywhere), AdamW, "independence"),
    ("twins swapped", Fault(grads=twins_swapped), AdamW, "independence"),
    ("gradients written", Fault(grads=written), Muon, "purity"),
    ("parameters handed out alive", handing_out, AdamW, "purity"),
    ("a stack moves as its first matrix", Fault(grads=first_of_stack), Muon, "batched"),
    ("entries clipped", Fault(grads=clipped), Muon, "rotation"),
    ("first row shortened", Fault(grads=first_row_shortened), Muon, "transposition"),
    ("NaN from zero", Fault(grads=zero_to_nan), DeVA, "zero-gradient"),
    ("float64 out for float32 in", Fault(params=widened), Muon, "dtype-and-shape"),
    ("random", Fault(grads=noisy), Muon, "determinism"),
    ("schedules one update early", Fault(rule=early_schedules), Muon, "schedules"),
    ("refresh one update late", Fault(rule=late_refresh), DeVA, "refresh-cadence"),
]


@pytest.mark.parametrize(("name", "fault", "rule", "law_id"), FAULTS, ids=[f"{f[0]}-{f[2].__name__}" for f in FAULTS])
def test_a_fault_is_killed_by_its_law(name, fault, rule, law_id):
    """Each seeded fault breaks the law that speaks of it, with a cause in one line and a reproducer."""
    result = run_law(law(law_id), rule, Subject(name, fault), PROFILES["quick"])
    assert result.status == "fail", result
    assert result.line.startswith(f"BROKEN {law_id} {name} {rule.__name__} ")
    assert "\n" not in result.line
    assert result.case is not None


NUMBERS = [(rule, name) for rule in RULES for name, h in hyperparameters(rule).items() if h.numeric and not h.integer]


@pytest.mark.parametrize(("rule", "name"), NUMBERS, ids=[f"{rule.__name__}.{name}" for rule, name in NUMBERS])
@pytest.mark.parametrize("costly", [False, True])
def test_no_number_may_be_off_by_a_thousandth(rule, name, costly):
    """The oracle sees each numeric hyperparameter, also in the few cases that a compiling backend is given."""
    fault = Fault(rule=times(name, 0.999))
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

    result = run_law(law("oracle"), rule, Subject("other", Fault(rule=next_choice)), PROFILES["quick"])
    assert result.status == "fail", result


def test_every_law_kills_a_fault():
    """A law that no fault breaks would be no check."""
    elsewhere = {"bad-hyperparameters"}
    assert {law.id for law in LAWS} == {f[3] for f in FAULTS} | elsewhere


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


def test_jax_conforms():
    """Every law for the rules that compile fast, and the oracle for DeVA."""
    pytest.importorskip("jax")
    report = check_backend(load("jax"), rules=[Muon, DeVAVector], profile="smoke")
    report += check_backend(load("jax"), rules=[DeVA], laws=[law("oracle")], profile="smoke")
    assert report.conforms, [r.line for r in report.broken]


@pytest.mark.parametrize("namespace", ["numpy", "array_api_strict"])
def test_a_namespace_conforms(namespace):
    """Anything that follows the standard, driven through the functional host."""
    pytest.importorskip(namespace)
    report = check_backend(from_namespace(namespace), profile="smoke")
    assert report.conforms, [r.line for r in report.broken]


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
