"""What people have today, `torch.optim.Muon` and `optax.contrib.muon`, and why they part: each cause on its own.

Both are good optimizers. They are not the same function, and nothing in their signatures says so.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

import deva_jax
import deva_torch
from demo import jax_net, torch_net
from demo.data import Weights, cast, flat
from demo.progress import Progress
from demo.recipes import BIASES
from demo.training import Problem, Run, parted, train

HYPER = {"lr": 0.02, "momentum": 0.95, "weight_decay": 0.0}
"""The same three numbers for both, Nesterov on; everything else as it comes."""

ARRAY, GRADIENTS, LONG = (64, 256), 20, 100
LAYER = "1.weight"
"""The layer whose real gradients the causes are measured on, beside random ones."""

TORCH, OPTAX = f"torch.optim.Muon {torch.__version__}", f"optax.contrib.muon {optax.__version__}"


def torch_network(weights: Weights) -> torch_net.Network:
    """The network with torch.optim.Muon; biases with torch.optim.AdamW."""

    def optimizers(model: torch.nn.Module) -> list[torch.optim.Optimizer]:
        matrices = [p for p in model.parameters() if p.ndim == 2]
        biases = [p for p in model.parameters() if p.ndim < 2]
        return [torch.optim.Muon(matrices, **HYPER), torch.optim.AdamW(biases, **BIASES)]

    return torch_net.Network(weights, optimizers)


def optax_muon(nesterov: bool = True, **how: Any) -> optax.GradientTransformation:
    return optax.contrib.muon(
        HYPER["lr"], beta=HYPER["momentum"], weight_decay=HYPER["weight_decay"], nesterov=nesterov, **how
    )


def optax_network(weights: Weights) -> jax_net.Network:
    """The network with optax.contrib.muon; biases with plain optax.adamw, so that only Muon differs from torch."""
    adamw = optax.adamw(BIASES["lr"], weight_decay=BIASES["weight_decay"])

    def kind(params: Any) -> Any:
        return jax.tree.map(lambda leaf: "matrix" if leaf.ndim == 2 else "bias", params)

    return jax_net.Network(weights, optax.partition({"matrix": optax_muon(), "bias": adamw}, kind))


@contextmanager
def without_bfloat16() -> Iterator[None]:
    """Keep torch's Newton–Schulz in the dtype it is given: `Tensor.bfloat16`, its cast, becomes a copy."""
    cast = torch.Tensor.bfloat16
    torch.Tensor.bfloat16 = lambda self: self.clone()
    try:
        yield
    finally:
        torch.Tensor.bfloat16 = cast


Path = list[np.ndarray]


def walk_torch(W: np.ndarray, gradients: np.ndarray, make: Any = torch.optim.Muon, **hyper: Any) -> Path:
    """The places a torch optimizer goes, from W, when it is handed these gradients."""
    p, path = torch.nn.Parameter(torch.tensor(W)), []
    optimizer = make([p], **HYPER, **hyper)
    for G in gradients:
        p.grad = torch.tensor(G)
        optimizer.step()
        path.append(p.detach().numpy().copy())
    return path


def walk_optax(W: np.ndarray, gradients: np.ndarray, transformation: optax.GradientTransformation) -> Path:
    """The places an optax transformation goes, from W, when it is handed these gradients."""
    params: Any = jnp.asarray(W)
    state, path = transformation.init(params), []

    @jax.jit
    def step(params, state, G):
        updates, state = transformation.update(G, state, params)
        return optax.apply_updates(params, updates), state

    for G in gradients:
        params, state = step(params, state, jnp.asarray(G))
        path.append(np.asarray(params))
    return path


def in_own_layout(W: np.ndarray, gradients: np.ndarray, transformation: optax.GradientTransformation) -> Path:
    """The same layer for optax: handed over as (in, out), read back as (out, in)."""
    return [place.T for place in walk_optax(W.T, gradients.transpose(0, 2, 1), transformation)]


def our_walks(W: np.ndarray, gradients: np.ndarray) -> tuple[Path, Path]:
    """Ours in torch and in JAX, each in its framework's layout."""
    hyper = dict(HYPER)
    ours = deva_jax.muon(hyper.pop("lr"), **hyper)
    return walk_torch(W, gradients, deva_torch.Muon), in_own_layout(W, gradients, ours)


def causes(W: np.ndarray, gradients: np.ndarray) -> dict[str, float]:
    """Distances after the last gradient, relative to the distance that the first named run walked."""
    torch_as_is = walk_torch(W, gradients)
    with without_bfloat16():
        torch_full = walk_torch(W, gradients)
        torch_full_plain = walk_torch(W, gradients, nesterov=False)
        torch_bare = walk_torch(W, gradients, nesterov=False, eps=1e-300)
    optax_array = walk_optax(W, gradients, optax_muon())
    optax_layer = in_own_layout(W, gradients, optax_muon())
    optax_layer_plain = in_own_layout(W, gradients, optax_muon(nesterov=False))
    optax_bare = in_own_layout(W, gradients, optax_muon(nesterov=False, eps=0.0))
    pairs = {
        "same array": (torch_as_is, optax_array),
        "same layer": (torch_as_is, optax_layer),
        "orientation": (optax_layer, optax_array),
        "bfloat16": (torch_full, torch_as_is),
        "nesterov": (torch_full, optax_layer),
        "eps": (torch_full_plain, optax_layer_plain),
        "none left": (torch_bare, optax_bare),
        "ours": our_walks(W, gradients),
    }
    return {name: float(parted(a[-1:], b[-1:], W)[0]) for name, (a, b) in pairs.items()}


def nesterov_fades(W: np.ndarray, gradients: np.ndarray) -> list[float]:
    """Step by step, how far the two Nesterov forms' single steps are apart (no bfloat16, same layer)."""
    with without_bfloat16():
        a = [W, *walk_torch(W, gradients)]
    b = [W, *in_own_layout(W, gradients, optax_muon())]
    steps = [(q - p, s - r) for (p, q), (r, s) in zip(pairwise(a), pairwise(b), strict=True)]
    return [float(np.linalg.norm(x - y) / np.linalg.norm(x)) for x, y in steps]


def random_array(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """A 64×256 array and this many standard normal gradients."""
    rng = np.random.default_rng((seed, 4))
    return rng.normal(size=ARRAY), rng.normal(size=(count, *ARRAY))


def recorded(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """A layer of the network and the gradients that it got while our Muon trained it in torch."""
    weights = cast(problem.weights, "float64")
    network, gradients = torch_net.network(weights, "Muon"), []
    layer = dict(network.model.named_parameters())[LAYER]
    for batch in problem.order:
        network.step(problem.digits.train_x[batch], problem.digits.train_y[batch])
        gradients.append(layer.grad.numpy().copy())
    return weights[LAYER], np.array(gradients)


def trained(problem: Problem, progress: Progress) -> dict[str, Any]:
    """The network trained with each of the two: what it comes to, and how far apart, step by step."""
    runs: list[Run] = []
    for name, make in {TORCH: torch_network, OPTAX: optax_network}.items():
        runs.append(train(name, make(cast(problem.weights, problem.dtype)), problem, name, progress))
    fields = ("framework", "train_loss", "accuracy", "ms_per_step", "losses")
    return {
        "runs": [{field: getattr(run, field) for field in fields} for run in runs],
        "curve": parted(runs[0].path, runs[1].path, problem.start).tolist(),
    }


def first_step(problem: Problem) -> dict[str, float]:
    """How far one step on the network parts the two, as they are and without torch's bfloat16."""
    batch, places = problem.order[0], []
    x, y = problem.digits.train_x[batch].astype(problem.dtype), problem.digits.train_y[batch]
    for make, patch in ((optax_network, nullcontext), (torch_network, nullcontext), (torch_network, without_bfloat16)):
        network = make(cast(problem.weights, problem.dtype))
        with patch():
            network.step(x, y)
        places.append([flat(network.parameters())])
    optax_, as_is, full = places
    return {
        "as they are": float(parted(as_is, optax_, problem.start)[0]),
        "without bfloat16": float(parted(full, optax_, problem.start)[0]),
    }


def compare(problem: Problem, seed: int, progress: Progress) -> dict[str, Any]:
    """All about today's two: trained on the problem, and the causes of their distance, one by one."""
    result = {"hyperparameters": HYPER, "names": [TORCH, OPTAX], "trained": trained(problem, progress)}
    W, gradients = random_array(seed, LONG)
    with progress.task("why these two part", 4) as tick:
        result["array"] = {"shape": ARRAY, "gradients": GRADIENTS, **causes(W, gradients[:GRADIENTS])}
        tick("causes, random gradients")
        result["layer"] = {
            "shape": problem.weights[LAYER].shape,
            "gradients": len(problem.order),
            **causes(*recorded(problem)),
        }
        tick("causes, the network's own gradients")
        result["first_step"] = first_step(problem)
        tick("the first step")
        result["nesterov_fades"] = nesterov_fades(W, gradients)
        tick("eight comparisons")
    return result
