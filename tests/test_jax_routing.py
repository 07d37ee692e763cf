"""`deva_jax.routes`: what flax's and equinox's parameters are; and one matrix is one matrix in JAX and in torch."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
pytest.importorskip("optax")

import jax.numpy as jnp  # noqa: E402
import optax  # noqa: E402

import deva_jax  # noqa: E402
from deva_core import AdaGO, AdamW, DeVA, Muon, Optimizer  # noqa: E402
from deva_jax import routes  # noqa: E402

SHAPES = {
    "params.Embed_0.embedding": ((11, 8), "vector", True),
    "params.pos_embedding": ((1, 5, 8), "vector", True),
    "params.blocks.Conv_0.kernel": ((3, 8, 8), "k in out", True),
    "params.blocks.Conv_1.kernel": ((3, 3, 8, 8), "kh kw in out", True),
    "params.blocks.LayerNorm_0.scale": ((8,), "vector", False),
    "params.blocks.attention.query.kernel": ((8, 2, 4), "in out_heads out_dim", True),
    "params.blocks.attention.query.bias": ((2, 4), "vector", False),
    "params.blocks.attention.out.kernel": ((2, 4, 8), "in_heads in_dim out", True),
    "params.lm_head.kernel": ((8, 11), "vector", True),
    "params.patch_embed.kernel": ((4, 4, 3, 8), "kh kw in out", True),
    "linear.kernel.value": ((8, 3), "in out", True),  # nnx
    "embed.weight": ((11, 8), "vector", True),  # equinox
    "norm1.weight": ((3, 3), "vector", False),
    "conv.weight": ((8, 3, 3, 3), "out in kh kw", True),
    "conv.bias": ((8, 1, 1), "vector", False),
    "mlp.layers.0.weight": ((8, 3), "out in", True),
}


def tree(shapes):
    return {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}


def test_the_names_of_flax_and_equinox_are_known():
    routing = routes(tree({name: shape for name, (shape, _, _) in SHAPES.items()}))
    found = {name: (routing["layout"][name].layout, routing["weight_decay_mask"][name]) for name in SHAPES}
    assert found == {name: tuple(expected) for name, (_, *expected) in SHAPES.items()}


def test_scanned_layers_keep_their_meaning_one_axis_further():
    inner = {name: value for name, value in SHAPES.items() if ".blocks." in name}
    routing = routes(tree({name: (3, *shape) for name, (shape, _, _) in inner.items()}), scanned=["params.blocks.*"])
    for name, (_, layout, decays) in inner.items():
        assert routing["layout"][name].layout == (layout if layout == "vector" else f"layers {layout}")
        assert routing["weight_decay_mask"][name] is decays


def test_what_the_names_do_not_explain_is_said_by_path():
    params = tree({"qkv.kernel": (8, 24), "experts.kernel": (2, 8, 4), "out.kernel": (8, 3)})
    with pytest.raises(ValueError, match=r"'experts\.kernel' of shape \(2, 8, 4\) needs a layout"):
        routes(params)
    said = {"qkv.*": "in (q k v)", "experts.kernel": "experts in out"}
    layout = routes(params, layout=said, heads=["out.*"])["layout"]
    assert [str(layout[name]) for name in params] == ["in (q k v)", "experts in out", "vector"]
    with pytest.raises(ValueError, match=r"routes names a path 'head\.\*' that does not exist"):
        routes(params, layout=said, heads=["head.*"])


def test_linens_own_names_are_routed_and_train():
    nn = pytest.importorskip("flax.linen")

    class Net(nn.Module):
        @nn.compact
        def __call__(self, tokens):
            x = nn.Embed(11, 8)(tokens)
            x = nn.LayerNorm()(x + nn.MultiHeadDotProductAttention(2)(x, x))
            return nn.Dense(11, name="lm_head")(x)

    params = Net().init(jax.random.key(0), jnp.zeros((1, 4), int))
    routing = routes(params)
    optimizer = optax.inject_hyperparams(deva_jax.muon)(learning_rate=0.02, weight_decay=0.1, **routing)
    state = optimizer.init(params)
    zero = jax.tree.map(jnp.zeros_like, params)
    updates, _ = jax.jit(optimizer.update)(zero, state, params)
    decayed = {name for name, u in deva_jax._tree.named(updates)[0].items() if jnp.abs(u).max() > 0}
    kernels = {name for name in routing["layout"] if name.endswith(("kernel", "embedding"))}
    assert decayed == kernels, "embeddings and heads decay with AdamW's own 0.01, biases and norms not at all"
    table = deva_jax.explain(params, Muon(weight_decay=0.1), vector_rule=AdamW(), **routing)
    assert "in out_heads out_dim" in table and len(table.splitlines()) == 1 + len(routing["layout"])


@pytest.mark.parametrize(
    "rule", [Muon(), AdaGO(lr=0.1), DeVA(precondition_frequency=2)], ids=lambda r: type(r).__name__
)
def test_one_attention_projection_is_one_matrix_in_flax_and_torch(rule):
    """flax's (in, heads, dim) and torch's (out, in): the same update to 1e-9, in float64, four steps; also of a plain
    kernel (in, out) and of a convolution."""
    torch = pytest.importorskip("torch")
    import deva_torch

    r = np.random.default_rng(5)
    jaxs = {"query": {"kernel": r.normal(size=(6, 2, 4))}, "dense": {"kernel": r.normal(size=(6, 4))}}
    jaxs |= {"Conv_0": {"kernel": r.normal(size=(3, 3, 2, 4))}}
    to_torch = {
        "query": lambda W: W.reshape(6, 8).T,
        "dense": lambda W: W.T,
        "Conv_0": lambda W: W.transpose(3, 2, 0, 1),
    }
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, jaxs)
        routing = routes(params)
        optimizer = deva_jax.transform(rule, layout=routing["layout"])
        state, update = optimizer.init(params), jax.jit(optimizer.update)
        torchs = {k: torch.nn.Parameter(torch.tensor(to_torch[k](v["kernel"]).copy())) for k, v in jaxs.items()}
        other = deva_torch.RuleOptimizer(torchs.items(), rule)
        for _ in range(4):
            grads = {k: {"kernel": r.normal(size=v["kernel"].shape)} for k, v in jaxs.items()}
            updates, state = update(grads, state, params)
            params = optax.apply_updates(params, updates)
            for k, p in torchs.items():
                p.grad = torch.tensor(to_torch[k](grads[k]["kernel"]).copy())
            other.step()
        for k, p in torchs.items():
            end = to_torch[k](np.asarray(params[k]["kernel"]))
            np.testing.assert_allclose(end, p.detach().numpy(), rtol=0, atol=1e-9)


def test_masks_and_patterns_are_the_same_in_jax_as_in_the_functional_host():
    params = {"w": jnp.ones((4, 4)), "b": jnp.ones(4)}
    arguments = {"layout": {"w*": "in out"}, "weight_decay_mask": {"b": False}}
    zero = jax.tree.map(jnp.zeros_like, params)
    optimizer = deva_jax.adago(weight_decay=0.1, vector_rule=AdamW(weight_decay=0.3), **arguments)
    updates, _ = optimizer.update(zero, optimizer.init(params), params)
    host = Optimizer(AdaGO(weight_decay=0.1), AdamW(weight_decay=0.3), **arguments)
    new, _ = host.step(params, zero, host.init(params))
    np.testing.assert_allclose(updates["w"], new["w"] - params["w"], atol=1e-7)
    assert jnp.abs(updates["w"]).max() > 0 and jnp.abs(updates["b"]).max() == 0 == jnp.abs(new["b"] - 1).max()
