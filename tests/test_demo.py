"""`examples/digits.py`, the main job: its backward pass, its files, its verdict, its messages."""

import importlib
import io
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")
pytest.importorskip("rich")

EXAMPLES = Path(__file__).parents[1] / "examples"
BACKENDS = [name for name, needs in {"numpy": "numpy", "torch": "torch", "jax": "optax"}.items() if find_spec(needs)]


@pytest.fixture
def demo(monkeypatch):
    """The demo's modules by name. Only those without torch and JAX: the demo switches JAX to 64 bits."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return lambda name: importlib.import_module(f"demo.{name}")


def digits(*arguments, cwd, **environment):
    """Run the program as a user does, JAX compiled with XLA's own options."""
    command = [sys.executable, str(EXAMPLES / "digits.py"), *arguments]
    environment = {**os.environ, "COLUMNS": "160", "PYTHONIOENCODING": "utf-8", **environment}
    environment.pop("XLA_FLAGS", None)
    return subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8", env=environment, check=False)


def test_the_hand_written_backward_pass_is_the_derivative(demo):
    """Every parameter, several directions, against fourth-order finite differences."""
    assert demo("numpy_net").backward_error() < 1e-10


@pytest.mark.parametrize("name", ["1.weight", "1.bias", "2.weight", "2.bias", "3.weight", "3.bias"])
def test_the_check_finds_a_wrong_gradient(demo, name):
    """One parameter's gradient off by a thousandth is seen."""
    net = demo("numpy_net")

    def wrong(*arguments):
        loss, gradients = net.loss_and_gradients(*arguments)
        return loss, gradients | {name: gradients[name] * 1.001}

    assert net.backward_error(gradients=wrong) > 1e-6


def test_a_seed_fixes_the_problem(demo):
    """The same seed makes the same split, weights and batches; each epoch shows every image at most once."""
    problem, training = demo("data"), demo("training")
    a, b, c = (training.Problem.of(seed, 30) for seed in (3, 3, 4))
    assert np.array_equal(a.start, b.start) and not np.array_equal(a.start, c.start)
    assert np.array_equal(a.order, b.order) and a.order.shape == (30, problem.BATCH)
    assert a.images + len(a.digits.test_x) == 1797
    assert len(np.unique(a.order[:22])) == 22 * problem.BATCH


def test_parted_is_relative_to_the_distance_that_the_first_walked(demo):
    parted = demo("training").parted
    start, a, b = np.zeros(2), [np.array([3.0, 4.0])], [np.array([3.0, 5.0])]
    assert parted(a, b, start) == pytest.approx([0.2])


def is_readable_at_80_columns(text):
    """Nothing is cut, no cell is broken, and a row of a table says nothing of two frameworks or optimizers at once."""
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]
    rules = [row for row in rows if len(row) == 5]
    assert len(rules) == 3 * len(BACKENDS) and all(all(row[1:]) for row in rules)
    assert "Largest distance between any two frameworks" in text or len(BACKENDS) == 1
    assert all(all(row) for row in rows if len(row) in (3, 4))


def test_on_a_terminal_a_phase_ends_in_one_line_and_the_display_goes(tmp_path, demo):
    """What is left of the live display, on a terminal of 80 columns."""
    rich, output = pytest.importorskip("rich.console"), io.StringIO()
    console = rich.Console(file=output, force_terminal=True, width=80)
    with demo("progress").Progress(console) as progress:
        for k in range(3):
            with progress.task(f"phase {k}", 5) as tick:
                for step in range(5):
                    tick(f"loss {step}")
    ended = re.findall(r"✓.*", output.getvalue())
    assert [re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", line).split(",")[0] for line in ended] == [
        f"✓ phase {k}: loss 4" for k in range(3)
    ]


def test_a_phase_that_fails_ends_its_line(demo):
    rich, output = pytest.importorskip("rich.console"), io.StringIO()
    progress = demo("progress").Progress(rich.Console(file=output))
    with pytest.raises(IndexError), progress, progress.task("taking"):
        [].pop()
    assert output.getvalue() == "taking: stopped\n"


def test_every_installed_framework_agrees_and_the_files_are_complete(tmp_path):
    """Five steps of every rule; the verdict, the record and the page."""
    done = digits("--steps", "5", "--out", "here", cwd=tmp_path, COLUMNS="80")
    assert done.returncode == 0, done.stdout + done.stderr
    is_readable_at_80_columns(done.stdout)
    phases, shown = done.stdout.split("\n\n", 1)
    assert len(phases.splitlines()) == len(set(phases.splitlines())) <= 23  # one line a phase
    assert shown.split("Where to look\n  ")[1].startswith(f"{Path('here') / 'demo.html'}: the report")
    record = json.loads((tmp_path / "here" / "demo.json").read_text(encoding="utf-8"))
    assert {run["framework"] for run in record["runs"]} == set(BACKENDS)
    assert len(record["runs"]) == 3 * len(BACKENDS)
    assert record["backward_error"] < 1e-10
    assert all(run["jax_traces"] in (None, 1) for run in record["runs"])
    if len(BACKENDS) > 1:
        assert record["verdict"]["holds"] is True and record["verdict"]["worst"] < 1e-8
    if {"torch", "jax"} <= set(BACKENDS):
        assert record["today"]["array"]["ours"] < 1e-12 < record["today"]["array"]["same layer"]
    page = (tmp_path / "here" / "demo.html").read_text(encoding="utf-8")
    assert "{{" not in page and "NaN" not in page
    assert "src=" not in page and "<link" not in page  # self-contained: nothing is fetched
    embedded = page.split('id="record">')[1].split("</script>")[0]
    assert json.loads(embedded)["steps"] == 5


def test_one_framework_alone_runs_and_says_so(tmp_path):
    done = digits("--steps", "2", "--frameworks", "numpy", "--rules", "AdaGO", "--dtype", "float32", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "One framework only" in done.stdout and "left out (needs PyTorch and JAX)" in done.stdout
    record = json.loads((tmp_path / "out" / "demo.json").read_text(encoding="utf-8"))
    assert record["verdict"]["holds"] is None and record["float32"]["rule"] == "AdaGO"


def test_a_framework_that_is_not_installed_is_named_in_the_table(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    arguments = "--steps", "2", "--frameworks", "torch", "numpy", "--rules", "Muon"
    done = digits(*arguments, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not installed: torch" in done.stdout
    none = digits("--frameworks", "torch", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert none.returncode == 1 and "none of these frameworks is installed: torch" in none.stderr


@pytest.mark.parametrize(
    ("dtype", "distance", "holds"), [("float64", 9e-9, True), ("float64", 2e-8, False), ("float32", 1e-4, None)]
)
def test_the_verdict_fails_above_the_limit(monkeypatch, dtype, distance, holds):
    """1e-8 in float64; float32 is not judged."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    agreement = {"Muon": {"curve": [1e-14, 1e-14]}, "DeVA": {"curve": [1e-14, distance]}}
    verdict = importlib.import_module("digits").verdict({"dtype": dtype, "steps": 2, "agreement": agreement})
    assert verdict["worst"] == distance and verdict["holds"] is holds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "--steps must be at least 1, got 0"),
        (["--epochs", "-2"], "--epochs must be at least 1, got -2"),
        (["--rules", "Moun"], "invalid choice: 'Moun'"),
        (["--frameworks", "tensorflow"], "invalid choice: 'tensorflow'"),
        (["--dtype", "bfloat16"], "invalid choice: 'bfloat16'"),
        (["--steps", "3", "--epochs", "3"], "not allowed with"),
    ],
)
def test_bad_arguments_are_named(monkeypatch, capsys, arguments, message):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    with pytest.raises(SystemExit) as stop:
        importlib.import_module("digits").arguments(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
