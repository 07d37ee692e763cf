"""Simulated: deva_cupy on a NumPy-backed stand-in, its kernels' text run by g++. NO GPU CODE IS RUN here."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import cuda_shim
from tests.fake_cupy.checks import CHECKS

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.skipif(cuda_shim.compiler() is None, reason="the stand-in runs kernels through g++, which is not here")
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_simulated(check):
    """Each in a process of its own, where the stand-in is `cupy`, installed or not."""
    pytest.importorskip("ml_dtypes", reason="the stand-in's bfloat16 is ml_dtypes'")
    command = [sys.executable, "-W", "error", "-m", "tests.fake_cupy", "check", check.__name__]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
