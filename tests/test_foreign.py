"""Libraries that nobody here wrote: the small ones are run here, the page says what `make foreign` found."""

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from deva_conformance import CannotRun, Report, check_backend, from_namespace, law, load
from deva_conformance.__main__ import app
from deva_conformance.badge import GREEN, RED, badge
from deva_core import AdamW, DeVA, Muon
from foreign import __main__ as command
from foreign.libraries import LIBRARIES
from foreign.page import page
from foreign.runs import causes, of_rule, surprises

ROOT = Path(__file__).parent.parent
RESULTS = json.loads((ROOT / "conformance" / "foreign" / "results.json").read_text(encoding="utf-8"))
QUICKLY = [law(id) for id in ("oracle", "dtype-and-shape", "save-load")]
RUNS = [(library, run) for library in LIBRARIES for run in library.runs]


def of(backend: str) -> dict:
    return next(r for results in RESULTS.values() for r in results["runs"] if r["backend"] == backend)


@pytest.mark.parametrize("device", ["device1", "device2", "no_float64"])
def test_arrays_on_another_device_conform(device):
    """No array is made on the default device, and float64 is not asked for where there is none."""
    pytest.importorskip("array_api_strict")
    subject = from_namespace(f"array_api_strict@{device}")
    report = check_backend(subject, rules=[Muon, DeVA], laws=QUICKLY, profile="smoke")
    assert report.conforms, [r.line for r in report.broken]
    assert device in str(subject.start.asarray(np.ones(2, np.float32)).device)
    assert ("float64" in subject.capabilities.dtypes) == (device != "no_float64")


def test_a_device_that_is_not_there_is_named_beside_those_that_are():
    pytest.importorskip("array_api_strict")
    with pytest.raises(CannotRun, match=r"no device 'gpu'; there are .*device1"):
        from_namespace("array_api_strict@gpu")


@pytest.mark.parametrize(("module", "name"), [("marray", "marray"), ("mlx.core", "mlx"), ("dask.array", "dask")])
def test_an_adapter_conforms(module, name):
    """Where the library is installed; MArray is part of the test group."""
    pytest.importorskip(module)
    report = check_backend(load(f"foreign.{name}:start"), rules=[Muon, AdamW], laws=QUICKLY, profile="smoke")
    assert report.conforms, [r.line for r in report.broken]


def test_the_page_says_what_the_results_say():
    """`make foreign` writes both; every library has been run."""
    assert list(RESULTS) == [library.name for library in LIBRARIES]
    assert (ROOT / "docs" / "foreign.md").read_text(encoding="utf-8") == page(RESULTS)


@pytest.mark.parametrize(("library", "run"), RUNS, ids=[run.backend for _, run in RUNS])
def test_the_recorded_verdicts_are_the_expected_ones(library, run):
    """The witnesses are rejected, for the laws they are kept for; of the versions that the table pins."""
    assert surprises(run, of(run.backend)) == []
    versions = RESULTS[library.name]["versions"]
    for package in library.packages:
        name, _, version = package.partition("==")
        assert versions[name.partition("[")[0]] == version


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_the_recorded_findings_print_what_is_expected(library):
    found = RESULTS[library.name]["findings"]
    assert [f["code"] for f in found] == [f.code for f in library.findings]
    assert all(f.shows in now["prints"] for f, now in zip(library.findings, found, strict=True))


def test_a_verdict_that_is_not_the_expected_one_is_noticed():
    """A rule too few, a rule too many, a witness that keeps the law, a run that did not come about."""
    run, result = next((run, of(run.backend)) for _, run in RUNS if len(run.conforms) == 4 and not run.breaks)
    assert surprises(run, result) == []
    assert "expected to conform" in surprises(replace(run, conforms=run.conforms[1:]), result)[0]
    assert "expected to conform" in surprises(replace(run, conforms=(*run.conforms, "DeVA")), result)[0]
    assert "expected to break purity, which holds" in surprises(replace(run, breaks=("purity",)), result)[0]
    assert "could not be run" in surprises(run, {"backend": run.backend, "could_not_run": "no such module"})[0]


@pytest.mark.parametrize("surprising", [[], ["unyt conforms"]])
def test_the_command_fails_on_a_surprise_and_leaves_what_was_not_run(surprising, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(command, "PAGE", tmp_path / "foreign.md")
    command.write(RESULTS)
    slower = RESULTS["unyt"] | {"runs": [run | {"seconds": 12345} for run in RESULTS["unyt"]["runs"]]}
    monkeypatch.setattr(command, "of_library", lambda library, home: (slower, surprising))
    result = CliRunner().invoke(command.app, ["unyt"])
    assert result.exit_code == bool(surprising)
    assert ("UNEXPECTED unyt conforms" in result.output) == bool(surprising)
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8")) == RESULTS | {"unyt": slower}
    assert "| 12345 |" in (tmp_path / "foreign.md").read_text(encoding="utf-8")
    assert CliRunner().invoke(command.app, ["nympy"]).exit_code == 2


def test_what_was_not_run_does_not_conform():
    unfinished = {"law": "oracle", "rule": "Muon", "status": "not_run", "ratio": 0.0, "cause": "", "reproduce": ""}
    kept = unfinished | {"law": "purity", "status": "pass"}
    result = {"rules": {"Muon": of_rule([kept, unfinished])}, "causes": causes([kept, unfinished])}
    assert result == {
        "rules": {"Muon": {"kept": 1, "broken": [], "not_supported": 0, "not_run": 1, "worst": 0.0}},
        "causes": [],
    }
    assert surprises(replace(RUNS[0][1], conforms=("Muon",)), result)


def test_a_badge_is_green_only_where_nothing_is_broken():
    kept = check_backend("numpy", rules=[AdamW], laws=[law("purity"), law("compiled")], profile="smoke")
    lost = Report((replace(kept.results[0], status="fail"), *kept.results[1:]))
    for report, colour, words in (
        (kept, GREEN, "1 laws kept, 1 not supported"),
        (lost, RED, "1 broken, 0 laws kept, 1 not supported"),
        (Report(()), RED, "nothing checked"),
        (replace(kept, interrupted=True), RED, "interrupted"),
    ):
        picture = badge(report)
        ElementTree.fromstring(picture)
        assert words in picture
        assert (GREEN in picture, RED in picture) == (colour == GREEN, colour == RED)


def test_bring_your_backend_followed_to_the_letter(tmp_path, monkeypatch):
    """The page's file, the page's command, the badge."""
    pytest.importorskip("marray")
    text = (ROOT / "docs" / "bring_your_backend.md").read_text(encoding="utf-8")
    file = re.search(r"`masked.py`:\n\n```python\n(.*?)```", text, re.DOTALL)[1]
    assert len(file.splitlines()) <= 10
    (tmp_path / "masked.py").write_text(file, encoding="utf-8")
    arguments = re.search(r"python -m deva_conformance (masked:start --rules .*? smoke)", text)[1].split()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    result = CliRunner().invoke(app, [*arguments, "--report", "conformance"])
    assert result.exit_code == 0, result.output
    assert GREEN in (tmp_path / "conformance" / "badge.svg").read_text(encoding="utf-8")
