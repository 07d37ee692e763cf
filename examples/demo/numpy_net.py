"""The network in NumPy, with a backward pass written by hand and checked against finite differences."""

from typing import Any

import numpy as np

import deva_numpy
from demo import recipes
from demo.data import LAYERS, Weights, initial_weights

name = "NumPy"
DEPTH = len(LAYERS) - 1


def activations(weights: Weights, x: np.ndarray) -> list[np.ndarray]:
    """The input, the hidden layers, and the scores of the ten digits."""
    h = [x]
    for k in range(1, DEPTH + 1):
        z = h[-1] @ weights[f"{k}.weight"].T + weights[f"{k}.bias"]
        h.append(np.tanh(z) if k < DEPTH else z)
    return h


def log_probabilities(scores: np.ndarray) -> np.ndarray:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def loss(weights: Weights, x: np.ndarray, y: np.ndarray) -> float:
    """Mean cross entropy."""
    logp = log_probabilities(activations(weights, x)[-1])
    return float(-logp[np.arange(len(y)), y].mean())


def loss_and_gradients(weights: Weights, x: np.ndarray, y: np.ndarray) -> tuple[float, Weights]:
    """The loss and its gradients: the chain rule, from the last layer to the first."""
    h = activations(weights, x)
    logp, rows = log_probabilities(h[-1]), np.arange(len(y))
    dz = np.exp(logp)
    dz[rows, y] -= 1
    dz /= len(y)
    gradients = {}
    for k in range(DEPTH, 0, -1):
        gradients[f"{k}.weight"] = dz.T @ h[k - 1]
        gradients[f"{k}.bias"] = dz.sum(axis=0)
        dz = (dz @ weights[f"{k}.weight"]) * (1 - h[k - 1] ** 2)
    return float(-logp[rows, y].mean()), {name: gradients[name] for name in weights}


def derivative(weights: Weights, name: str, direction: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """d loss / d parameter along a direction, by fourth-order central differences: no backward pass involved."""

    def at(k: int) -> float:
        return loss({**weights, name: weights[name] + k * 1e-3 * direction}, x, y)

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * 1e-3)


def backward_error(seed: int = 0, directions: int = 4, gradients: Any = loss_and_gradients) -> float:
    """The largest relative error of the backward pass, over every parameter and a few random directions."""
    rng = np.random.default_rng((seed, 3))
    weights = {n: W + 0.1 * rng.normal(size=W.shape) for n, W in initial_weights(seed).items()}
    x, y = rng.uniform(size=(16, LAYERS[0])), rng.integers(LAYERS[-1], size=16)
    _, G = gradients(weights, x, y)
    worst = 0.0
    for name, W in weights.items():
        for _ in range(directions):
            v = rng.normal(size=W.shape)
            v /= np.linalg.norm(v)
            error = abs(np.sum(G[name] * v) - derivative(weights, name, v, x, y))
            worst = max(worst, error / np.linalg.norm(G[name]))
    return worst


class Network:
    """Train with `deva_numpy.Optimizer`: parameters and state go in, new ones come out."""

    def __init__(self, weights: Weights, rule: Any, vector_rule: Any) -> None:
        self.weights = weights
        self.optimizer = deva_numpy.Optimizer(rule, vector_rule=vector_rule)
        self.state = self.optimizer.init(weights)

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        """One step of training; the loss before it."""
        value, gradients = loss_and_gradients(self.weights, x, y)
        self.weights, self.state = self.optimizer.step(self.weights, gradients, self.state)
        return value

    def parameters(self) -> Weights:
        """The parameters, matrices as (out, in)."""
        return self.weights

    def scores(self, x: np.ndarray) -> np.ndarray:
        """The ten scores of each image."""
        return activations(self.weights, x)[-1]


def network(weights: Weights, rule: str) -> Network:
    """The network with our optimizer."""
    return Network(weights, recipes.rule(rule), recipes.vector_rule(rule))
