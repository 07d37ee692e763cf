"""The problem every framework gets: scikit-learn's digits, a starting point and an order of batches, from one seed."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits

LAYERS = (64, 128, 64, 10)
"""Width of the input, of the two hidden layers, and of the output."""

BATCH = 64

Weights = dict[str, np.ndarray]
"""`1.weight` (out, in), `1.bias`, `2.weight`, …: the form in which frameworks are compared."""


class Digits(NamedTuple):
    """1,797 images of 8×8 pixels, scaled to 0…1 and split; labels 0…9."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def load(seed: int) -> Digits:
    """Four fifths of the images to train on, the rest to test."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng((seed, 0)).permutation(len(x))
    train, test = np.split(order, [len(x) * 4 // 5])
    return Digits(x[train] / 16, y[train], x[test] / 16, y[test])


def initial_weights(seed: int) -> Weights:
    """Normal weights of variance 1/in, zero biases."""
    rng, weights = np.random.default_rng((seed, 1)), {}
    for k, (width_in, width_out) in enumerate(pairwise(LAYERS), start=1):
        weights[f"{k}.weight"] = rng.normal(size=(width_out, width_in)) / width_in**0.5
        weights[f"{k}.bias"] = np.zeros(width_out)
    return weights


def batches(seed: int, images: int, steps: int) -> np.ndarray:
    """Which images each step sees: `(steps, BATCH)`, epoch after epoch, each in a new order."""
    rng, per_epoch = np.random.default_rng((seed, 2)), images // BATCH
    epochs = [rng.permutation(images)[: per_epoch * BATCH] for _ in range(-(-steps // per_epoch))]
    return np.concatenate(epochs).reshape(-1, BATCH)[:steps]


def flat(weights: Weights) -> np.ndarray:
    """All parameters as one float64 vector."""
    return np.concatenate([np.ravel(W) for W in weights.values()]).astype(np.float64)


def cast(weights: Weights, dtype: str) -> Weights:
    return {name: W.astype(dtype) for name, W in weights.items()}
