"""Any torch optimizer as a run of the kit."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from benchmarks.scoreboard.peers.run import only_matrices
from deva_core.capabilities import Capabilities

WIDE = Capabilities(dtypes=("float64", "float32"), compiled=False)


class TorchRun:
    """A run. Gradients are handed over as they are, so that a write to `p.grad` shows.

    Args:
        params: NumPy arrays, copied.
        make: the optimizer of a list of torch parameters.
        fields: our state fields, by the peer's names.
        context: what steps run in.
    """

    def __init__(
        self,
        params: Mapping[str, np.ndarray],
        make: Callable[[list[Any]], torch.optim.Optimizer],
        fields: Mapping[str, str],
        context: Callable[[], AbstractContextManager] = nullcontext,
    ) -> None:
        only_matrices(params)
        self._params = {name: torch.nn.Parameter(torch.tensor(W)) for name, W in params.items()}
        self._optimizer, self._fields, self._context = make(list(self._params.values())), fields, context
        self._steps = dict.fromkeys(params, 0)

    def step(self, grads: Mapping[str, np.ndarray | None]) -> None:
        """One step of the peer."""
        for name, p in self._params.items():
            G = grads.get(name)
            p.grad = None if G is None else torch.from_numpy(G)
            self._steps[name] += G is not None
        with self._context():
            self._optimizer.step()

    @property
    def params(self) -> dict[str, np.ndarray]:
        """Copies."""
        return {name: p.detach().numpy().copy() for name, p in self._params.items()}

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        """The fields that have a name of ours; before the first step, zero."""
        return {name: {"step": self._steps[name], **self._of(p)} for name, p in self._params.items()}

    def _of(self, p: torch.nn.Parameter) -> dict[str, np.ndarray]:
        held = self._optimizer.state.get(p, {})
        return {
            ours: np.array(held[theirs].numpy()) if theirs in held else np.zeros(p.shape, p.detach().numpy().dtype)
            for theirs, ours in self._fields.items()
        }
