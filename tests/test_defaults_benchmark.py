"""`benchmarks.defaults`: verdicts of known losses, a tiny run, the page is what the JSON gives."""

import json
import re

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("typer")
pytest.importorskip("pytorch_optimizer")
pytest.importorskip("sklearn")

from benchmarks import records
from benchmarks.defaults import __main__ as program
from benchmarks.defaults import judged, page, runs, sides, tables, tasks, tune, verdicts
from benchmarks.papers.journal import Journal, read


def canned(logs, lost=()):
    """A result in which every rule's log ratios to AdamW are these, seed by seed; 1 on the tasks that are lost."""
    names, found = [task.name for task in tasks.JUDGED], []
    for task in names:
        for seed, log in enumerate(logs):
            for side in (sides.REFERENCE, *sides.RULES):
                own = 0.0 if side == sides.REFERENCE else 1.0 if task in lost else log
                loss = 2.0 * float(np.exp(own))
                found.append({"task": task, "side": side, "seed": seed, "early": loss, "late": loss, "seconds": 1.0})
    return {"settings": {"tasks": dict.fromkeys(names, "")}, "runs": found}


def test_the_interval_is_students_of_the_log_ratios():
    found = verdicts.ratio(canned((-0.1, 0.0, 0.1, 0.2, 0.3)), "Muon", "conv", "late")
    assert np.isclose(found.mean, 0.1)
    reach = 2.776 * 0.025**0.5 / 5**0.5  # t for four degrees of freedom, the sample's variance
    np.testing.assert_allclose((found.low, found.high), (0.1 - reach, 0.1 + reach), rtol=1e-3)
    assert not found.met


@pytest.mark.parametrize(("log", "met"), [(-0.5, True), (0.0099, True), (0.0101, False)])
def test_a_bound_is_met_up_to_a_hundredth(log, met):
    assert verdicts.ratio(canned((log,) * 5), "DeVA", "vit", "early").met is met


def test_a_side_that_diverges_loses_its_task():
    result = canned((-0.5,) * 5)
    for run in result["runs"]:
        if run["side"] == "Muon" and run["task"] == "conv" and run["seed"] == 1:
            run["late"] = np.nan
    assert verdicts.won(result, "Muon") == [task.name for task in tasks.JUDGED if task.name != "conv"]


@pytest.mark.parametrize(("lost", "enough"), [((), True), (("vit",), True), (("vit", "conv"), False)])
def test_four_tasks_of_five_are_enough(lost, enough):
    assert verdicts.wins(canned((-0.1,) * 5, lost)) == dict.fromkeys(sides.RULES, enough)


def ran(module, task):
    found, seen = Journal(None, module.settings(task)), []
    module.run(found, task, seen.append)
    assert len(seen) == module.ticks(task)
    return found.result


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr(runs, "STEPS", 3)
    monkeypatch.setattr(runs, "HORIZONS", {"early": (0, 2), "late": (2, 3)})


@pytest.mark.filterwarnings("ignore:lr_scheduler")
def test_a_tiny_form_gives_tables(few_steps):
    found = ran(judged, judged.Form(seeds=(1, 2)))
    assert len(tables.summary_rows(found)) == len(sides.RULES)
    assert len(tables.ratio_rows(found, "early")) == len(tables.ratio_rows(found, "late", " before")) == 15


def test_a_tiny_search_gives_a_row_a_pair(few_steps):
    grids = {"AdaGO": ((0.05,), (0.08, 0.16))}
    found = ran(tune, tune.Search(grids=grids))
    assert [row[:2] for row in tables.tuning_rows(found, "AdaGO", (0.05, 0.16))] == [
        ["0.05", "0.08"],
        ["**0.05**", "**0.16**"],
    ]


def test_every_side_of_a_seed_sees_the_same_network_and_batches(few_steps):
    task, firsts = tasks.JUDGED[2], set()
    data = task.load()
    for name in (sides.REFERENCE, *sides.RULES):
        seen = []

        def loss(*args, seen=seen):
            seen.append(task.loss(*args))
            return seen[-1]

        runs.train(tasks.Task(task.name, "", task.model, task.load, loss), data, sides.default(name), 1)
        firsts.add(seen[0].item())
    assert len(firsts) == 1


def test_judged_and_tuning_tasks_and_seeds_are_apart():
    assert not {task.name for task in tasks.JUDGED} & {task.name for task in tasks.TUNING}
    assert not set(judged.Form().seeds) & set(tune.Search().seeds)


@pytest.fixture(scope="module")
def published():
    return [read(program.RESULTS / f"{name}.json") for name in ("judged", "tuning")]


def test_the_page_is_what_the_published_results_give(published):
    written = program.PAGE.read_text(encoding="utf-8")
    assert written == page.text(*published)
    assert not re.findall(r"\{[a-zA-Z_]+\}", written), "a part of the page was not filled in"


def test_published_results_are_of_the_defaults_and_tasks_of_now(published):
    for found, module, form in zip(published, (judged, tune), (judged.Form(), tune.Search()), strict=True):
        now = json.loads(json.dumps(module.settings(form)))
        assert records.rounded(found["settings"]) == records.rounded(now)
        assert len(found["runs"]) == module.ticks(form)


def test_the_short_form_is_among_the_published_runs_and_gives_their_verdicts(published):
    judged_keys = {(task.name, side, seed) for task, seed, side in judged.keys(judged.SHORT)}
    kept = [run for run in published[0]["runs"] if (run["task"], run["side"], run["seed"]) in judged_keys]
    assert len(kept) == judged.ticks(judged.SHORT)
    assert verdicts.wins(published[0] | {"runs": kept}) == verdicts.wins(published[0])


def test_the_published_defaults_win():
    assert all(verdicts.wins(read(program.RESULTS / "judged.json")).values())
