"""optax.contrib.muon, given its matrices as (in, out)."""

from functools import lru_cache

import jax
import numpy as np
import optax

from benchmarks.scoreboard.peers.run import FunctionalRun
from deva_core.capabilities import Capabilities

FIELDS = ("lr", "momentum", "nesterov", "weight_decay", "ns_coefficients", "ns_steps", "ns_eps", "scale", "rms")


@lru_cache(maxsize=64)
def optimizer(lr, momentum, nesterov, weight_decay, ns_coefficients, ns_steps, ns_eps, scale, rms):
    """The transformation and its compiled update."""
    made = optax.contrib.muon(
        lr,
        ns_coeffs=ns_coefficients,
        ns_steps=ns_steps,
        beta=momentum,
        eps=ns_eps,
        weight_decay=weight_decay,
        nesterov=nesterov,
        consistent_rms=rms if scale == "rms" else None,
    )
    return made, jax.jit(made.update)


class Run(FunctionalRun):
    """A run in float64 where it is asked for."""

    def begin(self, rule, params):
        """The transformation and its first state."""
        self._made, self._update = optimizer(*(getattr(rule, name) for name in FIELDS))
        with jax.enable_x64(True):
            self._params = {name: jax.numpy.asarray(W.T) for name, W in params.items()}
            self._state = self._made.init(self._params)

    def move(self, grads):
        """Update and apply."""
        with jax.enable_x64(True):
            given = {name: jax.numpy.asarray(G.T) for name, G in grads.items()}
            updates, self._state = self._update(given, self._state, self._params)
            self._params = optax.apply_updates(self._params, updates)

    def now(self):
        """As (out, in)."""
        return {name: np.asarray(W).T for name, W in self._params.items()}

    def momentum(self):
        """As (out, in)."""
        mu = optax.tree_utils.tree_get(self._state.inner_states["muon"], "mu")
        return {name: np.asarray(mu[name]).T for name in self._params}


def start(rule, params):
    """As shipped."""
    return Run(rule, params)


start.capabilities = Capabilities(dtypes=("float64", "float32"), compiled=False)
