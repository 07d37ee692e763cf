"""Equinox with one optimizer for the whole model: Muon for matrices, AdamW for the rest.

`python examples/equinox_mlp.py` trains a small perceptron on scikit-learn's digits for a few seconds on a CPU. Exit status
1: fewer than 95 % of the held-out digits were read.
"""

import argparse
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import deva_jax
from deva_core import Muon

TRAINING, BATCH, ENOUGH = 1437, 64, 0.95
STEPS = TRAINING // BATCH


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images as vectors of 64 and their labels, shuffled; the first `TRAINING` are to train on."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return data.data[order].astype(np.float32) / 16, data.target[order]


def loss(model: eqx.nn.MLP, images: jax.Array, labels: jax.Array) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(images), labels).mean()


def fit(epochs: int) -> tuple[eqx.nn.MLP, jax.Array]:
    """The trained model and the loss of each step."""
    images, labels = digits()
    model = eqx.nn.MLP(64, 10, 64, 2, key=jax.random.key(0))
    schedule = optax.cosine_decay_schedule(0.05, epochs * STEPS)
    optimizer = deva_jax.muon(schedule)
    state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(model, state, images, labels):
        value, grads = eqx.filter_value_and_grad(loss)(model, images, labels)
        updates, state = optimizer.update(grads, state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), state, value

    losses = []
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(TRAINING)
        for batch in order[: STEPS * BATCH].reshape(STEPS, BATCH):
            model, state, value = step(model, state, images[batch], labels[batch])
            losses.append(value)
    return model, jnp.stack(losses)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=8)
    args = parser.parse_args(argv)
    model, losses = fit(args.epochs)
    print(deva_jax.explain(eqx.filter(model, eqx.is_inexact_array), Muon()))
    images, labels = digits()
    read = float((jax.vmap(model)(images[TRAINING:]).argmax(1) == labels[TRAINING:]).mean())
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}; {read:.1%} of {1797 - TRAINING} held-out digits read")
    return 0 if read >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
