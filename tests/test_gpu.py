"""`make gpu`, the only layer that runs on a GPU: here its plumbing, and that it claims nothing where there is none."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import checks, choices, devices, kit, timings
from benchmarks.speed.sets import SETS

ROOT = Path(__file__).parent.parent
HIDDEN = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}


def test_importing_it_loads_no_framework():
    code = "import sys, benchmarks.gpu.__main__; print(*sys.modules)"
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
    kept = kit.run_kit("deva_numpy:start", "smoke")
    assert kept["exit_status"] == 0 and kept["conforms"] and kept["executed"] > 0 and not kept["broken"], kept
    lost = kit.run_kit("deva_nowhere:start", "smoke")
    assert lost["exit_status"] == 2 and lost["executed"] is None
    assert lost["broken"][0].startswith("COULD NOT RUN")


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_its_steps_and_starts_run_on_a_cpu(library, monkeypatch):
    """Their figures mean nothing there."""
    pytest.importorskip(library)
    monkeypatch.setattr(devices, "TORCH_DEVICE", "cpu")
    monkeypatch.setattr(timings, "RULES", timings.RULES[:1])
    found = list(timings.timings(library, 1, shapes=((4, 6),)))
    assert len(found) == (2 if library == "jax" else 4) and not [case["error"] for case in found if "error" in case]
    if find_spec("typer"):
        from deva_conformance import Subject, check_backend, law

        start = getattr(kit, f"{library}_start")
        laws = [law("determinism"), law("operations")]
        assert check_backend(Subject(library, start), laws=laws, profile="smoke").conforms


class Replayed:
    """A graph that makes a step anew."""

    def __init__(self, optimizer):
        self.replay = optimizer.step


def after_three_steps(optimizer):
    """What `captured` gives, without a graph."""
    for _ in range(3):
        optimizer.step()
    return Replayed(optimizer)


def test_the_checks_of_torch_run_on_a_cpu(monkeypatch):
    """What stands for a graph makes the steps of Python; nothing waits; sizes are not measured."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(devices, "TORCH_DEVICE", "cpu")
    monkeypatch.setattr(checks, "STEPS", 5)
    monkeypatch.setattr(checks, "captured", after_three_steps)
    for name in ("synchronize", "set_sync_debug_mode", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda *mode: None)
    for name in ("memory_allocated", "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda: 0)
    for name in ("nano", "many", "tall"):
        monkeypatch.setitem(SETS, name, [(4, 6), (4, 6)])
    found = checks.of_torch()
    assert all(error < 1e-6 for error in found["graph_errors"].values())
    assert found["waits"] == {kind: {} for kind in checks.RULES}
    assert all(ms > 0 for times in found["graph_ms"].values() for ms in times.values())


def test_an_error_of_a_check_is_kept_beside_the_others(monkeypatch):
    assert checks.attempted(lambda: 1 / 0) == {"error": "ZeroDivisionError: division by zero"}


def test_the_choices_of_jax_are_tried_on_a_cpu(monkeypatch):
    pytest.importorskip("jax")
    monkeypatch.setattr(choices, "ROUNDS", 1)
    monkeypatch.setattr(choices, "COUNT", 2)
    monkeypatch.setattr(choices, "LOOPED", (4,))
    (row,) = choices.of_jax()
    assert row["shape"] == (4, 4) and row["batched"] > 0 and row["loop"] > 0


@pytest.mark.parametrize("broken", [[], ["BROKEN purity deva_cupy:start Muon …"]])
def test_a_report_names_device_driver_and_versions_and_what_was_not_run(broken, monkeypatch, tmp_path):
    verdict = {"exit_status": len(broken), "counts": {}, "broken": broken}
    monkeypatch.setattr(
        devices, "found_devices", lambda: ({"jax": "a device of this test"}, {"torch": "not installed"})
    )
    monkeypatch.setattr(devices, "driver", lambda: "a driver of this test")
    monkeypatch.setattr(kit, "run_kits", lambda libraries, profile, jobs: dict.fromkeys(libraries, verdict))
    monkeypatch.setattr(timings, "timings", lambda library, steps: iter(()))
    monkeypatch.setitem(choices.TRIED, "jax", lambda: 1 / 0)
    assert gpu.main(["--report", str(tmp_path / "new" / "gpu.json")]) == len(broken)
    written = json.loads((tmp_path / "new" / "gpu.json").read_text())
    assert written["backends"]["torch"] == {"not_run": "not installed"}
    assert (
        written["backends"]["jax"]["device"] == "a device of this test" and written["backends"]["jax"]["kit"] == verdict
    )
    assert written["backends"]["jax"]["choices"] == {"error": "ZeroDivisionError: division by zero"}
    assert written["driver"] == "a driver of this test" and {"python", "numpy"} <= written["versions"].keys()
