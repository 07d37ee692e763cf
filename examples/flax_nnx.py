"""Flax NNX with one optimizer for the whole model: Muon for matrices and convolutions, AdamW for the rest.

`python examples/flax_nnx.py` trains a small convolutional network on scikit-learn's digits for about ten seconds on a CPU.
With `--out` it writes an orbax checkpoint there after every epoch; with `--resume` it goes on from the last one. Exit
status 1: fewer than 95 % of the held-out digits were read.
"""

import argparse
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import nnx
from sklearn.datasets import load_digits

import deva_jax
from deva_core import Muon

TRAINING, BATCH, ENOUGH = 1437, 64, 0.95
STEPS = TRAINING // BATCH


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images of 8 by 8 by 1 and their labels, shuffled; the first `TRAINING` are to train on."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return data.images[order, :, :, None].astype(np.float32) / 16, data.target[order]


class Digits(nnx.Module):
    """A network."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Conv(1, 8, (3, 3), rngs=rngs)
        self.second = nnx.Conv(8, 16, (3, 3), strides=2, rngs=rngs)
        self.norm = nnx.LayerNorm(256, rngs=rngs)
        self.head = nnx.Linear(256, 10, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Ten logits for each image."""
        x = nnx.relu(self.second(nnx.relu(self.first(images))))
        return self.head(self.norm(x.reshape(len(x), -1)))


@nnx.jit
def step(model: Digits, optimizer: nnx.Optimizer, images: jax.Array, labels: jax.Array) -> jax.Array:
    def loss(model: Digits) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(model(images), labels).mean()

    value, grads = nnx.value_and_grad(loss)(model)
    optimizer.update(model, grads)
    return value


def build(epochs: int) -> tuple[Digits, nnx.Optimizer]:
    """The model and its optimizer; one schedule moves both halves."""
    model = Digits(nnx.Rngs(0))
    schedule = optax.cosine_onecycle_schedule(epochs * STEPS, 0.05)
    transformation = deva_jax.muon(schedule)
    return model, nnx.Optimizer(model, optax.chain(optax.clip_by_global_norm(1.0), transformation), wrt=nnx.Param)


def name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def arrays(model: Digits, optimizer: nnx.Optimizer) -> dict[str, jax.Array]:
    """All that a checkpoint holds, by name."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(nnx.state((model, optimizer)))
    return {name(path): x for path, x in leaves}


def restore(model: Digits, optimizer: nnx.Optimizer, manager: ocp.CheckpointManager, step: int) -> None:
    """Put what a checkpoint holds into a model and its optimizer."""
    held = manager.restore(step, args=ocp.args.StandardRestore(arrays(model, optimizer)))
    state = nnx.state((model, optimizer))
    nnx.update((model, optimizer), jax.tree_util.tree_map_with_path(lambda path, x: held[name(path)], state))


def fit(epochs: int, out: Path | None = None, resume: bool = False) -> tuple[Digits, nnx.Optimizer]:
    """Train; an epoch's order of images depends on the epoch alone, so that a resumed run sees the same ones."""
    images, labels = digits()
    model, optimizer = build(epochs)
    manager = None if out is None else ocp.CheckpointManager(out.absolute())
    first = 0
    if manager is not None and resume:
        first = manager.latest_step() or 0
        restore(model, optimizer, manager, first)
    for epoch in range(first, epochs):
        order = np.random.default_rng(epoch).permutation(TRAINING)
        for batch in order[: STEPS * BATCH].reshape(STEPS, BATCH):
            step(model, optimizer, images[batch], labels[batch])
        if manager is not None:
            manager.save(epoch + 1, args=ocp.args.StandardSave(arrays(model, optimizer)))
    if manager is not None:
        manager.close()
    return model, optimizer


def accuracy(model: Digits) -> float:
    """The share of held-out digits read."""
    images, labels = digits()
    return float((model(jnp.asarray(images[TRAINING:])).argmax(1) == labels[TRAINING:]).mean())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, help="folder for checkpoints (default: none are written)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    args = parser.parse_args(argv)
    if args.resume and args.out is None:
        parser.error("--resume needs --out, the folder whose last checkpoint it goes on from")
    model, _ = fit(args.epochs, args.out, args.resume)
    print(deva_jax.explain(nnx.state(model, nnx.Param), Muon()))
    read = accuracy(model)
    print(f"{read:.1%} of {1797 - TRAINING} held-out digits read")
    return 0 if read >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
