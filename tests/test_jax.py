"""The JAX transformations behave as optax's do."""

import inspect

import numpy as np
import pytest

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

import jax.numpy as jnp  # noqa: E402

import deva_core  # noqa: E402
import deva_jax  # noqa: E402
from deva_core import AdamW, NoMatrixWarning, hyperparameters  # noqa: E402

FACTORIES = {"muon": "Muon", "adago": "AdaGO", "deva": "DeVA", "deva_vector": "DeVAVector", "adamw": "AdamW"}
PARAMS = {"dense": {"kernel": jnp.linspace(-1, 1, 12).reshape(3, 4), "bias": jnp.zeros(4)}}


def gradients(params):
    return jax.tree.map(lambda W: jnp.cos(jnp.arange(W.size, dtype=W.dtype)).reshape(W.shape), params)


def run(optimizer, steps=3, params=PARAMS):
    state = optimizer.init(params)
    for _ in range(steps):
        updates, state = jax.jit(optimizer.update)(gradients(params), state, params)
        params = optax.apply_updates(params, updates)
    return params


def close(a, b, atol=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=atol), a, b)


@pytest.mark.parametrize("name", FACTORIES)
def test_signature_defaults_are_the_rules(name):
    """Structural numbers default to None, which stands for the rule's: inject_hyperparams would trace them."""
    signature = inspect.signature(getattr(deva_jax, name)).parameters
    assert next(iter(signature)) == "learning_rate"
    for field, hyper in hyperparameters(getattr(deva_core, FACTORIES[name])).items():
        if hyper.policy:
            continue
        default = signature["learning_rate" if field == "lr" else field].default
        structural = not hyper.numeric and not isinstance(hyper.default, bool | str)
        assert default is None if structural else default == hyper.default, field


@pytest.mark.parametrize("name", ["muon", "adago", "deva"])
def test_an_update_is_traced_once_over_ten_steps_of_a_schedule(name):
    """Learning rate, momentum and decay scheduled; the bases refresh within the ten steps."""
    traces = []
    momentum = (
        {"beta1": optax.linear_schedule(0.9, 0.95, 10)} if name == "deva" else {"momentum": lambda k: 0.9 + k / 100}
    )
    frequency = {"precondition_frequency": 3} if name == "deva" else {}
    optimizer = getattr(deva_jax, name)(
        optax.cosine_decay_schedule(0.1, 10), weight_decay=lambda k: 0.1, **momentum, **frequency
    )

    @jax.jit
    def step(params, state):
        traces.append(1)
        updates, state = optimizer.update(gradients(params), state, params)
        return optax.apply_updates(params, updates), state

    params, state = PARAMS, optimizer.init(PARAMS)
    for _ in range(10):
        params, state = step(params, state)
    assert len(traces) == 1
    assert int(state.slots["dense"]["kernel"].step) == 10


@pytest.mark.parametrize("name", ["muon", "deva"])
def test_a_step_is_compiled_once(name):
    """Traced once is not enough: states committed to a device compile again at the second step."""
    optimizer = getattr(deva_jax, name)(0.1)
    step = jax.jit(lambda params, state: optimizer.update(gradients(params), state, params))
    state = optimizer.init(PARAMS)
    for _ in range(3):
        _, state = step(PARAMS, state)
    assert step._cache_size() == 1


def test_a_schedule_is_called_with_the_updates_already_made():
    lrs = [0.3, 0.2, 0.1]
    scheduled = deva_jax.muon(lambda count: jnp.asarray(lrs)[count], vector_learning_rate=0.0)
    params = {"kernel": PARAMS["dense"]["kernel"]}
    state, states = scheduled.init(params), []
    for lr in lrs:
        constant = deva_jax.muon(lr)
        expected, _ = constant.update(gradients(params), state, params)
        updates, state = scheduled.update(gradients(params), state, params)
        close(updates, expected)
        states.append(state)


def test_inject_hyperparams_equals_the_plain_factory():
    arguments = dict(momentum=0.9, weight_decay=0.1, vector_learning_rate=1e-3)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda W: W.astype(jnp.float64), PARAMS)
        injected = optax.inject_hyperparams(deva_jax.muon)(learning_rate=0.1, **arguments)
        close(run(injected, params=params), run(deva_jax.muon(0.1, **arguments), params=params), 1e-12)
        assert float(injected.init(params).hyperparams["momentum"]) == pytest.approx(0.9)
    close(
        run(optax.inject_hyperparams(deva_jax.deva)(learning_rate=3e-3, vector_learning_rate=3e-3)),
        run(deva_jax.deva(3e-3)),
    )


def test_a_schedule_moves_both_halves():
    halves = {}
    for factor in (1.0, 0.5):
        optimizer = deva_jax.muon(lambda _, factor=factor: 0.02 * factor, vector_rule=AdamW(weight_decay=0.0))
        halves[factor], _ = optimizer.update(gradients(PARAMS), optimizer.init(PARAMS), PARAMS)
    close(halves[0.5], jax.tree.map(lambda u: 0.5 * u, halves[1.0]))
    assert float(jnp.abs(halves[1.0]["dense"]["bias"]).max()) == pytest.approx(4e-3, rel=1e-4)


def test_chain_masks_and_multi_transform():
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), deva_jax.muon(0.02))
    run(optimizer)
    labels = {"dense": {"kernel": "matrix", "bias": "rest"}}
    parted = optax.multi_transform(
        {"matrix": deva_jax.muon(0.02), "rest": optax.adamw(4e-3, weight_decay=0.01)}, labels
    )
    close(run(parted), run(deva_jax.muon(0.02)))


def test_a_missing_gradient_leaves_its_parameter_alone():
    optimizer = deva_jax.deva(0.1)
    state = optimizer.init(PARAMS)
    G = {"dense": {"kernel": gradients(PARAMS)["dense"]["kernel"], "bias": None}}
    updates, state = jax.jit(optimizer.update)(G, state, PARAMS)
    assert updates["dense"]["bias"] is None
    assert int(state.slots["dense"]["bias"].step) == 0 and int(state.slots["dense"]["kernel"].step) == 1


def test_both_storage_orders_get_the_same_update():
    kernel, G = jnp.linspace(-1, 1, 12).reshape(3, 4), jnp.sin(jnp.arange(12.0)).reshape(3, 4)
    for factory in (deva_jax.muon, deva_jax.adago, deva_jax.deva):
        optimizer = factory(0.1, scale="original")
        stored, _ = optimizer.update({"kernel": G}, optimizer.init({"kernel": kernel}), {"kernel": kernel})
        transposed, _ = optimizer.update({"weight": G.T}, optimizer.init({"weight": kernel.T}), {"weight": kernel.T})
        close(stored["kernel"], transposed["weight"].T)


def test_bfloat16_parameters_keep_float32_states_and_round_once():
    params = jax.tree.map(lambda W: W.astype(jnp.bfloat16), PARAMS)
    optimizer = deva_jax.deva(0.1)
    state = optimizer.init(params)
    updates, state = optimizer.update(gradients(params), state, params)
    floats = [x.dtype for x in jax.tree.leaves(state.slots) if jnp.issubdtype(x.dtype, jnp.floating)]
    assert set(map(str, floats)) == {"float32"}
    assert updates["dense"]["kernel"].dtype == jnp.float32
    assert optax.apply_updates(params, updates)["dense"]["kernel"].dtype == jnp.bfloat16


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match=r"Muon\.momentum must be >= 0 and < 1, got 1\.0"):
        deva_jax.muon(momentum=1.0)
    optimizer = deva_jax.muon()
    with pytest.raises(ValueError, match=r"update\(grads, state, params\)"):
        optimizer.update(PARAMS, optimizer.init(PARAMS))
    with pytest.raises(ValueError, match="needs a layout"):
        optimizer.init({"experts": jnp.zeros((2, 3, 4))})
    with pytest.raises(TypeError, match="only real floating"):
        optimizer.init({"kernel": jnp.zeros((2, 2), jnp.int32)})
    with pytest.raises(ValueError, match='compute_dtype must be "auto"'):
        deva_jax.muon(compute_dtype="int8")
    with pytest.warns(NoMatrixWarning):
        optimizer.init({"bias": jnp.zeros(3)})


def test_explain_says_which_convention_holds():
    tree = {
        "a": {"kernel": jnp.zeros((2, 3))},
        "b": {"weight": jnp.zeros((2, 3))},
        "c": jnp.zeros((2, 3)),
        "d": jnp.zeros(3),
    }
    lines = deva_jax.explain(tree, deva_core.Muon()).splitlines()
    assert "in out" in lines[1] and "named 'kernel'" in lines[1]
    assert "out in" in lines[2] and "named 'weight'" in lines[2]
    assert "in out as in optax" in lines[3]
    assert "AdamW" in lines[4]
