"""keras.optimizers.Muon, on JAX."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from benchmarks.scoreboard.peers.run import FunctionalRun
from deva_core.capabilities import Capabilities


class Run(FunctionalRun):
    """A run. The peer's factors are the same for (out, in) and (in, out), so matrices stay as they are."""

    def begin(self, rule, params):
        """The optimizer, built."""
        a, b, c = rule.ns_coefficients
        self._optimizer = keras.optimizers.Muon(
            rule.lr,
            momentum=rule.momentum,
            weight_decay=rule.weight_decay,
            nesterov=rule.nesterov,
            ns_steps=rule.ns_steps,
            rms_rate=rule.rms if rule.scale == "rms" else None,
            muon_a=a,
            muon_b=b,
            muon_c=c,
        )
        self._params = {name: keras.Variable(W, dtype=W.dtype.name, name=name) for name, W in params.items()}
        self._optimizer.build(list(self._params.values()))

    def move(self, grads):
        """Apply the gradients."""
        given = [keras.ops.convert_to_tensor(grads[name]) for name in self._params]
        self._optimizer.apply(given, list(self._params.values()))

    def now(self):
        """As they are."""
        return {name: np.array(p) for name, p in self._params.items()}

    def momentum(self):
        """As it is."""
        return {name: np.array(M) for name, M in zip(self._params, self._optimizer.momentums, strict=True)}


def start(rule, params):
    """As shipped."""
    return Run(rule, params)


start.capabilities = Capabilities(dtypes=("float32",), compiled=False)
