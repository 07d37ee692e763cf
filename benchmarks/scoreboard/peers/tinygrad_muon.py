"""tinygrad.nn.optim.Muon, on its Python device, which needs no compiler."""

import os

os.environ.setdefault("DEV", "PYTHON")

import numpy as np
from tinygrad import Tensor
from tinygrad.helpers import Context
from tinygrad.nn.optim import Muon

from benchmarks.scoreboard.peers.run import FunctionalRun
from deva_core.capabilities import Capabilities


class Run(FunctionalRun):
    """A run."""

    def begin(self, rule, params):
        """The optimizer."""
        self._params = {name: Tensor(W).is_param_(True).realize() for name, W in params.items()}
        self._optimizer = Muon(
            list(self._params.values()),
            lr=rule.lr,
            momentum=rule.momentum,
            weight_decay=rule.weight_decay,
            ns_steps=rule.ns_steps,
            ns_coefficients=rule.ns_coefficients,
            nesterov=rule.nesterov,
        )

    def move(self, grads):
        """One step in training mode."""
        for name, p in self._params.items():
            p.grad = Tensor(np.array(grads[name]))
        with Context(TRAINING=1):
            self._optimizer.step()

    def now(self):
        """As they are."""
        return {name: p.numpy() for name, p in self._params.items()}

    def momentum(self):
        """It is called b."""
        return {name: b.numpy() for name, b in zip(self._params, self._optimizer.b, strict=True)}


def start(rule, params):
    """As shipped."""
    return Run(rule, params)


start.capabilities = Capabilities(dtypes=("float32",), compiled=False)
