"""Half a run in PyTorch, the other half in JAX, as one run: DeVA's state goes over in a portable checkpoint.

`python examples/torch_then_jax.py` trains a perceptron on scikit-learn's digits in float64 for some seconds on a CPU, draws
its loss as one curve, and measures how far it ends from the same run without the change. Exit status 1: further than 1e-9 of
the distance walked, or fewer than 95 % of the held-out digits were read.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from sklearn.datasets import load_digits

import deva_jax
import deva_torch

TRAINING, BATCH, ENOUGH, NEAR, LR = 1437, 64, 0.95, 1e-9, 0.01
Params = dict[str, np.ndarray]
Batches = list[tuple[np.ndarray, np.ndarray]]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images as vectors of 64 and their labels, shuffled; the first `TRAINING` are to train on."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return data.data[order] / 16, data.target[order]


def batches(steps: int) -> Batches:
    """The same for both frameworks."""
    (images, labels), r = digits(), np.random.default_rng(1)
    chosen = [r.choice(TRAINING, BATCH, replace=False) for _ in range(steps)]
    return [(images[batch], labels[batch]) for batch in chosen]


class InTorch:
    """The run until the change, or to its end."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10))
        self.model = model.double()
        self.optimizer = deva_torch.DeVA(self.model.named_parameters(), lr=LR)

    def losses(self, data: Batches) -> list[float]:
        """Of a step on each batch."""
        found = []
        for images, labels in data:
            self.optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(self.model(torch.tensor(images)), torch.tensor(labels))
            loss.backward()
            self.optimizer.step()
            found.append(loss.item())
        return found

    def params(self) -> Params:
        """By name."""
        return {name: p.detach().numpy().copy() for name, p in self.model.named_parameters()}


def logits(params: dict, images: np.ndarray) -> jax.Array:
    """The same network, kernels as JAX has them: (in, out)."""
    hidden = jnp.tanh(images @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    return hidden @ params["head"]["kernel"] + params["head"]["bias"]


def loss(params: dict, images: np.ndarray, labels: np.ndarray) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, images), labels).mean()


NAMES = {"0.weight": "hidden.kernel", "0.bias": "hidden.bias", "2.weight": "head.kernel", "2.bias": "head.bias"}
"""What torch calls a parameter, and what JAX does. The file keeps matrices as (out, in), so nobody transposes its state."""


def to_jax(params: Params) -> dict:
    return {
        "hidden": {"kernel": jnp.asarray(params["0.weight"].T), "bias": jnp.asarray(params["0.bias"])},
        "head": {"kernel": jnp.asarray(params["2.weight"].T), "bias": jnp.asarray(params["2.bias"])},
    }


def in_jax(params: dict, checkpoint: Path, data: Batches) -> tuple[list[float], dict]:
    """Losses and parameters of a step on each batch, from torch's checkpoint."""
    optimizer = deva_jax.deva(LR)
    state = deva_jax.load(checkpoint, optimizer, params, rename=NAMES)

    @jax.jit
    def step(params: dict, state: optax.OptState, images: jax.Array, labels: jax.Array) -> tuple:
        value, grads = jax.value_and_grad(loss)(params, images, labels)
        updates, state = optimizer.update(grads, state, params)
        return value, optax.apply_updates(params, updates), state

    found = []
    for images, labels in data:
        value, params, state = step(params, state, images, labels)
        found.append(float(value))
    return found, params


def apart(a: dict, b: dict) -> float:
    """The distance between all parameters."""
    return float(optax.global_norm(jax.tree.map(jnp.subtract, a, b)))


def draw(losses: list[float], change: int, lines: int = 12) -> None:
    """The curve: a bar for the mean loss of every few steps."""
    each = -(-len(losses) // lines)
    for start in range(0, len(losses), each):
        mean, where = np.mean(losses[start : start + each]), "torch" if start < change else "JAX"
        print(f"{where:>5} {start:>4} {mean:6.3f} {'█' * round(25 * mean)}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=240)
    args = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    data, half, run = batches(args.steps), args.steps // 2, InTorch()
    begin, first = to_jax(run.params()), run.losses(data[:half])
    with tempfile.TemporaryDirectory() as folder:
        deva_torch.save(Path(folder) / "state.safetensors", run.optimizer)
        second, params = in_jax(to_jax(run.params()), Path(folder) / "state.safetensors", data[half:])
    draw(first + second, half)
    run.losses(data[half:])  # the same run to its end, all in torch
    uninterrupted = to_jax(run.params())
    distance = apart(params, uninterrupted) / apart(uninterrupted, begin)
    images, labels = digits()
    read = float((logits(params, images[TRAINING:]).argmax(1) == labels[TRAINING:]).mean())
    print(f"{distance:.1e} of the distance walked from an uninterrupted run; {read:.1%} of held-out digits read")
    return 0 if distance <= NEAR and read >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
