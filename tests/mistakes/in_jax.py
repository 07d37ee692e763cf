"""Mistakes in JAX."""

from importlib.util import find_spec

from deva_core import (
    AdamW,
    Muon,
)
from tests.mistakes import (
    keyword_rows,
    row,
)

TORCH = bool(find_spec("torch"))
if TORCH:
    pass
JAX = bool(find_spec("jax"))
if JAX:
    import jax
    import jax.numpy as jnp
    import optax

    import deva_jax


def tree():
    return {"kernel": jnp.ones((3, 4)), "bias": jnp.zeros(4)}


def jax_state(transformation):
    return transformation.init(tree())


def updated(state, grads=None, transformation=None):
    return (transformation or deva_jax.muon()).update(tree() if grads is None else grads, state, tree())


def foreign_number():
    """A 0-d array of another library, as far as anyone can tell."""
    return type("Number", (), {"dtype": "float32", "shape": (), "__float__": lambda self: 0.1})()


def injected(factory, **arguments):
    optax.inject_hyperparams(factory)(**arguments).init(tree())


JAX_ROWS = JAX and [
    *keyword_rows(
        "deva_jax.muon",
        lambda **options: deva_jax.muon(0.02, **options),
        lr="here it is learning_rate=",
        beta="a keyword of optax.contrib.muon; here it is momentum=",
        eps="no eps is needed",
        ns_coeffs="ns_coefficients=",
        mu_dtype="momentum is kept in float32",
        adaptive="no such variant",
        preconditioning="a policy",
        adam_b1="vector_rule=AdamW(beta1=…)",
        adam_b2="vector_rule=AdamW(beta2=…)",
        adam_eps_root="no such term",
        adam_weight_decay="vector_rule=AdamW(weight_decay=…)",
        adam_learning_rate="vector_learning_rate=",
        muon_weight_dimension_numbers="layout=",
        consistent_rms='scale="rms" and rms=',
        momentun="did you mean 'momentum'?",
        state_dtype="momentum is kept in float32",
        rounding="rounded to the nearest",
        maximize="optax.scale(-1.0)",
        params="parameters are given to init and update",
        mask="weight_decay_mask=",
        process_group="stack_sharding=",
        foobar="it takes learning_rate,",
    ),
    *keyword_rows(
        "deva_jax.adamw",
        lambda **options: deva_jax.adamw(1e-3, **options),
        b1="beta1=",
        eps_root="no such term",
        mask="transform(rule, weight_decay_mask=…)",
        layout="optimizers with a matrix rule",
    ),
    *keyword_rows(
        "deva_jax.transform",
        lambda **options: deva_jax.transform(Muon(), **options),
        lr="it belongs to the rule",
        vectorrule="did you mean 'vector_rule'?",
    ),
    row("jax: second by position", lambda: deva_jax.muon(0.02, 0.95), TypeError, "momentum=…", "ns_coeffs in optax"),
    row("jax: transform by position", lambda: deva_jax.transform(Muon(), AdamW()), TypeError, "vector_rule=…"),
    row("jax: params for lr", lambda: deva_jax.muon(tree()), TypeError, "Muon.lr must be a number", "got a dict"),
    row("jax: transform optax", lambda: deva_jax.transform(optax.adam(1e-3)), TypeError, "optax.multi_transform"),
    row("jax: transform class", lambda: deva_jax.transform(Muon), TypeError, "the class Muon: call it, Muon()"),
    row("jax: transform factory", lambda: deva_jax.transform(deva_jax.muon), TypeError, "give a rule, as deva_core.Muon()"),
    row("jax: transform string", lambda: deva_jax.transform("muon"), TypeError, "write Muon()"),
    row("jax: vector_rule string", lambda: deva_jax.muon(vector_rule="adamw"), TypeError, "deva_jax: vector_rule must be"),
    row("jax: vector_rule class", lambda: deva_jax.muon(vector_rule=AdamW), TypeError, "call it, AdamW()"),
    row("jax: vector_rule matrix", lambda: deva_jax.muon(vector_rule=Muon()), TypeError, "which is for matrices"),
    row("jax: vector_rule optax", lambda: deva_jax.muon(vector_rule=optax.adam(1e-3)), TypeError, "optax.multi_transform"),
    row("jax: vector_learning_rate", lambda: deva_jax.muon(vector_learning_rate="x"), TypeError, "vector_learning_rate must"),
    row("jax: explain class", lambda: deva_jax.explain(tree(), Muon), TypeError, "call it, Muon()"),
    row("jax: explain swapped", lambda: deva_jax.explain(Muon(), tree()), TypeError, "deva_jax: rule must be"),
    row("jax: default_layout", lambda: deva_jax.transform(Muon(), default_layout="out in"), TypeError, "default_layout must be"),
    row("jax: injected ns_steps", lambda: injected(deva_jax.muon, learning_rate=0.1, ns_steps=5), TypeError,
        'static_args=("ns_steps",)'),
    row("jax: injected dimension", lambda: injected(deva_jax.deva, learning_rate=0.1, max_precondition_dim=9), TypeError,
        'static_args=("max_precondition_dim",)'),
    row("jax: injected beta", lambda: injected(deva_jax.muon, learning_rate=0.1, beta=0.9), TypeError, "here it is momentum="),
    row("jax: injected scale", lambda: injected(deva_jax.muon, learning_rate=0.1, scale="foo"), ValueError,
        "Muon.scale must be one of"),
    row("jax: compute_dtype float8", lambda: deva_jax.muon(compute_dtype=jnp.float8_e4m3fn), ValueError, "16 bits or more"),
    row("jax: compute_dtype int", lambda: deva_jax.muon(compute_dtype="int8"), ValueError, 'such as "bfloat16"'),
    row("jax: stack_sharding", lambda: deva_jax.muon(stack_sharding=3), ValueError, "the name of a mesh axis"),
    row("jax: lr of torch", lambda: deva_jax.muon(foreign_number()), TypeError, "Muon.lr is an array of", "give a number"),
    row("jax: a schedule's maker", lambda: deva_jax.muon(optax.cosine_decay_schedule), TypeError, "cosine_decay_schedule"),
    row("jax: a schedule's maker's", lambda: jax_state(deva_jax.muon(optax.constant_schedule)), TypeError, "is a schedule"),
    row("jax: routes as layout", lambda: deva_jax.muon(layout=deva_jax.routes(tree())), TypeError, "give **routes(params)"),
    row("jax: mask of arrays", lambda: jax_state(deva_jax.muon(weight_decay_mask={"bias": jnp.bool_(True)})), TypeError,
        "must hold True or False"),
    row("jax: update swapped", lambda: deva_jax.muon().update(jax_state(deva_jax.muon()), tree(), tree()), TypeError,
        "the state must be"),
    row("jax: leaf string", lambda: deva_jax.muon().init({"a": jnp.ones((3, 3)), "name": "x"}), TypeError, "parameter 'name'"),
    row("jax: leaf int", lambda: deva_jax.muon().init({"a": jnp.ones((3, 3), int)}), TypeError, "parameter 'a' has dtype int32"),
    row("jax: leaf float", lambda: deva_jax.muon().init({"a": 1.0}), TypeError, "parameter 'a' must be a JAX array"),
    row("jax: leaf function", lambda: deva_jax.muon().init({"act": jax.nn.relu}), TypeError, "parameter 'act'",
        "equinox.filter"),
    row("jax: leaf float8", lambda: deva_jax.muon().init({"a": jnp.ones((3, 3), jnp.float8_e4m3fn)}), TypeError, "master copy"),
    row("jax: leaf of 3 axes", lambda: deva_jax.muon().init({"a": jnp.ones((3, 3, 3))}), ValueError, "needs a layout"),
    row("jax: no params", lambda: deva_jax.muon().update(tree(), jax_state(deva_jax.muon())), ValueError,
        "update(grads, state, params)"),
    row("jax: gradient name", lambda: updated(jax_state(deva_jax.muon()), {"kernal": jnp.ones((3, 4))}), ValueError,
        "did you mean 'kernel'?"),
    row("jax: gradient shape", lambda: updated(jax_state(deva_jax.muon()), {"kernel": jnp.ones((4, 3))}), ValueError,
        "the gradient of 'kernel' has shape (4, 3)"),
    row("jax: gradients a leaf", lambda: updated(jax_state(deva_jax.muon()), jnp.ones(2)), ValueError, "must be a tree"),
    row("jax: state optax", lambda: updated(optax.adam(1e-3).init(tree())), TypeError, "import_state takes over optax's"),
    row("jax: state optax.muon", lambda: updated(optax.contrib.muon(1e-3).init(tree())), TypeError, "import_state"),
    row("jax: state of a chain", lambda: updated(optax.chain(deva_jax.muon()).init(tree())), TypeError, "the inner state"),
    row("jax: state None", lambda: updated(None), TypeError, "the state must be", "got None"),
    row("jax: state AdaGO's", lambda: updated(jax_state(deva_jax.adago())), ValueError, "is not Muon's"),
    row("jax: state into AdaGO", lambda: updated(jax_state(deva_jax.muon()), None, deva_jax.adago()), ValueError,
        "is not AdaGO's"),
    row("jax: state traced", lambda: jax.jit(deva_jax.deva().update)(tree(), jax_state(deva_jax.muon()), tree()), ValueError,
        "is not DeVAVector's"),
    row("jax: state shapes", lambda: updated(deva_jax.muon().init({"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)})), ValueError,
        "has shape (3,), expected (4,)"),
    row("jax: state other leaves", lambda: updated(deva_jax.muon().init({"kernel": jnp.ones((3, 4))})), ValueError,
        "the state belongs to other parameters", "call init again"),
    row("jax: schedule None", lambda: jax_state(deva_jax.muon(lambda count: None)), TypeError, "Muon.lr is a schedule", "None"),
    row("jax: schedule string", lambda: jax_state(deva_jax.muon(lambda count: "x")), TypeError, "Muon.lr is a schedule"),
    row("jax: schedule of nothing", lambda: deva_jax.muon(lambda: 0.1), TypeError, "a callable of the update count"),
    row("jax: mask of params", lambda: jax_state(deva_jax.muon(weight_decay_mask=lambda p: p)), TypeError, "optax's is"),
    row("jax: layout name", lambda: jax_state(deva_jax.muon(layout={"kernal": "in out"})), ValueError, "did you mean 'kernel'?"),
    row("jax: routes heads", lambda: deva_jax.routes(tree(), heads=["kernal"]), ValueError, "did you mean 'kernel'?"),
    row("jax: routes model", lambda: deva_jax.routes(object()), TypeError, "the parameters must be a JAX array"),
    row("jax.load: factory", lambda: deva_jax.load("never", deva_jax.muon, tree()), TypeError, "call it, muon()"),
    row("jax.load: chain", lambda: deva_jax.load("never", optax.chain(deva_jax.muon()), tree()), TypeError, "the inner one"),
    row("jax.save: AdaGO", lambda: deva_jax.save("never", deva_jax.adago(), tree(), jax_state(deva_jax.muon())), ValueError,
        "is not AdaGO's"),
    row("jax.save: optax's", lambda: deva_jax.save("never", deva_jax.muon(), tree(), optax.adam(1.0).init(tree())), TypeError,
        "the state must be"),
    row("jax import: ours", lambda: deva_jax.import_state(deva_jax.muon(), tree(), jax_state(deva_jax.muon())), ValueError,
        "give it to update"),
    row("jax import: source", lambda: deva_jax.import_state(deva_jax.muon(), tree(), optax.adam(1.0).init(tree()), "torch"),
        ValueError, "source must be one of 'optax', 'adamw'"),
    row("jax import: adam as muon", lambda: deva_jax.import_state(deva_jax.muon(), tree(), optax.adam(1.0).init(tree())),
        ValueError, "those of source 'adamw'"),
    row("jax import: transformation", lambda: deva_jax.import_state(deva_jax.muon(), tree(), optax.adam(1.0)), ValueError,
        "as init(params) gives it"),
    row("jax export: transformation",
        lambda: deva_jax.export_state(deva_jax.muon(), tree(), jax_state(deva_jax.muon()), optax.adam(1.0)), ValueError,
        "peer_state must be"),
]  # fmt: skip
