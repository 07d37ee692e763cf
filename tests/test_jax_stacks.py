"""Leaves of one kind step together in JAX: the program does not grow, and nobody can tell from the numbers."""

from dataclasses import replace

import numpy as np
import pytest

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

import jax.numpy as jnp  # noqa: E402
from jax import export  # noqa: E402

import deva_jax  # noqa: E402
from deva_core import AdaGO, DeVA, Muon, Rule  # noqa: E402
from deva_jax import _stack  # noqa: E402

RULES = {"muon": Muon(lr=0.1), "adago": AdaGO(lr=0.1), "deva": DeVA(lr=0.1, precondition_frequency=2)}
PLATFORMS = ["cpu", "cuda"]
"""The loop and the batch: where a step is traced for does not decide where it runs."""


def many(n: int, shape: tuple[int, ...] = (4, 6), seed: int = 0) -> dict:
    random = np.random.default_rng(seed)
    params = {
        f"{k:03d}": {"kernel": random.standard_normal(shape), "bias": random.standard_normal(3)} for k in range(n)
    }
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)


def stepper(optimizer, **options):
    def step(params, grads, state):
        updates, state = optimizer.update(grads, state, params)
        new = jax.tree.map(lambda W, u: W if u is None else W + u, params, updates, is_leaf=lambda x: x is None)
        return new, state

    return jax.jit(step, **options)


def transform(rule: Rule, platform: str = "cpu", **options):
    return deva_jax.transform(rule, platform=platform, compute_dtype="float32", **options)


def text(optimizer, params) -> str:
    return str(jax.make_jaxpr(optimizer.update)(params, optimizer.init(params), params))


def close(a, b, atol=2e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=atol), a, b)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", RULES)
def test_the_program_does_not_grow_with_the_number_of_equal_leaves(name, platform):
    """Products, factorizations and branches; what remains for each leaf is to cut it out of its stack."""
    texts = [text(transform(RULES[name], platform), many(n)) for n in (4, 12)]
    for operation in ("dot_general", " qr[", "household", "sqrt", "cumsum", "sort["):
        assert texts[0].count(operation) == texts[1].count(operation), operation
    assert texts[0].count("dot_general") > 0


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", RULES)
def test_a_stack_equals_its_leaves_one_by_one(name, platform):
    """Three steps, the bases refreshed twice; one leaf misses its second gradient, so that step counts differ."""
    optimizer, params = transform(RULES[name], platform), many(5)
    alone = {key: {"leaf": leaf} for key, leaf in params.items()}
    step, states = stepper(optimizer), {key: optimizer.init(tree) for key, tree in alone.items()}
    together, state = params, optimizer.init(params)
    for k in range(3):
        grads = many(5, seed=k + 1)
        if k == 1:
            grads["003"] = {"kernel": None, "bias": None}
        together, state = step(together, grads, state)
        for key in params:
            alone[key], states[key] = step(alone[key], {"leaf": grads[key]}, states[key])
    close(together, {key: alone[key]["leaf"] for key in params}, atol=1e-4 if name == "deva" else 2e-6)
    assert int(state.slots["003"]["kernel"].step) == 2 and int(state.slots["002"]["kernel"].step) == 3


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", RULES)
def test_nan_in_one_leaf_of_a_stack_touches_no_other(name, platform):
    """To the bit."""
    params, grads = many(4), many(4, seed=1)
    optimizer = transform(RULES[name], platform)
    step, state = stepper(optimizer), optimizer.init(params)
    clean, _ = step(params, grads, state)
    grads["001"] = jax.tree.map(lambda G: G.at[0].set(jnp.nan), grads["001"])
    dirty, _ = step(params, grads, state)
    assert not np.isfinite(dirty["001"]["kernel"]).any()
    for key in ("000", "002", "003"):
        jax.tree.map(np.testing.assert_array_equal, clean[key], dirty[key])


def test_other_kinds_are_not_stacked():
    """Another layout, shape or dtype."""
    params = many(2) | {"a": {"weight": jnp.ones((4, 6))}, "b": {"kernel": jnp.ones((6, 4))}}
    params |= {"c": {"kernel": jnp.ones((4, 6), jnp.bfloat16)}}
    step = stepper(transform(Muon()))
    state = transform(Muon()).init(params)
    new, _ = step(params, params, state)
    assert jax.tree.structure(new) == jax.tree.structure(params)


@pytest.mark.parametrize("name", RULES)
def test_parameters_and_state_can_be_donated(name):
    """XLA refuses a buffer that is donated twice, as two fields of one state would be if they shared it."""
    params, grads = many(5), many(5, seed=1)
    optimizer = transform(RULES[name])
    plain, state = params, optimizer.init(params)
    given, donated = jax.tree.map(jnp.copy, params), optimizer.init(params)
    step, donating = stepper(optimizer), stepper(optimizer, donate_argnums=(0, 2))
    for _ in range(3):
        plain, state = step(plain, grads, state)
        held = donated
        given, donated = donating(given, grads, donated)
        assert held.slots["000"]["kernel"].state.momentum.is_deleted()
    jax.tree.map(np.testing.assert_array_equal, (plain, state), (given, donated))
    assert donating._cache_size() == 1


def test_exported_for_cuda_a_bucket_has_one_batched_product_each():
    """Two kinds of leaves, five steps of three products; the same as for one leaf of each kind."""
    optimizer = deva_jax.transform(Muon(), platform="cuda", replacements=False)
    params = {f"s{k}": jnp.ones((8, 8)) for k in range(16)} | {f"w{k}": jnp.ones((4, 12)) for k in range(8)}
    exported = export.export(jax.jit(optimizer.update), platforms=["cuda"])(params, optimizer.init(params), params)
    products = [line for line in exported.mlir_module().splitlines() if "stablehlo.dot_general" in line]
    assert len(products) == 2 * 5 * 3
    assert all("batching_dims = [0] x [0]" in line for line in products)
    assert {16, 8} == {int(line.rpartition("tensor<")[2].split("x")[0]) for line in products}
    assert all("bf16" in line for line in products)


def test_a_stack_is_cut_so_that_its_memory_is_bounded(monkeypatch):
    params = many(9)
    leaves = [_stack.Leaf(None, Muon(), None, None, tree["kernel"]) for tree in params.values()]  # pyright: ignore
    monkeypatch.setattr(_stack, "STACK_BYTES", 4 * 4 * 24)
    assert [len(part) for part in _stack.Stacking("cuda").parts(leaves)] == [3, 3, 3]


def test_a_rule_that_branches_is_noticed():
    W, b = jnp.ones((2, 4, 4)), deva_jax._transform.backend()
    for rule, expected in ((Muon(), False), (DeVA(), True)):
        S = jax.vmap(lambda W, rule=rule: rule.init(W, b))(W)
        stack = (W, S, W, jnp.ones(2, jnp.int32))
        assert _stack.branches(lambda x, b=b, rule=rule: rule.update(*x, b), stack, b) is expected


def test_gram_newton_schulz_is_as_accurate_as_the_plain_one():
    """float32 against float64, on the matrices that are hard in float32; `replacements=False` is the plain form.

    On well-conditioned ones both are at rounding (measured: 3e-6 and 1.5e-6 of the norm), far below either here.
    """
    random, m, n = np.random.default_rng(0), 64, 256
    U, V = (np.linalg.qr(random.standard_normal((k, m)))[0] for k in (m, n))
    for s in (np.geomspace(1, 1e-8, m), np.r_[np.ones(8), np.zeros(m - 8)]):
        G = jnp.asarray((U * s) @ V.T, jnp.float32)
        with jax.enable_x64(True):
            exact = moved(jnp.asarray(G, jnp.float64), False)
        gram, plain = (np.linalg.norm(moved(G, replacements) - exact) for replacements in (True, False))
        assert 0 < gram <= 1.5 * plain
    G = jnp.asarray((U * (1 + np.abs(random.standard_normal(m)))) @ V.T, jnp.float32)
    with jax.enable_x64(True):
        exact = moved(jnp.asarray(G, jnp.float64), False)
    assert np.linalg.norm(moved(G, True) - exact) <= 1e-5 * np.linalg.norm(exact)


def moved(G, replacements: bool) -> np.ndarray:
    """The first update of a gradient."""
    optimizer = deva_jax.transform(replace(Muon(lr=1.0), momentum=0.0), replacements=replacements)
    params = {"weight": jnp.zeros_like(G)}
    return np.asarray(optimizer.update({"weight": G}, optimizer.init(params), params)[0]["weight"], np.float64)
