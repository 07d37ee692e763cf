"""The forward pass of `gpt.GPT` in JAX, over the same parameters under the same names."""

from typing import Any

import jax
import jax.numpy as jnp

Params = dict[str, jax.Array]


def normed(x: jax.Array, params: Params, name: str) -> jax.Array:
    """LayerNorm."""
    x = x - x.mean(-1, keepdims=True)
    x = x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)
    return x * params[f"{name}.weight"] + params[f"{name}.bias"]


def block(x: jax.Array, params: Params, name: str, heads: int) -> jax.Array:
    """Attention and a perceptron."""

    def linear(part: str, x: jax.Array) -> jax.Array:
        return x @ params[f"{name}.{part}.weight"].T

    n = normed(x, params, f"{name}.norm1")
    q, k, v = (linear(part, n).reshape(*x.shape[:2], heads, -1) for part in ("query", "key", "value"))
    scores = jnp.einsum("bthd,bshd->bhts", q, k) / q.shape[-1] ** 0.5
    causal = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    weights = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf))
    attended = jnp.einsum("bhts,bshd->bthd", weights, v)
    x = x + linear("out", attended.reshape(x.shape))
    hidden = jax.nn.gelu(linear("up", normed(x, params, f"{name}.norm2")), approximate=False)
    return x + linear("down", hidden)


def loss(params: Params, inputs: Any, targets: Any, layers: int, heads: int) -> jax.Array:
    """Mean cross entropy, in nats a byte."""
    x = params["bytes.weight"][inputs] + params["places.weight"][: inputs.shape[1]]
    for k in range(layers):
        x = block(x, params, f"blocks.{k}", heads)
    logits = normed(x, params, "norm") @ params["head.weight"].T
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], axis=-1).mean()
