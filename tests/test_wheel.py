"""What is built is what works: the wheel, in an environment that does not see the tree."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import deva_core

ROOT = Path(__file__).parent.parent
PACKAGES = ("deva_core", "deva_numpy", "deva_torch", "deva_jax", "deva_cupy", "deva_conformance")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """An interpreter with the wheel unpacked, and this environment's other packages behind it.

    A path file is not read recursively, so the editable install of the tree stays out.
    """
    home = tmp_path_factory.mktemp("wheel") / "env"
    venv.create(home, with_pip=False, symlinks=os.name == "posix")
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))
    zipfile.ZipFile(wheel).extractall(site)
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / ("Scripts" if os.name == "nt" else "bin") / "python"


def test_the_wheel_has_every_package_typed_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == set(PACKAGES)
    assert all(f"{package}/py.typed" in names for package in PACKAGES)


def test_the_wheel_has_the_version_of_the_package(wheel):
    assert wheel.name.split("-")[1] == deva_core.__version__


def test_the_kit_accepts_numpy_from_the_wheel(python, tmp_path):
    code = "import deva_core, pathlib; print(pathlib.Path(deva_core.__file__).parent)"
    where = subprocess.run(
        [python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert str(python.parent.parent) in where
    kit = [python, "-m", "deva_conformance", "numpy", "--rules", "Muon"]
    result = subprocess.run(kit, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
