"""The network in JAX: kernels in × out, `jax.grad`, any optax transformation, one jit-compiled training step."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import deva_jax
from demo.data import LAYERS, Weights
from demo.recipes import RECIPES, vector_rule

jax.config.update("jax_enable_x64", True)

name = "JAX"
Tree = dict[str, dict[str, jax.Array]]


def to_tree(weights: Weights) -> Tree:
    """Flax's layout: `{"1": {"kernel": (in, out), "bias": …}, …}`. The same matrices, stored transposed."""
    return {
        str(k): {"kernel": jnp.array(weights[f"{k}.weight"].T), "bias": jnp.array(weights[f"{k}.bias"])}
        for k in range(1, len(LAYERS))
    }


def from_tree(tree: Tree) -> Weights:
    """Back to (out, in)."""
    weights = {}
    for k, layer in tree.items():
        weights[f"{k}.weight"] = np.asarray(layer["kernel"]).T
        weights[f"{k}.bias"] = np.asarray(layer["bias"])
    return weights


@jax.jit
def scores(params: Tree, x: jax.Array) -> jax.Array:
    for k in range(1, len(LAYERS)):
        x = x @ params[str(k)]["kernel"] + params[str(k)]["bias"]
        x = jnp.tanh(x) if k < len(LAYERS) - 1 else x
    return x


def loss(params: Tree, x: jax.Array, y: jax.Array) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(scores(params, x), y).mean()


class Network:
    """Train with one optax transformation. `traces` counts how often JAX had to compile the step."""

    def __init__(self, weights: Weights, transformation: optax.GradientTransformation) -> None:
        self.params: Any = to_tree(weights)
        self.state = transformation.init(self.params)
        self.traces = 0

        def train(params, state, x, y):
            self.traces += 1  # runs only while JAX traces
            value, gradients = jax.value_and_grad(loss)(params, x, y)
            updates, state = transformation.update(gradients, state, params)
            return optax.apply_updates(params, updates), state, value

        self.train = jax.jit(train)

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        """One step of training; the loss before it."""
        self.params, self.state, value = self.train(self.params, self.state, x, y)
        jax.block_until_ready(self.params)
        return float(value)

    def parameters(self) -> Weights:
        """The parameters, matrices as (out, in)."""
        return from_tree(self.params)

    def scores(self, x: np.ndarray) -> np.ndarray:
        """The ten scores of each image."""
        return np.asarray(scores(self.params, x))


def network(weights: Weights, rule: str) -> Network:
    """The network with our optimizer."""
    make: Any = getattr(deva_jax, rule.lower())
    recipe = dict(RECIPES[rule])
    return Network(weights, make(recipe.pop("lr"), **recipe, vector_rule=vector_rule(rule)))
