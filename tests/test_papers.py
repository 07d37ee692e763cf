"""`benchmarks.papers`: interrupted experiments go on, tiny ones give tables and verdicts, the page is what the JSON gives."""

import json
import re

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("typer")
pytest.importorskip("pytorch_optimizer")
pytest.importorskip("sklearn")

from benchmarks import records
from benchmarks.papers import __main__ as program
from benchmarks.papers import (
    adago,
    beside,
    handover,
    journal,
    language,
    page,
    report,
    trace,
    trace_problem,
    trace_report,
)
from benchmarks.papers.trace_methods import METHODS, RuleSide, TorchSide


def ran(module, task, path=None):
    found = journal.Journal(path, module.settings(task))
    ticks = []
    module.run(found, task, ticks.append)
    assert len(ticks) == module.ticks(task)
    return found.result


@pytest.fixture(scope="module")
def published():
    return {name: journal.read(program.RESULTS / f"{name}.json") for name in program.EXPERIMENTS}


# --- the journal ------------------------------------------------------------------------------------------------------


def test_a_run_that_is_in_the_file_is_not_run_again(tmp_path):
    path, key = tmp_path / "x.json", {"lr": 0.1}
    journal.Journal(path, {"steps": 1}).run(key, lambda: {"loss": 1.0})
    again = journal.Journal(path, {"steps": 1})
    assert again.run(key, lambda: pytest.fail("run twice"))["loss"] == 1.0
    assert again.run({"lr": 0.2}, lambda: {"loss": 2.0})["loss"] == 2.0
    assert len(journal.read(path)["runs"]) == 2


def test_runs_with_other_settings_are_refused_and_left(tmp_path):
    path = tmp_path / "x.json"
    journal.Journal(path, {"steps": 1}).run({"lr": 0.1}, lambda: {"loss": 1.0})
    with pytest.raises(ValueError, match="other settings"):
        journal.Journal(path, {"steps": 2})
    assert len(journal.read(path)["runs"]) == 1


def test_a_file_that_goes_on_later_says_after_which_run(tmp_path):
    path = tmp_path / "x.json"
    for lr in (0.1, 0.1, 0.2):
        journal.Journal(path, {"steps": 1}).run({"lr": lr}, lambda: {"loss": 1.0})
    found = journal.read(path)
    (later,) = found["continued"]
    assert later["after"] == 1 and {"date", "cpu", "versions"} <= set(later)
    assert page.begun(found)[0] == f"{records.day(found['date'])}, 1 runs {records.day(later['date'])}"


# --- the problem and its methods --------------------------------------------------------------------------------------


@pytest.fixture
def short_steps(monkeypatch):
    monkeypatch.setattr(trace, "STEPS", 20)


def test_the_batch_gradient_is_that_of_the_authors_loss():
    torch = pytest.importorskip("torch")
    problems = trace_problem.Problems("homogeneous", 2)
    for seed in range(2):
        X = torch.tensor(problems.start[seed], requires_grad=True)
        A = torch.tensor(problems.root[seed][problems.rows[seed, 3]])
        (0.5 * 9 / 3 * torch.linalg.norm(A @ X)).backward()
        np.testing.assert_allclose(problems.gradient(problems.start, 3)[seed], X.grad, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_moves_each_matrix_as_if_it_were_alone(method):
    problems = trace_problem.Problems("heterogeneous", 3)

    def moved(which):
        start = problems.start[which]
        side = method.side(start, trace_problem.schedule(method.lr))
        X = start
        for k in range(12):
            X = side.step(X, problems.gradient(problems.start, k)[which], method.lr)
        assert isinstance(side, RuleSide | TorchSide)
        return X

    np.testing.assert_allclose(moved(slice(None))[1:2], moved(slice(1, 2)), rtol=1e-7, atol=1e-9)


def test_the_trace_gives_tables_and_verdicts(short_steps):
    found = ran(trace, trace.Task(seeds=3, powers=(-1, 0)))
    assert len(trace_report.trace_rows(found, "homogeneous")) == len(METHODS)
    assert len(trace_report.bases_rows(found)) == 4
    assert len(trace_report.sums_rows(found)) == 2 * 5
    assert {row[-1] for row in trace_report.trace_verdicts(found)} <= {"yes", "no", "not certain"}


def test_the_short_form_of_the_trace_gives_the_verdicts_of_the_long_one(published):
    """Its runs are among the long one's."""
    found, short = published["trace"], trace.SHORT
    lrs = {method: [lr * 2.0**power for power in short.powers] for method, lr in found["settings"]["lr"].items()}
    runs = [run for run in found["runs"] if np.isclose(run["lr"], lrs[run["method"]], rtol=1e-5).any()]
    kept = [run | {"final": run["final"][: short.seeds]} if "final" in run else run for run in runs]
    pairs = [[row[-1] for row in trace_report.trace_verdicts(one)] for one in (found, found | {"runs": kept})]
    for long, brief in zip(*pairs, strict=True):
        assert brief == long


def test_the_short_form_of_adago_gives_the_verdicts_of_the_long_one(published):
    """Its runs are among the long one's."""
    found, short = published["adago"], adago.SHORT
    assert set(short.seeds) == set(found["settings"]["seeds"])
    kept = [run for run in found["runs"] if run["lr"] in short.lrs and run["gamma"] in short.gammas]
    pairs = [[row[-1] for row in report.adago_verdicts(one)] for one in (found, found | {"runs": kept})]
    for long, brief in zip(*pairs, strict=True):
        assert brief == long


def test_the_short_form_of_the_gpt_gives_the_verdict_of_the_long_one(published):
    """Its runs are among the long one's."""
    found, short = published["language"], language.SHORT
    assert language.settings(short) | {"methods": 0} == language.settings(language.Task()) | {"methods": 0}
    best = {method.name: language.outwards(method.lrs)[0] for method in short.plan()}
    kept = [run for run in found["runs"] if run["seed"] in short.seeds + short.more]
    kept = [run for run in kept if run["lr"] == best.get(run["method"])]
    assert len(kept) == language.ticks(short), "one of the short form's runs is not among the published ones"
    assert report.language_verdicts(found | {"runs": kept})[0][-1] == report.language_verdicts(found)[0][-1]


# --- verdicts beside the published ones -------------------------------------------------------------------------------


def canned(saved):
    """A result of the GPT in which DeVA needs this many per cent fewer tokens, seed by seed; None: never."""
    runs = []
    for seed, percent in enumerate(saved):
        end = [100, 1.0, 2.0]
        own = [[100, 1.0, 2.5]] if percent is None else [[100 - percent, 1.0, 2.0], end]
        for method, curve in (("Muon", [[50, 0.5, 3.0], end]), ("DeVA", [[10, 0.1, 3.0], *own])):
            runs.append({"method": method, "lr": 0.01, "seed": seed, "curve": curve, "seconds": 1.0})
    return {"settings": {"methods": {"Muon": "", "DeVA": ""}}, "runs": runs}


@pytest.mark.parametrize(
    ("saved", "verdict"),
    [
        ((15, 14, 16), "yes"),
        ((1, 2, 3), "no"),
        ((7, 19, 16), "not certain"),
        ((30, 30, 30, 30, None), "not certain"),
        ((None, None, None), "no"),
        ((20,), "not run"),
    ],
)
def test_the_gpts_verdict_is_that_of_all_of_the_interval(saved, verdict):
    assert report.language_verdicts(canned(saved))[0][-1] == verdict


def test_a_claim_that_only_one_form_has_differs(monkeypatch):
    monkeypatch.setitem(page.VERDICTS, "x", lambda result: result)
    a, b = ["DeVA", "a", "1", "yes"], ["DeVA", "b", "2", "no"]
    assert beside.differing(beside.beside("x", [a, b], [a, b])) == []
    assert beside.differing(beside.beside("x", [a], [a, b])) == ["b"]
    assert beside.differing(beside.beside("x", [a, b], [b])) == ["a"]


@pytest.mark.parametrize(("saved", "code"), [((15, 14, 17), 0), ((1, 2, 3), 1)])
def test_the_short_form_is_shown_beside_the_published_verdicts(tmp_path, monkeypatch, saved, code):
    from typer.testing import CliRunner

    monkeypatch.setattr(program, "RESULTS", tmp_path)
    (tmp_path / "language.json").write_text(json.dumps(canned((15, 14, 16)) | {"schema": journal.SCHEMA}))
    monkeypatch.setattr(program, "measured", lambda name, short, path: canned(saved))
    found = CliRunner().invoke(program.app, ["run", "language", "--short"], env={"COLUMNS": "200"})
    assert found.exit_code == code, found.output
    assert "published" in found.output
    assert ("language: the published verdicts" in found.output) == (code == 0)
    assert ("differ" in found.output) == (code == 1)


def test_the_published_file_itself_is_shown_without_a_comparison(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    monkeypatch.setattr(program, "RESULTS", tmp_path)
    monkeypatch.setattr(program, "measured", lambda name, short, path: canned((1, 2, 3)))
    found = CliRunner().invoke(program.app, ["run", "language"])
    assert found.exit_code == 0 and "published" not in found.output


# --- training ---------------------------------------------------------------------------------------------------------


def test_the_gpt_gives_tables_and_a_verdict():
    found = ran(language, language.Task(width=16, layers=1, batch=2, steps=2, every=1, more=(3,)))
    assert len(report.search_rows(found)) == len(report.language_rows(found)) == len(language.METHODS)
    own = next(row for row in report.language_rows(found) if row[0] == "Muon")
    assert own[7] == own[8] == "100 (100–100) %"
    assert report.language_verdicts(found)[0][-1] in ("yes", "no", "not certain")


def test_adago_gives_tables_and_verdicts():
    found = ran(adago, adago.Task(steps=2, every=1, seeds=(0, 1)))
    assert len(report.adago_rows(found)) == 2 * len(adago.METHODS)
    assert len(report.gamma_rows(found)) == 2 * len(adago.GAMMAS)
    assert len(report.adago_verdicts(found)) == 7


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_is_what_the_published_results_give(published):
    written = (program.ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    assert written == page.text(published, program.forms())
    assert not re.findall(r"\{[a-z_]+\}", written), "a part of the page was not filled in"


def test_published_results_are_of_the_settings_that_run_now(published):
    for name, module in (("trace", trace), ("language", language), ("adago", adago), ("handover", handover)):
        now = json.loads(json.dumps(module.settings(module.Task())))
        assert records.rounded(published[name]["settings"]) == records.rounded(now)
