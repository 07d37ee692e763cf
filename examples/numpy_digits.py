"""NumPy and nothing else: AdaGO for matrices, AdamW for biases, and gradients written by hand.

`python examples/numpy_digits.py` trains a perceptron with one hidden layer on scikit-learn's digits for a second or two on
a CPU. Exit status 1: fewer than 95 % of the held-out digits were read.
"""

import argparse
import sys

import numpy as np
from sklearn.datasets import load_digits

from deva_core import AdaGO
from deva_numpy import Optimizer

TRAINING, BATCH, ENOUGH = 1437, 64, 0.95
STEPS = TRAINING // BATCH
Params = dict[str, np.ndarray]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images as vectors of 64 and their labels, shuffled; the first `TRAINING` are to train on."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return data.data[order] / 16, data.target[order]


def begin() -> Params:
    """Matrices are (out, in)."""
    r = np.random.default_rng(1)
    return {
        "hidden.weight": r.normal(size=(64, 64)) / 8,
        "hidden.bias": np.zeros(64),
        "head.weight": r.normal(size=(10, 64)) / 8,
        "head.bias": np.zeros(10),
    }


def forward(params: Params, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hidden layer, and ten logits for each image."""
    hidden = np.tanh(images @ params["hidden.weight"].T + params["hidden.bias"])
    return hidden, hidden @ params["head.weight"].T + params["head.bias"]


def loss_and_gradients(params: Params, images: np.ndarray, labels: np.ndarray) -> tuple[float, Params]:
    """The mean cross entropy, and the chain rule from its end to its beginning."""
    hidden, logits = forward(params, images)
    logits = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    target = np.eye(10)[labels]
    d_logits = (np.exp(log_probabilities) - target) / len(labels)
    d_hidden = d_logits @ params["head.weight"] * (1 - hidden**2)
    gradients = {
        "hidden.weight": d_hidden.T @ images,
        "hidden.bias": d_hidden.sum(axis=0),
        "head.weight": d_logits.T @ hidden,
        "head.bias": d_logits.sum(axis=0),
    }
    return -float((target * log_probabilities).sum(axis=1).mean()), gradients


def fit(epochs: int) -> tuple[Optimizer, Params, list[float]]:
    """The optimizer, the trained parameters, and the loss of each step."""
    (images, labels), params, losses = digits(), begin(), []
    # A callable of the steps made is a schedule, and moves both halves.
    optimizer = Optimizer(AdaGO(lr=lambda count: 0.3 * (1 - count / (epochs * STEPS))))
    state = optimizer.init(params)
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(TRAINING)
        for batch in order[: STEPS * BATCH].reshape(STEPS, BATCH):
            loss, gradients = loss_and_gradients(params, images[batch], labels[batch])
            params, state = optimizer.step(params, gradients, state)
            losses.append(loss)
    return optimizer, params, losses


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=8)
    args = parser.parse_args(argv)
    optimizer, params, losses = fit(args.epochs)
    print(optimizer.explain(params))
    images, labels = digits()
    read = float((forward(params, images[TRAINING:])[1].argmax(axis=1) == labels[TRAINING:]).mean())
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}; {read:.1%} of {1797 - TRAINING} held-out digits read")
    return 0 if read >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
