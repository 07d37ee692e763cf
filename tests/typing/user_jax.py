"""What a user of `deva_jax` writes, as a type checker sees it (optax has no types of its own to be strict with).

`make lint` checks it; nothing runs it.
A line with `ignore` is wrong use, which the checker must flag: an ignore that is not needed is an error here.
"""
# pyright: standard, reportUnnecessaryTypeIgnoreComment=true

from typing import assert_type

import jax
import jax.numpy as jnp
import optax

from deva_core import DeVAVector, Layout
from deva_jax import adago, adamw, deva, deva_vector, explain, muon, transform


def train(params: dict[str, jax.Array], grads: dict[str, jax.Array]) -> None:
    optimizer = muon(0.02, vector_rule=DeVAVector(lr=1e-3), layout={"head": "vector"})
    assert_type(optimizer, optax.GradientTransformation)
    chained = optax.chain(optax.clip_by_global_norm(1.0), deva(optax.cosine_decay_schedule(3e-3, 100)))
    for each in (optimizer, chained, adago(0.05), adamw(), deva_vector(lambda count: 1e-3, beta1=0.9)):
        updates, _ = each.update(grads, each.init(params), params)
        optax.apply_updates(params, updates)


def options() -> list[optax.GradientTransformation]:
    return [
        muon(jnp.asarray(0.02), weight_decay=0.1, ns_steps=6, compute_dtype=jnp.bfloat16),
        deva(layout=Layout("in (heads dim)", heads=4), vector_learning_rate=1e-3, stack_sharding="data"),
        optax.inject_hyperparams(muon)(learning_rate=0.1),
    ]


def wrong() -> None:
    muon("0.02")  # pyright: ignore[reportArgumentType]
    muon(lr=0.02)  # pyright: ignore[reportCallIssue]
    muon(0.02, 0.95)  # pyright: ignore[reportCallIssue]
    muon(momemtum=0.9)  # pyright: ignore[reportCallIssue]
    muon(vector_rule="adamw")  # pyright: ignore[reportArgumentType]
    deva_vector(layout="in out")  # pyright: ignore[reportCallIssue]
    transform("muon")  # pyright: ignore[reportArgumentType]
    assert_type(explain, str)  # pyright: ignore[reportAssertTypeFailure]
