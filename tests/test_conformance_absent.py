"""Backends whose framework or device is missing: left out of a run of all, an error where they are named."""

import os
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from typer.testing import CliRunner

import deva_conformance.__main__ as command
from deva_conformance.absence import missing_framework
from deva_conformance.driver import Absent, load
from deva_conformance.workers import Plan, check_all, tasks_for
from deva_core import AdamW

METADATA = """Metadata-Version: 2.1
Name: other-backends
Version: 1.0
Requires-Dist: Unheard-of_Cloud
Provides-Extra: nowhere
Requires-Dist: nowhere-cuda12x (>=1) ; extra == "nowhere"
"""
MODULES = {
    "nowhere": "import nowhere",
    "third": "import unheard_of_cloud",
    "mistyped": "import nunpy",
    "inner": "import json.nothing",
    "cut": "raise ImportError('libnowhere.so: cannot open shared object file')",
    "blind": "from deva_numpy import *\ndef start(): pass\nstart.unavailable = lambda: 'no GPU in sight'",
    "seeing": "from tests.faulty_backends import HONEST\n"
    "class Start:\n"
    "    capabilities = HONEST.capabilities\n"
    "    unavailable = staticmethod(lambda: None)\n"
    "    def __call__(self, *args, **how): return HONEST(*args, **how)\n"
    "start = Start()",
}


@pytest.fixture(autouse=True)
def others(tmp_path, monkeypatch):
    """A distribution with these entry points, on the path of this process and of those that it starts."""
    folder = tmp_path / "other_backends-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA, encoding="utf-8")
    lines = [f"{name} = other_{name}:start" for name in MODULES]
    (folder / "entry_points.txt").write_text("\n".join(["[deva.backends]", *lines]), encoding="utf-8")
    for name, code in MODULES.items():
        (tmp_path / f"other_{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))


def run(monkeypatch, installed, *arguments):
    monkeypatch.setattr(command, "installed", lambda: list(installed))
    done = CliRunner().invoke(command.app, ["--rules", "AdamW", "--profile", "smoke", *arguments])
    return done.exit_code, done.output


NOT_INSTALLED = {
    "nowhere": "nowhere: not installed: no module nowhere (pip install 'other-backends[nowhere]')",
    "third": "third: not installed: no module unheard_of_cloud (pip install Unheard-of_Cloud)",
}
BROKEN = {
    "mistyped": "mistyped: cannot be loaded: ModuleNotFoundError: No module named 'nunpy'",
    "inner": "inner: cannot be loaded: ModuleNotFoundError: No module named 'json.nothing'",
    "cut": "cut: cannot be loaded: ImportError: libnowhere.so",
}


def test_a_run_of_all_leaves_out_what_is_not_here_and_says_so(monkeypatch):
    """Exit status 0, if all others conform."""
    status, output = run(monkeypatch, ["blind", "nowhere", "seeing", "third"])
    assert status == 0, output
    assert output.count("left out: ") == 3 and "seeing" in output
    for line in (*NOT_INSTALLED.values(), "blind: no device: no GPU in sight"):
        assert f"left out: {line}" in output


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_import_is_no_absence(name, monkeypatch):
    """A module that nothing requires, one inside a package, a library that does not load: exit status 2 in a run of all, too."""
    status, output = run(monkeypatch, [name, "seeing"])
    assert status == 2 and f"COULD NOT RUN {BROKEN[name]}" in output


@pytest.mark.parametrize("name", [*NOT_INSTALLED, "blind"])
def test_a_named_backend_that_is_not_here_cannot_be_run(name, monkeypatch):
    """Exit status 2 with what is missing in one line, also beside others that conform."""
    status, output = run(monkeypatch, [], name, "seeing")
    said = NOT_INSTALLED.get(name, "blind: no device: no GPU in sight")
    assert status == 2 and output.strip() == f"COULD NOT RUN {said}"


def test_a_run_in_which_nothing_is_here_proves_nothing(monkeypatch):
    status, output = run(monkeypatch, ["blind", "nowhere"])
    assert status == 2 and "COULD NOT RUN no backend: " in output and "nowhere: not installed" in output


def test_what_is_left_out_is_left_out_once_whichever_process_meets_it():
    """Two processes, each with a task of the same absent backend."""
    absent, seen = {}, []
    work = [*tasks_for(["nowhere"], [AdamW]), *tasks_for(["seeing"], [AdamW])]
    check_all(work, Plan("smoke", 0, 30), seen.append, 2, absent=absent)
    assert set(absent) == {"nowhere"} and {result.backend for result in seen} == {"seeing"}


def test_a_framework_is_also_what_the_entry_point_is_called():
    """Where a distribution says nothing of it, or there is none."""
    point = EntryPoint("unheard", "other_unheard:start", "deva.backends")
    error = ModuleNotFoundError("No module named 'unheard'", name="unheard")
    assert missing_framework(point, error) == "no module unheard (pip install unheard)"
    assert missing_framework(point, ModuleNotFoundError("", name="unheard.of")) is None
    assert missing_framework(point, ImportError("", name="unheard")) is None


def test_what_is_absent_cannot_be_run_by_the_function_either():
    with pytest.raises(Absent, match="no device: no GPU in sight"):
        load("blind")


def test_a_namespace_that_is_not_installed_is_said_to_be(monkeypatch):
    status, output = run(monkeypatch, [], "--namespace", "unheard_of.numpy")
    assert status == 2
    assert output.strip() == "COULD NOT RUN unheard_of.numpy: not installed: no module unheard_of"


@pytest.mark.parametrize(
    ("way", "status"),
    [
        (["-m", "deva_conformance"], 2),
        (["-m", "deva_conformance.faults"], 2),
        (["-m", "deva_conformance", "vectors", "--out", "x"], 2),
        (["-c", "import deva_conformance"], 1),
    ],
)
def test_the_kit_without_its_extra_says_what_to_install(way, status, tmp_path):
    """In one line, where it is a command; an import raises as imports do."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['hypothesis'] = None", encoding="utf-8")
    paths = [str(tmp_path), *filter(None, sys.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, *way], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    words = "deva_conformance needs hypothesis: pip install 'deva-optim[conformance]'"
    assert done.returncode == status and words in done.stderr
    assert ("Traceback" in done.stderr) == (status == 1)
