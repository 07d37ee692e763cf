"""The network in PyTorch: `nn.Linear` (weights out × in), autograd, and any `torch.optim.Optimizer`s."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

import deva_torch
from demo.data import LAYERS, Weights
from demo.recipes import RECIPES, vector_rule

torch.set_num_threads(1)  # these matrices gain nothing from more, and waiting threads cost a lot on a busy machine

name = "PyTorch"


def model_of(weights: Weights) -> nn.Sequential:
    """The layers, named so that parameters are `1.weight`, `1.bias`, …"""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for k, (width_in, width_out) in enumerate(pairwise(LAYERS), start=1):
        modules[str(k)] = nn.Linear(width_in, width_out)
        modules[f"tanh{k}"] = nn.Tanh()
    modules.popitem()  # the last layer's scores are not squashed
    model = nn.Sequential(modules)
    state = {n: torch.tensor(W) for n, W in weights.items()}
    model.to(next(iter(state.values())).dtype).load_state_dict(state)
    return model


class Network:
    """Train with one or more torch optimizers."""

    def __init__(self, weights: Weights, optimizers: Callable[[nn.Module], Sequence[torch.optim.Optimizer]]) -> None:
        self.model = model_of(weights)
        self.optimizers = optimizers(self.model)

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        """One step of training; the loss before it."""
        self.model.zero_grad()
        loss = nn.functional.cross_entropy(self.model(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss.item()

    def parameters(self) -> Weights:
        """The parameters, matrices as (out, in)."""
        return {n: p.detach().numpy().copy() for n, p in self.model.named_parameters()}

    def scores(self, x: np.ndarray) -> np.ndarray:
        """The ten scores of each image."""
        with torch.no_grad():
            return self.model(torch.from_numpy(x)).numpy()


def network(weights: Weights, rule: str) -> Network:
    """The network with our optimizer."""

    def optimizers(model: nn.Module) -> list[torch.optim.Optimizer]:
        make: Any = getattr(deva_torch, rule)
        return [make(model.named_parameters(), **RECIPES[rule], vector_rule=vector_rule(rule))]

    return Network(weights, optimizers)
