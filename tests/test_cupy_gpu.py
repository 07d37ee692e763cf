"""`make gpu`, the only layer that runs on a GPU: here its plumbing, and that it claims nothing where there is none."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import gpu

ROOT = Path(__file__).parent.parent
HIDDEN = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}


def test_importing_it_loads_no_framework():
    code = "import sys, benchmarks.gpu; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not {"torch", "jax", "cupy"} & set(done.stdout.split())


def test_without_a_device_it_says_so_and_writes_nothing(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--report", tmp_path / "gpu.json"]
    done = subprocess.run(command, cwd=ROOT, env=HIDDEN, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "NOTHING WAS RUN" in done.stdout and "neither a pass nor a failure" in done.stdout
    assert done.stdout.count("not run:") == 3 and not list(tmp_path.iterdir())


def test_a_kit_run_is_reported_with_its_verdict():
    pytest.importorskip("typer")
    kept = gpu.run_kit("deva_numpy:start", "smoke")
    assert kept["exit_status"] == 0 and kept["conforms"] and kept["executed"] > 0 and not kept["broken"], kept
    lost = gpu.run_kit("deva_nowhere:start", "smoke")
    assert lost["exit_status"] == 2 and lost["executed"] is None
    assert lost["broken"][0].startswith("COULD NOT RUN")


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_its_steps_and_starts_run_on_a_cpu(library, monkeypatch):
    """Their figures mean nothing there."""
    pytest.importorskip(library)
    monkeypatch.setattr(gpu, "TORCH_DEVICE", "cpu")
    monkeypatch.setattr(gpu, "RULES", gpu.RULES[:1])
    found = list(gpu.timings(library, 1, shapes=((4, 6),)))
    assert len(found) == 4 and not [case["error"] for case in found if "error" in case]
    if find_spec("typer"):
        from deva_conformance import Subject, check_backend, law

        start = getattr(gpu, f"{library}_start")
        assert check_backend(Subject(library, start), laws=[law("determinism")], profile="smoke").conforms


@pytest.mark.parametrize("broken", [[], ["BROKEN purity deva_cupy:start Muon …"]])
def test_a_report_names_device_driver_and_versions_and_what_was_not_run(broken, monkeypatch, tmp_path):
    kit = {"exit_status": len(broken), "counts": {}, "broken": broken}
    monkeypatch.setattr(gpu, "found_devices", lambda: ({"jax": "a device of this test"}, {"torch": "not installed"}))
    monkeypatch.setattr(gpu, "driver", lambda: "a driver of this test")
    monkeypatch.setattr(gpu, "run_kit", lambda start, profile: kit)
    monkeypatch.setattr(gpu, "timings", lambda library, steps: iter(()))
    assert gpu.main(["--report", str(tmp_path / "new" / "gpu.json")]) == len(broken)
    written = json.loads((tmp_path / "new" / "gpu.json").read_text())
    assert written["backends"]["torch"] == {"not_run": "not installed"}
    assert written["backends"]["jax"]["device"] == "a device of this test" and written["backends"]["jax"]["kit"] == kit
    assert written["driver"] == "a driver of this test" and {"python", "numpy"} <= written["versions"].keys()
