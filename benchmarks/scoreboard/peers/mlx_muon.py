"""mlx.optimizers.Muon, on the CPU."""

import mlx.core as mx
import mlx.optimizers
import numpy as np

from benchmarks.scoreboard.peers.run import FunctionalRun
from deva_core.capabilities import Capabilities

mx.set_default_device(mx.cpu)


class Run(FunctionalRun):
    """A run."""

    def begin(self, rule, params):
        """The optimizer and its state, zero."""
        self._optimizer = mlx.optimizers.Muon(
            rule.lr,
            momentum=rule.momentum,
            weight_decay=rule.weight_decay,
            nesterov=rule.nesterov,
            ns_steps=rule.ns_steps,
        )
        self._params = {name: mx.array(W) for name, W in params.items()}
        self._optimizer.init(self._params)

    def move(self, grads):
        """Apply the gradients."""
        self._params = self._optimizer.apply_gradients({name: mx.array(G) for name, G in grads.items()}, self._params)

    def now(self):
        """As they are."""
        return {name: np.array(W) for name, W in self._params.items()}

    def momentum(self):
        """It is called v."""
        return {name: np.array(self._optimizer.state[name]["v"]) for name in self._params}


def start(rule, params):
    """As shipped."""
    return Run(rule, params)


start.capabilities = Capabilities(dtypes=("float32",), compiled=False)
