"""The ways in which JAX users train: each makes the loss fall, and reaches both halves, matrices and vectors."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

import jax.numpy as jnp  # noqa: E402

import deva_jax  # noqa: E402
from tests.conftest import QUICK_TO_COMPILE  # noqa: E402

EXAMPLES = Path(__file__).parent.parent / "examples"
STEPS = 20
RULE = dict(ns_steps=3)
X = jnp.asarray(np.random.default_rng(0).standard_normal((32, 4)), jnp.float32)
Y = jnp.tanh(X @ jnp.ones((4, 2))) + 1
PARAMS = {"kernel": jnp.zeros((4, 2)), "bias": jnp.zeros(2)}


def loss(params):
    return jnp.mean((X @ params["kernel"] + params["bias"] - Y) ** 2)


def fit(optimizer, params=PARAMS):
    """`(params, losses)` of one compiled loop; traceable."""

    def step(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), value

    (params, _), losses = jax.lax.scan(step, (params, optimizer.init(params)), length=STEPS)
    return params, losses


def trained(optimizer):
    """The end of a run in which the loss halved."""
    params, losses = jax.jit(fit, static_argnums=0)(optimizer)
    assert losses[-1] < 0.5 * losses[0]
    return params


def close(a, b, atol=2e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=atol), a, b)


def test_vmap_trains_a_population_of_learning_rates_as_one_by_one():
    """The learning rates are traced, so both halves have them; nothing moves at 0."""
    rates = jnp.asarray([0.0, 0.02, 0.1])
    ends, losses = jax.jit(jax.vmap(lambda lr: fit(deva_jax.muon(lr, **RULE))))(rates)
    close(jax.tree.map(lambda x: x[0], ends), PARAMS, 0)
    close(jax.tree.map(lambda x: x[2], ends), trained(deva_jax.muon(lambda _: 0.1, **RULE)))
    assert losses[2, -1] < losses[1, -1] < losses[0, -1]


def test_a_schedule_given_to_inject_hyperparams_moves_both_halves_as_given_to_the_factory():
    schedule = optax.cosine_decay_schedule(0.1, STEPS)
    injected = optax.inject_hyperparams(deva_jax.muon, static_args=("ns_steps", "vector_rule"))(
        learning_rate=schedule, **RULE
    )
    close(trained(injected), trained(deva_jax.muon(schedule, **RULE)))


def test_a_learning_rate_set_to_zero_in_injected_hyperparams_stops_both_halves():
    """As users do who lower it by hand: an array in the state, read at every step."""
    optimizer = optax.inject_hyperparams(deva_jax.muon, static_args=("ns_steps", "vector_rule"))(0.1, **RULE)
    state = optimizer.init(PARAMS)
    state.hyperparams["learning_rate"] = jnp.asarray(0.0)
    updates, _ = jax.jit(optimizer.update)(jax.tree.map(jnp.ones_like, PARAMS), state, PARAMS)
    close(updates, PARAMS, 0)


def test_multi_transform_gives_each_part_its_own_optimizer_and_schedule():
    """Each part's first move is its schedule's first value: of Muon's update the spectral norm, of AdamW's each entry."""
    schedules = {"fast": optax.linear_schedule(0.1, 0.02, STEPS), "slow": optax.linear_schedule(0.03, 0.01, STEPS)}
    matrices = deva_jax.muon(schedules["fast"], scale="none", ns_coefficients="exact")
    parts = {"fast": matrices, "slow": deva_jax.adamw(schedules["slow"], weight_decay=0.0)}
    optimizer = optax.multi_transform(parts, {"kernel": "fast", "bias": "slow"})
    trained(optimizer)
    updates, _ = optimizer.update(jax.grad(loss)(PARAMS), optimizer.init(PARAMS), PARAMS)
    assert float(jnp.linalg.norm(updates["kernel"], 2)) == pytest.approx(0.1, rel=1e-5)
    assert jnp.abs(updates["bias"]).tolist() == pytest.approx([0.03, 0.03], rel=1e-5)


def test_masked_trains_its_half_and_leaves_the_other_to_others():
    mask = {"kernel": True, "bias": False}
    frozen = optax.masked(optax.set_to_zero(), jax.tree.map(lambda m: not m, mask))
    ends, losses = jax.jit(lambda: fit(optax.chain(optax.masked(deva_jax.muon(0.1, **RULE), mask), frozen)))()
    assert losses[-1] < 0.9 * losses[0]
    close(ends["bias"], PARAMS["bias"], 0)
    assert float(jnp.abs(ends["kernel"]).max()) > 0.1


def test_a_chain_clips_what_both_halves_see():
    """AdaGO's and DeVA's moments see the clipped gradients; Muon's step and AdamW's do not depend on their size."""
    schedule = optax.linear_schedule(0.1, 0.01, STEPS)
    rule = deva_jax.adago(schedule, min_step=0.02, vector_learning_rate=schedule, **RULE)
    chained = optax.chain(optax.clip_by_global_norm(1.0), rule)
    ends = trained(chained)
    grads, _ = optax.clip_by_global_norm(1.0).update(jax.grad(loss)(PARAMS), optax.EmptyState())
    state = chained.update(jax.grad(loss)(PARAMS), chained.init(PARAMS), PARAMS)[1][1]
    close(state.slots["kernel"].state.momentum, 0.05 * grads["kernel"].T)
    close(state.slots["bias"].state.exp_avg, 0.1 * grads["bias"])
    assert float(jnp.abs(ends["bias"]).max()) > 0.1


def test_multi_steps_moves_both_halves_once_for_the_mean_of_its_gradients():
    schedule = optax.cosine_decay_schedule(0.1, STEPS // 2)
    plain = deva_jax.muon(schedule, vector_learning_rate=schedule, **RULE)
    accumulated = optax.MultiSteps(plain, 2)
    trained(accumulated)
    step = jax.jit(accumulated.update)
    grads = [jax.tree.map(lambda W, k=k: jnp.cos(jnp.arange(W.size) + k).reshape(W.shape), PARAMS) for k in (0, 1)]
    state = accumulated.init(PARAMS)
    first, state = step(grads[0], state, PARAMS)
    close(first, PARAMS, 0)
    second, state = step(grads[1], state, PARAMS)
    mean = jax.tree.map(lambda a, b: (a + b) / 2, *grads)
    close(second, plain.update(mean, plain.init(PARAMS), PARAMS)[0])
    assert int(state.inner_opt_state.count) == 1


def test_flax_linen_trains_by_its_train_state():
    linen = pytest.importorskip("flax.linen")
    from flax.training.train_state import TrainState

    net = linen.Dense(2)
    tx = deva_jax.muon(lambda _: 0.1, **RULE)
    state = TrainState.create(apply_fn=net.apply, params=net.init(jax.random.key(0), X), tx=tx)

    @jax.jit
    def step(state):
        value, grads = jax.value_and_grad(lambda p: jnp.mean((state.apply_fn(p, X) - Y) ** 2))(state.params)
        return state.apply_gradients(grads=grads), value

    losses = []
    for _ in range(STEPS):
        state, value = step(state)
        losses.append(float(value))
    assert losses[-1] < 0.5 * losses[0]
    assert float(jnp.abs(state.params["params"]["bias"]).min()) > 0.1


def test_orbax_saves_and_restores_a_run_that_goes_on_to_the_same_bits(tmp_path):
    """Restored against the shapes of `init` alone. DeVA's state has fields that it does not use."""
    ocp = pytest.importorskip("orbax.checkpoint")
    optimizer = deva_jax.deva(optax.linear_schedule(0.1, 0.0, 9))
    run = {"params": jax.tree.map(lambda W: W + 0.5, PARAMS)}
    run["state"] = optimizer.init(run["params"])

    def going_on(run, steps):
        for _ in range(steps):
            updates, state = optimizer.update(jax.grad(loss)(run["params"]), run["state"], run["params"])
            run = {"params": optax.apply_updates(run["params"], updates), "state": state}
        return run

    blank, run = jax.eval_shape(lambda: run), going_on(run, 2)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "run", run)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "run", blank)
    assert jax.tree.structure(restored) == jax.tree.structure(run)
    jax.tree.map(np.testing.assert_array_equal, going_on(restored, 2), going_on(run, 2))


def test_flax_nnx_hands_states_back_as_mappings_which_multi_steps_must_find_unchanged():
    nnx = pytest.importorskip("flax.nnx")
    model = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.MultiSteps(deva_jax.muon(0.1, **RULE), 2), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        value, grads = nnx.value_and_grad(lambda model: jnp.mean((model(X) - Y) ** 2))(model)
        optimizer.update(model, grads)
        return value

    losses = [float(step(model, optimizer)) for _ in range(STEPS)]
    assert losses[0] == losses[1] and losses[-1] < 0.7 * losses[0]
    assert float(jnp.abs(model.bias[...]).min()) > 0.1


def run_example(code: str, cwd: Path) -> None:
    """In an interpreter of its own, compiled without XLA's optimiser, which takes longer than the training."""
    environment = os.environ | {"XLA_FLAGS": QUICK_TO_COMPILE, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(EXAMPLES)!r})\n" + code]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


NNX = """
import shutil, flax_nnx
from pathlib import Path

model, optimizer = flax_nnx.fit(2, Path("out"))
assert flax_nnx.accuracy(model) >= flax_nnx.ENOUGH
first = flax_nnx.arrays(model, optimizer)
shutil.rmtree("out/2")
again = flax_nnx.arrays(*flax_nnx.fit(2, Path("out"), resume=True))
assert first.keys() == again.keys()
assert all((first[name] == again[name]).all() for name in first), "not the same bits"
assert abs(first["0.head.bias.value"]).max() > 1e-3 and len(first) > 20

try:
    raise AssertionError(f"not refused: {flax_nnx.main(['--resume'])}")
except SystemExit as refused:
    assert refused.code == 2, "--resume needs --out"
"""


def test_flax_nnx_trains_and_resumes_from_orbax_to_the_same_bits(tmp_path):
    pytest.importorskip("flax.nnx")
    pytest.importorskip("orbax.checkpoint")
    run_example(NNX, tmp_path)


def test_equinox_trains(tmp_path):
    pytest.importorskip("equinox")
    run_example("import equinox_mlp; assert equinox_mlp.main(['--epochs', '4']) == 0", tmp_path)
