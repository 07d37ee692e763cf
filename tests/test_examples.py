"""The examples run as their docstrings say, and fail where they should. Those of trainers have tests of their own."""

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import QUICK_TO_COMPILE

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
FLAGS = f"{QUICK_TO_COMPILE} --xla_cpu_multi_thread_eigen=false"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "XLA_FLAGS": FLAGS, "JAX_PLATFORMS": "cpu"}
NEEDS = {"numpy_digits": (), "own_stack": ("array_api_strict",), "torch_then_jax": ("torch", "jax", "optax")}


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", NEEDS)
def test_an_example_says_that_all_is_well(name, tmp_path):
    if missing := [module for module in NEEDS[name] if find_spec(module) is None]:
        pytest.skip(f"{', '.join(missing)} is not installed")
    result = run(str(EXAMPLES / f"{name}.py"), cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_example_that_has_learned_too_little_says_so(tmp_path):
    pytest.importorskip("array_api_strict")
    result = run(str(EXAMPLES / "own_stack.py"), "--steps", "3", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (1, "")


PLAIN_TORCH = f"""
import sys, torch
sys.path.insert(0, {str(EXAMPLES)!r})
import torch_digits
from pathlib import Path

assert torch_digits.main(["--out", "out"]) == 0
last = Path("out/epoch-4.pt")
first = torch.load(last, weights_only=True)
last.unlink()
assert torch_digits.main(["--out", "out", "--resume"]) == 0
again = torch.load(last, weights_only=True)
torch.testing.assert_close(first["model"], again["model"], rtol=0, atol=0)
torch.testing.assert_close(first["optimizer"]["state"], again["optimizer"]["state"], rtol=0, atol=0)
assert first["optimizer"]["param_groups"] == again["optimizer"]["param_groups"]
assert first["scheduler"] == again["scheduler"]

try:
    raise AssertionError(f"not refused: {{torch_digits.main(['--resume'])}}")
except SystemExit as refused:
    assert refused.code == 2, "--resume needs --out"
"""


def test_the_plain_torch_loop_goes_on_from_its_checkpoint_to_the_same_bits(tmp_path):
    pytest.importorskip("torch")
    result = run("-c", PLAIN_TORCH, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_example_gives_its_command_and_is_on_the_page():
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        command = f"examples/{path.name}"
        assert command in (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""), path
        assert command in page, path
