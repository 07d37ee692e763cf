"""`benchmarks.speed`: its counts are operations, its statistics what they say, its page what its JSON gives."""

import re
from importlib.util import find_spec
from unittest import mock

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("typer")
pytest.importorskip("threadpoolctl")

from benchmarks.speed import __main__ as program
from benchmarks.speed import (
    alternating,
    compiled,
    dispatches,
    flops,
    growth,
    makers,
    memory,
    page,
    pairs,
    report,
    result,
    run,
    sets,
    sides,
)
from benchmarks.speed.floors import counted
from benchmarks.speed.published_numpy import SingleDeviceMuon
from benchmarks.speed.statistics import ratio, summary
from deva_core import JORDAN, Muon
from deva_numpy import Optimizer

ORIENTATIONS = [(8, 8), (8, 24), (24, 8)]
TINY = {"nano": [(8, 16), (16, 8), (8, 8)], "many": [(4, 4)] * 3, "vector": [(9, 4), (5,)], "nano/6": [(8, 16)]}
needs_jax = pytest.mark.skipif(not (find_spec("jax") and find_spec("optax")), reason="the sides are JAX's")


class CountingProducts:
    """NumPy's product, counted."""

    total = 0

    def __call__(self, A, B):
        self.total += flops.gemm(*A.shape, B.shape[1])
        return A @ B


def plain_by(product, X, steps):
    for a, b, c in steps:
        A = product(X, X.T)
        X = a * X + product(b * A + c * product(A, A), X)
    return X


def gram_by(product, X, steps, restarts):
    """Gram Newton–Schulz in the matrix form of Dao-AILab/gram-newton-schulz."""
    for k, (a, b, c) in enumerate(steps):
        if k == 0 or k in restarts:
            X = product(Q, X) if k else X  # noqa: F821 - Q is of the segment before
            R, Q = product(X, X.T), None
        Z = b * R + c * product(R, R)
        Q = Z + a * np.eye(len(Z)) if Q is None else product(Q, Z) + a * Q
        if k + 1 < len(steps) and k + 1 not in restarts:
            RZ = product(R, Z) + a * R
            R = product(Z, RZ) + a * RZ
    return product(Q, X)


# --- counts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(6, 6), (6, 15), (3, 40)])
@pytest.mark.parametrize(("steps", "restarts"), [(5, (2,)), (5, ()), (6, (2, 4)), (1, ())])
def test_the_formulas_are_the_operations_of_the_algorithms(n, m, steps, restarts):
    X = np.random.default_rng(0).normal(size=(n, m))
    X /= np.linalg.norm(X)
    plain, gram = CountingProducts(), CountingProducts()
    results = plain_by(plain, X, [JORDAN] * steps), gram_by(gram, X, [JORDAN] * steps, restarts)
    np.testing.assert_allclose(*results, atol=1e-9)
    assert plain.total == flops.plain(n, m, steps)
    assert gram.total == flops.gram(n, m, steps, restarts)


@pytest.mark.parametrize("shape", ORIENTATIONS)
def test_torchs_muon_multiplies_as_often_as_the_plain_formula_says(shape):
    found = counted(makers.torch_optim("Muon", **pairs.MUON), [shape] * 2)
    assert found == {flops.oriented(shape): 2 * flops.plain(*flops.oriented(shape))}


@needs_jax
@pytest.mark.parametrize("shape", ORIENTATIONS)
def test_a_scan_in_optaxs_muon_is_counted_as_often_as_it_runs(shape):
    assert counted(makers.optax_muon, [shape]) == {flops.oriented(shape): flops.plain(*flops.oriented(shape))}


def test_a_count_is_named_after_its_formula():
    assert flops.named(flops.plain(8, 64), 8, 64) == "plain"
    assert flops.named(flops.gram(8, 64), 8, 64) == "Gram"
    assert flops.named(0.5 * flops.gram(8, 64), 8, 64).startswith("other")


def test_torchs_muon_dispatches_28_operations_a_matrix():
    found = dispatches.counted(makers.torch_optim("Muon", **pairs.MUON), [(4, 4)] * 5)
    assert found.total() == 28 * 5 + 2


# --- statistics -------------------------------------------------------------------------------------------------------


def test_noise_that_both_sides_share_leaves_no_interval():
    noise = list(np.random.default_rng(0).lognormal(size=20))
    for statistic in ("median", "mean"):
        found = ratio([0.5 * x for x in noise], noise, statistic)
        assert found["value"] == pytest.approx(0.5)
        assert found["low"] == pytest.approx(found["high"])


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says():
    r = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        found = ratio(list(r.lognormal(sigma=0.1, size=25)), list(r.lognormal(sigma=0.1, size=25)))
        held += found["low"] <= 1 <= found["high"]
    assert 85 <= held <= 100


def test_a_mean_sees_the_refresh_that_a_median_does_not():
    ours, theirs = [1.0] * 9 + [11.0], [1.0] * 10
    assert ratio(ours, theirs, "median")["value"] == 1
    assert ratio(ours, theirs, "mean")["value"] == 2
    assert summary(ours)["mean"] == 2


def test_the_sides_step_in_turn_and_swap_every_round_with_the_same_gradients():
    log = []

    class Recorder:
        def __init__(self, name):
            self.name = name

        def give(self, gradients):
            log.append((self.name, gradients))

        def step(self):
            pass

    times = alternating.alternate({"a": Recorder("a"), "b": Recorder("b")}, list(range(3)), rounds=2, warm_up=1)
    assert log == [("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]
    assert {name: len(seconds) for name, seconds in times.rounds.items()} == {"a": 2, "b": 2}


# --- peers and targets ------------------------------------------------------------------------------------------------


def test_the_transcription_is_the_dialect_of_its_author():
    shapes = {"wide": (4, 7), "tall": (7, 4), "square": (5, 5)}
    params = {name: W.astype(float) for name, W in zip(shapes, sets.arrays(list(shapes.values()), 0), strict=True)}
    theirs = SingleDeviceMuon([W.copy() for W in params.values()], lr=0.1, weight_decay=0.2)
    ours = Optimizer(Muon.dialect("keller", lr=0.1, weight_decay=0.2))
    state = ours.init(params)
    for k in range(3):
        grads = [G.astype(float) for G in sets.arrays(list(shapes.values()), seed=k)]
        theirs.step(grads)
        params, state = ours.step(params, dict(zip(shapes, grads, strict=True)), state)
    for W, peer in zip(params.values(), theirs.params, strict=True):
        np.testing.assert_allclose(W, peer, rtol=0, atol=1e-9)


def test_targets_are_of_pairs_and_sets_that_exist():
    known = {pair.name: {name.partition("/")[0] for name in pair.sets} for pair in pairs.PAIRS}
    for pair, wanted in pairs.targets().items():
        assert {name.split()[-1] for name in wanted} <= known[pair]


def test_a_pair_without_its_peer_is_left_out_and_said():
    plan = run.Plan(pairs=["deva"], parts=("pairs",))
    assert plan.cases == []
    found = run.run(plan, tick=lambda: None, say=lambda text: None)
    assert "--deva-authors" in found["skipped"][0]["reason"]


def test_an_unknown_pair_is_an_error():
    with pytest.raises(ValueError, match="no pair is named nonsense"):
        run.Plan(pairs=["nonsense"])


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", memory.RULES)
@pytest.mark.parametrize("shape", [(16, 16), (8, 24)])
def test_the_state_of_a_rule_stays_within_its_documented_bound(rule, shape):
    make, _, bound = memory.RULES[rule]
    assert memory.state_bytes(make, shape) <= bound(*shape) * shape[0] * shape[1] + memory.SLACK


def test_a_step_of_ours_stays_within_the_documented_bytes_a_parameter():
    for shapes in ([(64, 64)] * 24, [(64, 512)], [(256, 64)] * 3):
        assert memory.step_extra(pairs.TORCH_MUON, shapes) <= memory.PEAK_BOUND * sets.size(shapes)


def test_extra_bytes_are_the_most_that_was_there_at_once():
    import torch

    def allocate():
        first = torch.empty(1_000_000)
        del first
        return torch.empty(500_000)

    assert memory.extra_bytes(allocate) == pytest.approx(4_000_000, rel=0.01)


@pytest.mark.parametrize(("device", "why"), [("gpu", "there are"), ("cuda", "finds no CUDA device")])
def test_a_device_that_is_not_there_is_refused(device, why, monkeypatch):
    from typer import BadParameter

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(BadParameter, match=why):
        program.measure(mock.Mock(invoked_subcommand=None), device=device)
    assert sides.DEVICE == "cpu"


# --- the whole --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny():
    """A whole run on tiny sets."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_tiny(monkeypatch)
        names = ["torch-muon", "numpy-muon", "torch-vector-half"]
        names += ["jax-muon"] if find_spec("jax") and find_spec("optax") else []
        plan = run.Plan(pairs=names, sets=["nano", "vector"], rounds=2, threads=1)
        return run.run(plan, tick=lambda: None, say=lambda text: None)


def make_tiny(monkeypatch):
    monkeypatch.setattr(run, "SETS", TINY)
    monkeypatch.setattr(run, "COMPILES", {"cpu": 1})
    monkeypatch.setattr(memory, "SETS", TINY)
    monkeypatch.setattr(memory, "PEAKS", ("nano", "many"))
    monkeypatch.setattr(memory, "SHAPES", ((4, 4), (4, 8)))
    monkeypatch.setattr(dispatches, "CASES", {"many": TINY["many"]})
    monkeypatch.setattr(compiled, "SETS", TINY)
    monkeypatch.setattr(compiled, "COMPILER", "eager")
    for name in ("LARGE_COUNTS", "SMALL_COUNTS"):
        monkeypatch.setattr(growth, name, (1, 2))
    monkeypatch.setattr(growth, "LARGE", (8, 8))
    monkeypatch.setattr(growth, "SMALL", (4, 4))
    monkeypatch.setattr(growth, "ROUNDS", {(8, 8): 2, (4, 4): 2})


def test_a_tiny_run_gives_every_table_and_the_page(tiny, tmp_path):
    failed = [s for s in tiny["skipped"] if " on " in s["pair"]]
    assert not failed
    assert {row["set"] for row in tiny["pairs"]} == {"nano", "vector"}
    result.write(tmp_path / "speed.json", tiny)
    read = result.read(tmp_path / "speed.json")
    required = result.Result.__required_keys__
    assert required <= set(read) <= required | result.Result.__optional_keys__
    for row in read["pairs"]:
        assert set(row) <= result.Row.__required_keys__ | result.Row.__optional_keys__
        assert len(row["ours"]["seconds"]) == row["rounds"]
    titles = {title for title, _, rows in report.tables(read) if rows}
    assert len(titles) >= 8
    assert [row["set"] for row in read["compiled"]] == list(compiled.NAMES)
    text = page.text(read)
    assert not re.findall(r"\{[a-z_]+\}", text), "a part of the page was not filled in"
    assert text == page.text(read)


def test_plots_are_drawn_from_the_result_and_are_the_same_twice(tiny, tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks.speed import plots

    first, second = plots.draw(tiny, tmp_path / "a"), plots.draw(tiny, tmp_path / "b")
    assert {path.name for path in first} == set(plots.PICTURES)
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_is_what_the_published_result_gives():
    written = (program.ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert written == page.text(result.read(program.PUBLISHED))


def test_the_words_of_the_page_hold_no_figures():
    words = page.TEMPLATE.read_text(encoding="utf-8")
    assert not re.findall(r"\d[\d.,]*\s*(?:ms|µs|s\b|MB|GB|times|×|GFLOP|M\b)", words)
