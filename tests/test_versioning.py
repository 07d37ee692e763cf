"""A specification version stands for trajectories: the committed ones are reproduced, and files say which it was."""

import json
from unittest import mock

import numpy as np
import pytest

from deva_conformance.report import Report
from deva_core import SPECIFICATION, AdaGO, CheckpointError, DeVA, Muon, SpecificationWarning
from deva_core.checkpoint import metadata_of
from tests import trajectories
from tests.conftest import INSTALLED
from tests.test_checkpoint import resealed
from tests.trajectories import RUNS, SHAPES, STEPS, array, committed, differing, ends, gradients, spread

VERSION, ENDS = committed()


def test_the_committed_trajectories_are_of_this_version():
    assert VERSION == SPECIFICATION and ENDS.keys() == RUNS.keys()


@pytest.mark.parametrize("run", RUNS)
def test_the_code_ends_where_the_specification_does(run):
    """Within the error that rounding may make of this very run; which is small, or the test would say nothing."""
    assert not differing(RUNS[run], ends(RUNS[run]), ENDS[run])
    for name in SHAPES:
        assert spread(RUNS[run], name) <= 1e-9 * np.linalg.norm(ENDS[run][name] - array(SHAPES[name], 0))


@pytest.mark.parametrize("backend", sorted({"numpy", "torch"} & INSTALLED.keys()))
def test_backends_end_there_too(backend):
    """JAX, slow to compile all of these, is held to NumPy elsewhere (tests/test_agreement.py)."""
    for run, rule in RUNS.items():
        began = INSTALLED[backend].load()(rule, {name: array(shape, 0) for name, shape in SHAPES.items()})
        for t in range(STEPS):
            began.step({name: gradients(name)[t] for name in SHAPES})
        assert not differing(rule, began.params, ENDS[run]), run


CHANGES = {
    "the momentum's default": ("0 Muon", Muon(momentum=0.95 + 1e-9)),
    "the sum's default": ("1 AdaGO", AdaGO(initial_accumulator_value=1.001e-6)),
    "when bases are refreshed": ("2 DeVA", DeVA(precondition_frequency=11)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_small_change_of_a_rule_is_another_trajectory(change):
    run, changed = CHANGES[change]
    assert differing(RUNS[run], ends(changed), ENDS[run])


@pytest.mark.parametrize(
    ("constant", "value"),
    [("basis.SHIFT", 1.0001e-3), ("basis.FIRST_SWEEPS", 5)],
)
def test_a_small_change_of_a_constant_is_another_trajectory(constant, value):
    with mock.patch(f"deva_core.{constant}", value):
        assert differing(RUNS["2 DeVA"], ends(DeVA()), ENDS["2 DeVA"])


def test_the_command_writes_what_is_committed_and_refuses_another_trajectory(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trajectories, "FILE", tmp_path / "trajectories.json")
    monkeypatch.setattr(trajectories, "RUNS", {"0 Muon": Muon()})
    assert trajectories.main() == 0
    _, written = committed()
    assert not differing(Muon(), written["0 Muon"], ENDS["0 Muon"])
    monkeypatch.setattr(trajectories, "RUNS", {"0 Muon": Muon(momentum=0.9)})
    assert trajectories.main() == 1 and "end elsewhere" in capsys.readouterr().err
    monkeypatch.setattr(trajectories, "SPECIFICATION", SPECIFICATION + 1)
    assert trajectories.main() == 0 and committed()[0] == SPECIFICATION + 1


@pytest.fixture
def saved(tmp_path):
    """A file of this version, and a run that may load it."""
    run = INSTALLED["numpy"].load()(DeVA(), {"W": np.ones((2, 3)), "b": np.ones(3)})
    run.step({"W": np.ones((2, 3))})
    run.save(tmp_path / "state")
    return run, tmp_path / "state"


def rewritten(path, version):
    data = resealed(path.read_bytes(), lambda header: header["__metadata__"].update(specification_version=version))
    path.write_bytes(data)


def test_checkpoints_and_reports_say_their_version(saved):
    assert metadata_of(saved[1].read_bytes())["specification_version"] == str(SPECIFICATION)
    assert Report(()).as_dict()["specification"] == SPECIFICATION


@pytest.mark.parametrize("version", ["3", "10", "0", "", "one", "1.5", "²", None, 1.5])
def test_a_later_or_malformed_version_is_refused_and_nothing_changes(saved, version):
    run, path = saved
    before = json.dumps({k: np.asarray(x).tolist() for k, x in run.state["W"].items()})
    rewritten(path, version)
    words = "update deva-optim" if version in ("3", "10") else "specification version is malformed"
    with pytest.raises(CheckpointError, match=words):
        run.load(path)
    assert json.dumps({k: np.asarray(x).tolist() for k, x in run.state["W"].items()}) == before


def test_an_earlier_version_warns_where_a_rule_of_the_run_has_changed(saved, monkeypatch):
    """And says which, and when. Changes of other rules are no concern of this run."""
    run, path = saved
    for module in ("checkpoint", "specification"):
        monkeypatch.setattr(f"deva_core.{module}.SPECIFICATION", 4)
    monkeypatch.setattr("deva_core.specification.CHANGES", {2: ("Muon",), 3: ("AdaGO", "AdamW")})
    run.load(path)
    monkeypatch.setattr("deva_core.specification.CHANGES", {2: ("Muon",), 3: ("DeVA", "AdaGO"), 4: ("DeVAVector",)})
    with pytest.warns(
        SpecificationWarning, match=r"version 3 changed DeVA; version 4 changed DeVAVector\. The run goes on"
    ):
        run.load(path)
