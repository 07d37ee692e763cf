"""A training stack of one's own: `deva_core.Optimizer` on an array library that it has never heard of.

`python examples/own_stack.py` teaches a small network which of two spirals a point is on. Its arrays are array-api-strict's,
which has the names of the Array API standard and no others; parameters are dicts and lists as the stack has them; gradients
are the stack's own business. It takes some seconds on a CPU. Exit status 1: fewer than 95 % of the points were told apart.
"""

import argparse
import sys
from typing import Any

import array_api_strict as xp
import numpy as np

from deva_core import DeVAVector, Muon, Optimizer, OptimizerState

WIDTHS, POINTS, ENOUGH = (2, 32, 32, 1), 400, 0.95
Array = Any
Params = dict[str, list[dict[str, Array]]]


def spirals() -> tuple[Array, Array]:
    """Points of the plane and the spiral each is on, 1 or -1."""
    r = np.random.default_rng(0)
    side = np.where(np.arange(POINTS) % 2, 1.0, -1.0)
    radius = 0.1 + 0.9 * r.uniform(size=POINTS)
    angle = 6 * radius + (side > 0) * np.pi
    points = radius * np.stack([np.cos(angle), np.sin(angle)]) + 0.01 * r.normal(size=(2, POINTS))
    return xp.asarray(points.T), xp.asarray(side[:, None])


def begin() -> Params:
    """Layers in a list; a weight is (out, in)."""
    r = np.random.default_rng(1)
    shapes = zip(WIDTHS[1:], WIDTHS[:-1], strict=True)
    return {"layers": [{"weight": xp.asarray(r.normal(size=s) / s[1] ** 0.5), "bias": xp.zeros(s[0])} for s in shapes]}


def forward(params: Params, points: Array) -> list[Array]:
    """The points, the hidden layers, and a score for each point."""
    layers, found = params["layers"], [points]
    for layer in layers:
        z = xp.matmul(found[-1], layer["weight"].T) + layer["bias"]
        found.append(z if layer is layers[-1] else xp.tanh(z))
    return found


def loss_and_gradients(params: Params, points: Array, side: Array) -> tuple[float, Params]:
    """The logistic loss, and the chain rule from the last layer to the first."""
    *inputs, score = forward(params, points)
    wrong = xp.exp(-side * score)
    error = -side * wrong / (1 + wrong) / points.shape[0]
    gradients = []
    for layer, x in zip(reversed(params["layers"]), reversed(inputs), strict=True):
        gradients.append({"weight": xp.matmul(error.T, x), "bias": xp.sum(error, axis=0)})
        error = xp.matmul(error, layer["weight"]) * (1 - x**2)
    return float(xp.mean(xp.log1p(wrong))), {"layers": gradients[::-1]}


def fit(steps: int) -> tuple[Optimizer, Params, OptimizerState]:
    """Parameters and state go in, new ones come out; nothing is kept elsewhere, so undoing a step is keeping the old ones."""
    (points, side), params = spirals(), begin()
    optimizer = Optimizer(
        Muon(lr=lambda count: 0.05 * (1 - count / steps)),
        vector_rule=DeVAVector(),
        layout={"layers.2.weight": "vector"},  # the head has one output: a vector in all but its shape
    )
    state = optimizer.init(params)
    for _ in range(steps):
        _, gradients = loss_and_gradients(params, points, side)
        params, state = optimizer.step(params, gradients, state)
    return optimizer, params, state


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args(argv)
    optimizer, params, state = fit(args.steps)
    print(optimizer.explain(params))
    points, side = spirals()
    right = float(xp.mean(xp.astype(forward(params, points)[-1] * side > 0, xp.float64)))
    print(f"{right:.1%} of {POINTS} points told apart after {state.count} steps")
    return 0 if right >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
