"""What the adapters share: matrices only, and a run of a library with immutable arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.scoreboard.claims import refuse_callables
from deva_conformance.laws import NotSupported
from deva_core import Rule


def only_matrices(params: Mapping[str, np.ndarray]) -> None:
    """Stacks and vectors are not what these peers are compared on."""
    if any(W.ndim != 2 for W in params.values()):
        raise NotSupported("matrices only")


class FunctionalRun:
    """A run whose peer is given all gradients or none; subclasses have `begin`, `move`, `now` and `momentum`."""

    def __init__(self, rule: Rule, params: Mapping[str, np.ndarray]) -> None:
        refuse_callables(rule)
        only_matrices(params)
        self._steps = 0
        self.begin(rule, {name: np.array(W) for name, W in params.items()})

    def begin(self, rule: Rule, params: dict[str, np.ndarray]) -> None:
        """Make the peer."""
        raise NotImplementedError

    def move(self, grads: Mapping[str, np.ndarray]) -> None:
        """One step of the peer."""
        raise NotImplementedError

    def now(self) -> dict[str, np.ndarray]:
        """The parameters as they are."""
        raise NotImplementedError

    def momentum(self) -> dict[str, np.ndarray]:
        """The momentum as it is."""
        raise NotImplementedError

    def step(self, grads: Mapping[str, np.ndarray | None]) -> None:
        """One step of the peer."""
        if any(grads.get(name) is None for name in self.now()):
            raise NotSupported("no step without a gradient for every parameter")
        self.move({name: G for name, G in grads.items() if G is not None})
        self._steps += 1

    @property
    def params(self) -> dict[str, np.ndarray]:
        """Copies."""
        return {name: np.array(W) for name, W in self.now().items()}

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        """The momentum, copied."""
        return {name: {"step": self._steps, "momentum": np.array(M)} for name, M in self.momentum().items()}
