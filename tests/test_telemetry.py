"""Telemetry says what a step did, says the same in every host, and changes nothing."""

import subprocess
import sys
import threading
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from unittest import mock

import array_api_strict
import numpy as np
import pytest

import deva_numpy
from deva_core import AdaGO, AdamW, Backend, DeVA, Layout, Muon, Optimizer, Telemetry, observe
from deva_core.linalg import polar
from deva_core.telemetry import orthogonality_error
from tests.gradients import orthogonal, stream

LAYOUT = {"qkv": Layout("(q k v) in", q=3, k=5, v=4), "experts": "batch out in", "one": "out in", "two": "out in"}
SHAPES = {"one": (12, 9), "two": (12, 9), "qkv": (12, 9), "experts": (2, 5, 4), "bias": (6,), "gain": ()}
PARAMS = {name: stream("full rank", (*shape, 1, 1), 1)[0].reshape(shape) for name, shape in SHAPES.items()}
RULES = [
    Muon(lr=lambda count: 0.02 / (1 + count), weight_decay=0.1),
    AdaGO(nesterov=True, scale="original"),
    DeVA(precondition_frequency=2),
]
STEPS = 3


def gradients(t):
    return {name: stream("full rank", (*shape, 1, 1), STEPS, 1)[t].reshape(shape) for name, shape in SHAPES.items()}


def in_core(rule, xp=np, kind=Optimizer):
    """Telemetry of every step, and the parameters' end."""
    optimizer, params, history = kind(rule, layout=LAYOUT), {name: xp.asarray(W) for name, W in PARAMS.items()}, []
    state = optimizer.init(params)
    for t in range(STEPS):
        with observe() as seen:
            grads = {name: xp.asarray(G) for name, G in gradients(t).items()}
            params, state = optimizer.step(params, grads, state)
        history.append(seen)
    return history, params


def in_numpy(rule):
    return in_core(rule, kind=deva_numpy.Optimizer)


def in_strict(rule):
    return in_core(rule, xp=array_api_strict)


def in_torch(rule):
    torch, deva_torch = pytest.importorskip("torch"), pytest.importorskip("deva_torch")
    params, history = {name: torch.nn.Parameter(torch.tensor(W)) for name, W in PARAMS.items()}, []
    optimizer = deva_torch.RuleOptimizer(list(params.items()), rule, layout=LAYOUT)
    for t in range(STEPS):
        for name, G in gradients(t).items():
            params[name].grad = torch.tensor(G)
        with observe() as seen:
            optimizer.step()
        history.append(seen)
    return history, {name: p.detach().numpy() for name, p in params.items()}


def in_jax(rule, names=("one", "two", "bias", "gain"), compiled=True):
    """Fewer parameters than elsewhere: each kind is compiled. Not compiled, it is only traced."""
    jax, deva_jax = pytest.importorskip("jax"), pytest.importorskip("deva_jax")
    layout = {name: pattern for name, pattern in LAYOUT.items() if name in names}
    optimizer, history = deva_jax.transform(rule, layout=layout), []

    def step(params, grads, state):
        with observe() as seen:
            updates, state = optimizer.update(grads, state, params)
        return {name: W + updates[name] for name, W in params.items()}, state, seen

    with jax.enable_x64(True):
        params = {name: jax.numpy.asarray(PARAMS[name]) for name in names}
        state, run = optimizer.init(params), jax.jit(step) if compiled else partial(jax.eval_shape, step)
        for t in range(STEPS):
            params, state, seen = run(params, {name: gradients(t)[name] for name in names}, state)
            history.append(seen)
    return history, {name: np.asarray(W) for name, W in params.items()}


def table(history, names):
    """Numbers by step, parameter and name."""
    return np.array([[[float(x) for x in seen[name]] for name in names] for seen in history])


HOSTS = [in_numpy, in_strict, in_torch, in_jax]
CASES = [(rule, host) for rule in RULES for host in HOSTS] + [(RULES[0], partial(in_jax, names=("qkv",)))]


@pytest.mark.parametrize(("rule", "host"), CASES, ids=lambda x: getattr(x, "__name__", type(x).__name__))
def test_every_host_gives_the_same_numbers(rule, host):
    """Blocks, stacks, equal shapes, a vector and a scalar; to 1e-9, of V relative to its largest entry."""
    history, _ = host(rule)
    names = list(history[0])
    ours, theirs = table(in_core(rule)[0], names), table(history, names)
    scale = np.abs(ours)
    scale[..., -2] = scale[..., -1]  # a smallest V may be rounding itself
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    assert np.nanmax(np.abs(theirs - ours) / np.where(scale > 0, scale, 1)) <= 1e-9
    matrices = [name in LAYOUT for name in names]
    assert np.isfinite(ours[..., [0, 1, 3, 4]]).all() and np.isfinite(ours[:, matrices, 2]).all()


@pytest.mark.parametrize("host", [in_numpy, in_torch], ids=lambda host: host.__name__)
def test_an_observed_step_moves_parameters_to_the_same_bits(host):
    for rule in RULES:
        _, watched = host(rule)
        with mock.patch("tests.test_telemetry.observe", nullcontext):
            _, alone = host(rule)
        assert all(np.array_equal(watched[name], alone[name]) for name in SHAPES)


def test_nothing_is_computed_where_nobody_looks():
    with mock.patch("deva_core.stacks.observed", side_effect=AssertionError("observed")):
        with mock.patch("tests.test_telemetry.observe", nullcontext):
            for host in (in_core, in_torch, partial(in_jax, compiled=False)):
                host(Muon())
        with pytest.raises(AssertionError, match="observed"):
            in_core(Muon())


def test_a_large_vector_is_observed_where_torch_would_step_it_in_parts():
    torch, deva_torch = pytest.importorskip("torch"), pytest.importorskip("deva_torch")
    ends = []
    for watching in (False, True):
        p = torch.nn.Parameter(torch.linspace(-1, 1, 64))
        optimizer = deva_torch.AdamW([("p", p)])
        p.grad = torch.cos(p.detach())
        with mock.patch("deva_torch._blocks.CACHED", 8), observe() if watching else nullcontext() as seen:
            optimizer.step()
        ends.append(p.detach())
    assert torch.equal(*ends) and 0 < seen["p"].update_rms < 1e-3


def one(rule, W, gradients_):
    """Telemetry of the last of some steps of one matrix, its state, and its change."""
    optimizer, params = Optimizer(rule), {"W": W}
    state = optimizer.init(params)
    for G in gradients_:
        before = params["W"]
        with observe() as seen:
            params, state = optimizer.step(params, {"W": G}, state)
    return Telemetry(*map(float, seen["W"])), state.slots["W"].state, params["W"] - before


def test_the_numbers_are_what_their_names_say():
    """Against their definitions, on a matrix of eight rows, for which the orthogonality error is exact."""
    W, Gs = np.ones((8, 20)), stream("full rank", (8, 20), 3)
    seen, S, change = one(Muon(lr=lambda count: 0.1 / (1 + count), scale="rms"), W, Gs)
    N = 0.95 * S.momentum + 0.05 * Gs[-1]
    sigma = np.linalg.svd(polar(N, Muon().orthogonalization, Backend.of(N)), compute_uv=False)
    assert np.isclose(seen.update_rms, np.sqrt(np.mean(change**2)), rtol=1e-9)
    assert np.isclose(seen.effective_lr, 0.1 / 3 * 0.2 * 20**0.5, rtol=1e-12)
    assert np.isclose(seen.orthogonality_error, np.sqrt(np.mean((sigma**2 - 1) ** 2)), rtol=1e-9)
    assert np.isclose(seen.momentum_rms, np.sqrt(np.mean(S.momentum**2)), rtol=1e-12)
    cosine = -np.sum(change * S.momentum) / np.linalg.norm(change) / np.linalg.norm(S.momentum)
    assert np.isclose(seen.momentum_cosine, cosine, rtol=1e-9)
    assert np.isnan(seen.second_moment_min) and np.isnan(seen.second_moment_max)


def test_the_effective_lr_of_adago_is_its_step_length_and_v_its_accumulator():
    Gs = stream("full rank", (8, 20), 3)
    seen, _, _ = one(AdaGO(lr=0.3), np.ones((8, 20)), Gs)
    v = np.sqrt(1e-6 + sum(min(np.linalg.norm(G), 10.0) ** 2 for G in Gs))
    assert np.isclose(seen.effective_lr, 0.3 * min(np.linalg.norm(Gs[-1]), 10.0) / v, rtol=1e-12)
    assert np.isclose(seen.second_moment_min, v**2) and seen.second_moment_min == seen.second_moment_max


@pytest.mark.parametrize("factored", [False, True])
def test_devas_momentum_is_turned_back_and_its_v_is_in_the_gradients_unit(factored):
    """Gradients a thousand times as long: the same angle and step, V a million times as large."""
    Gs, rule = stream("full rank", (8, 20), 3), DeVA(factored=factored, weight_decay=0.0)
    seen, S, change = one(rule, np.ones((8, 20)), Gs)
    large, _, _ = one(rule, np.ones((8, 20)), [1000 * G for G in Gs])
    M = S.row_basis @ S.momentum @ S.column_basis.T
    cosine = -np.sum(change * M) / np.linalg.norm(change) / np.linalg.norm(M)
    assert np.isclose(seen.momentum_cosine, cosine, rtol=1e-9)
    assert np.allclose(np.array(large)[[0, 1, 2, 4]], np.array(seen)[[0, 1, 2, 4]], rtol=1e-6)
    assert np.allclose(np.array(large)[[3, 5, 6]] / np.array(seen)[[3, 5, 6]], [1e3, 1e6, 1e6], rtol=1e-6)


@pytest.mark.parametrize("host", [in_core, partial(in_jax, names=("one",))], ids=["in_core", "in_jax"])
def test_a_branch_shows_what_happened_in_it(host):
    """The authors' DeVA makes its step in a branch, which under JAX is traced apart; the first call makes none."""
    first, second, _ = table(host(DeVA.dialect("authors"))[0], ["one"])[:, 0]
    assert first[0] == 0 and np.isnan(first[1]), "no update, and no learning rate"
    assert np.isclose(second[1], 3e-3 * 0.2 * 12**0.5 * (1 - 3e-5), rtol=1e-12)


def test_extremes_neither_overflow_nor_vanish():
    for size in (1e-30, 1e30):
        G = (size * stream("full rank", (8, 20), 1)[0]).astype(np.float32)
        seen, _, _ = one(Muon(weight_decay=0.0), np.zeros((8, 20), np.float32), [G])
        assert 0.5 < seen.momentum_cosine <= 1.0001 and np.isclose(seen.momentum_rms / size, 0.05, rtol=0.3)
    zero, _, _ = one(Muon(), np.ones((8, 20)), [np.zeros((8, 20))])
    assert zero.update_rms == zero.momentum_cosine == 0 and zero.orthogonality_error == 1


def test_the_estimated_orthogonality_error_is_near_the_true_one():
    """Right in the mean where one singular value is off, the hardest; within a quarter of Newton–Schulz's."""
    r, b = np.random.default_rng(0), Backend.of(np.zeros(1))
    ratios = []
    for _ in range(200):
        O, u = orthogonal(r, (24, 30)), r.normal(size=24)
        O = O - 0.5 * np.outer(u, u @ O) / (u @ u)
        ratios.append(float(orthogonality_error(O, b)) ** 2 / (0.75**2 / 24))
    assert abs(np.mean(ratios) - 1) < 3 * (2 / 8 / 200) ** 0.5, "three standard errors of a mean"
    many = [polar(r.normal(size=(24, 30)), Muon().orthogonalization, b) for _ in range(50)]
    true = [np.sqrt(np.mean((np.linalg.svd(O, compute_uv=False) ** 2 - 1) ** 2)) for O in many]
    assert np.all(np.abs(np.array([float(orthogonality_error(O, b)) for O in many]) / true - 1) < 0.25)


def test_what_did_not_step_is_not_seen_and_the_innermost_observer_sees():
    optimizer, params = Optimizer(AdamW()), {"a": np.ones(3), "b": np.ones(3), "empty": np.ones((0,))}
    state, grads = optimizer.init(params), {"a": np.ones(3), "b": None, "empty": np.ones((0,))}
    with observe() as outer:
        with observe() as inner:
            optimizer.step(params, grads, state)
        other = threading.Thread(target=optimizer.step, args=(params, grads, state))
        other.start()
        other.join()
    assert set(inner) == {"a"} and not outer, "a thread of the user's own is another context"


def test_optax_chains_and_injected_hyperparameters_are_observed_too():
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    import deva_jax

    muon = optax.inject_hyperparams(deva_jax.muon)(learning_rate=0.5)
    optimizer, params = optax.chain(optax.clip_by_global_norm(1.0), muon), {"kernel": jax.numpy.ones((3, 4))}

    @jax.jit
    def step(params, state):
        with observe() as seen:
            optimizer.update(params, state, params)
        return seen

    assert np.isclose(step(params, optimizer.init(params))["kernel"].effective_lr, 0.5 * (4 / 3) ** 0.5)


READ = """
import sys, tensorboard_telemetry
from pathlib import Path
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

assert tensorboard_telemetry.main(["--out", "runs"]) == 0
events = EventAccumulator("runs")
events.Reload()
tags = events.Tags()["scalars"]
assert "orthogonality_error/0.weight" in tags and "orthogonality_error/0.bias" not in tags
assert [event.step for event in events.Scalars("update_rms/2.bias")] == list(range(10, 301, 10))
assert len(tags) == 2 * 7 + 2 * 6
"""


def test_the_tensorboard_example_trains_and_writes_every_number(tmp_path):
    for package in ("torch", "tensorboard", "sklearn"):
        pytest.importorskip(package)
    examples = str(Path(__file__).parent.parent / "examples")
    code = f"import sys, torch; sys.path.insert(0, {examples!r}); torch.set_num_threads(1)\n" + READ
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
