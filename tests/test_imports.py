"""Who may import what."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def loaded_by(statement: str, cwd: Path) -> set[str]:
    """The top-level modules that a fresh interpreter has after a statement."""
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", code], cwd=cwd, check=True, capture_output=True, text=True).stdout.split()
    )


def test_the_core_loads_no_framework(tmp_path):
    heavy = {"numpy", "torch", "jax", "optax", "cupy", "hypothesis", "scipy"}
    assert not heavy & loaded_by("import deva_core", tmp_path)


def test_this_check_can_fail(tmp_path):
    assert "numpy" in loaded_by("import deva_numpy", tmp_path)


@pytest.mark.parametrize(("backend", "others"), [("deva_torch", "jax"), ("deva_jax", "torch"), ("deva_numpy", "torch")])
def test_a_backend_loads_no_other_framework(backend, others, tmp_path):
    pytest.importorskip(backend.removeprefix("deva_"))
    assert others not in loaded_by(f"import {backend}", tmp_path)


@pytest.mark.parametrize("source_root", ["backends", "conformance"])
def test_source_roots_are_no_packages_outside_the_repository(source_root, tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", f"import {source_root}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "ModuleNotFoundError" in result.stderr
