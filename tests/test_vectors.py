"""Test vectors: the same bytes each time, what the rules compute, and C++ takes a step from them."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import array_api_compat.numpy as xp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from deva_conformance.__main__ import app
from deva_conformance.oracle.deva import turned
from deva_conformance.tolerance import exported
from deva_conformance.vectors import BUDGETS, STEPS, write
from deva_core import RULES, Backend

READER = Path(__file__).parent.parent / "examples" / "vectors" / "muon.cpp"
OTHER_MUONS = ("keller", "torch", "optax", "moonlight", "deva-authors")
compiler = shutil.which("c++") or shutil.which("g++")
needs_compiler = pytest.mark.skipif(not compiler, reason="the reader is in C++")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("vectors")
    write(made, RULES)
    return made


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    program = tmp_path_factory.mktemp("reader") / "muon"
    subprocess.run([compiler, "-std=c++17", "-O1", "-Wall", "-Werror", READER, "-o", program], check=True)
    return lambda file: subprocess.run([program, file], capture_output=True, text=True, check=False)


def index(folder):
    return json.loads((folder / "vectors.json").read_text(encoding="utf-8"))


def part(tensors, prefix):
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(folder, tmp_path):
    assert CliRunner().invoke(app, ["vectors", "--out", str(tmp_path / "a"), "--rules", "AdamW"]).exit_code == 0
    write(tmp_path / "b", [r for r in RULES if r.__name__ == "AdamW"], seed=1)
    files = sorted(p.name for p in (tmp_path / "a").glob("*.safetensors"))
    same = [(tmp_path / "a" / f).read_bytes() == (folder / f).read_bytes() for f in files]
    other = [(tmp_path / "b" / f).read_bytes() == (folder / f).read_bytes() for f in files]
    assert files and all(same) and not any(other)


def test_the_index_names_every_file_with_its_digest_and_formula(folder):
    found = index(folder)
    assert set(found["files"]) == {p.name for p in folder.glob("*.safetensors")}
    for name, file in found["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == file["sha256"]
        assert "<-" in found["formulas"][file["rule"]]
    assert {file["rule"] for file in found["files"].values()} == {rule.__name__ for rule in RULES}
    assert sum(p.stat().st_size for p in folder.iterdir()) < 2e6


def hyper(file):
    """What JSON made of the hyperparameters, undone."""
    tuples = {k: tuple(map(tuple, v)) if np.ndim(v) == 2 else v for k, v in file["hyperparameters"].items()}
    return {k: tuple(v) if isinstance(v, list) else v for k, v in tuples.items()}


def internal(rule, before, b):
    """A state in the paper's letters as the rule's own: the internal scale is 1, DeVA's momentum in its eigenbasis."""
    fields = rule.init(before["W"], b)._asdict() | {k: x for k, x in before.items() if k != "W"}
    if "row_basis" in fields:
        fields["momentum"] = turned(fields["momentum"], fields["row_basis"], fields["column_basis"])
    if "scale" in fields:
        fields["scale"] = np.ones_like(fields["scale"])
    return fields


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("dtype", BUDGETS)
def test_the_rules_own_steps_are_within_the_budgets(folder, rule, dtype):
    b = Backend(xp=xp)
    for name, file in index(folder)["files"].items():
        if file["rule"] != rule.__name__:
            continue
        own = rule(**hyper(file))
        for t in range(1, STEPS + 1):
            tensors = part(load_file(folder / name), f"step{t}/")
            given = {k: x.astype(dtype) for k, x in internal(own, part(tensors, "before/"), b).items()}
            W = tensors["before/W"].astype(dtype)
            delta, state = own.update(tensors["gradient"].astype(dtype), rule.State(**given), W, t, b)
            after = {"W": W + delta, **exported(state)}
            expected = part(tensors, "expected/")
            assert expected.keys() == {field for field, x in after.items() if x.size}
            for field, x in expected.items():
                assert np.linalg.norm(after[field].astype(float) - x) <= tensors[f"budget/{dtype}/{field}"], (
                    name,
                    t,
                    field,
                )


def test_the_iterates_of_newton_schulz_follow_from_each_other(folder):
    """By products of matrices, where the oracle has the polynomial of the singular values."""
    for name in ("muon-gaussian-5x3", "adago-rank_one-3x4", "deva-gaussian-4x4"):
        tensors = load_file(folder / f"{name}.safetensors")
        trace = part(tensors, "step2/intermediate/newton_schulz_")
        for k, (a, b, c) in enumerate(tensors["hyper/ns_coefficients"]):
            X = trace[f"{k}"]
            A = X @ X.T
            np.testing.assert_allclose(a * X + (b * A + c * A @ A) @ X, trace[f"{k + 1}"], atol=1e-13)
        np.testing.assert_array_equal(trace["5"], tensors["step2/intermediate/orthogonal"])


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path):
    (tmp_path / "taken").write_text("")
    result = CliRunner().invoke(app, ["vectors", "--out", str(tmp_path / "taken"), "--rules", "AdamW"])
    assert result.exit_code == 2 and result.stdout.startswith("COULD NOT RUN")


@needs_compiler
def test_a_reader_in_cpp_takes_muons_steps_within_the_budgets(folder, reader):
    files = [f for f in sorted(folder.glob("muon-*")) if not any(f"-{d}-" in f.name for d in OTHER_MUONS)]
    assert len(files) == 7
    for file in files:
        result = reader(file)
        assert result.returncode == 0, f"{file.name}\n{result.stdout}{result.stderr}"
        assert result.stdout.count("allowed") == 2 * 2 * STEPS


@needs_compiler
def test_the_reader_tells_another_dialect_a_spoiled_number_and_a_broken_file(folder, reader, tmp_path):
    assert reader(folder / "muon-optax-gaussian-5x3.safetensors").returncode == 1
    good = folder / "muon-gaussian-5x3.safetensors"
    tensors = load_file(good)
    tensors["step3/expected/momentum"][0, 0] += 1e-5
    save_file(tensors, tmp_path / "spoiled")
    assert reader(tmp_path / "spoiled").returncode == 1
    (tmp_path / "cut").write_bytes(good.read_bytes()[:-9])
    (tmp_path / "empty").write_bytes(b"")
    assert [reader(tmp_path / file).returncode for file in ("cut", "empty", "none")] == [2, 2, 2]
