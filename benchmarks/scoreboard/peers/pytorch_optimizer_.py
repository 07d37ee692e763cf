"""pytorch_optimizer: Muon, AdaGO, SOAP."""

from contextlib import ExitStack
from functools import partial
from unittest import mock

import numpy as np
import pytorch_optimizer
from pytorch_optimizer.optimizer.utils.matrix import zero_power_via_newton_schulz_5 as original

from benchmarks.scoreboard.claims import refuse_callables
from benchmarks.scoreboard.peers.torch_run import WIDE, TorchRun

USES = ("base", "adago")
MUON = {"momentum_buffer": "momentum"}
NO_FLOOR = 1e-30
"""What stands for no floor under a step: the peer wants a positive one."""
SHARED = ("lr", "momentum", "weight_decay", "nesterov", "ns_steps")


def in_own_dtype(G, **options):
    """Newton–Schulz by the peer's own argument `dtype`, set to that of the matrix."""
    return original(G, **options, dtype=G.dtype)


def without_cast():
    """The peer's products in the dtype of the gradients."""
    stack = ExitStack()
    for module in USES:
        at = f"pytorch_optimizer.optimizer.muon.{module}"
        if hasattr(__import__(at, fromlist=["x"]), original.__name__):
            stack.enter_context(mock.patch(f"{at}.{original.__name__}", in_own_dtype))
    return stack


def made(peer, rule, **options):
    """A factory of the peer with the rule's hyperparameters."""
    refuse_callables(rule)
    options |= {name: getattr(rule, name) for name in SHARED}
    options |= {"ns_coeffs": rule.ns_coefficients, "use_adjusted_lr": rule.scale == "rms"}
    return lambda parameters: peer([{"params": parameters, "use_muon": True}], **options)


def muon(rule, params):
    """As shipped: products in bfloat16."""
    return TorchRun(params, made(pytorch_optimizer.Muon, rule), MUON)


def muon_uncast(rule, params):
    """In the dtype of the gradients."""
    return TorchRun(params, made(pytorch_optimizer.Muon, rule), MUON, without_cast)


class AdaGORun(TorchRun):
    """A run whose accumulator is a scalar, there before the first step."""

    def __init__(self, rule, *args):
        super().__init__(*args)
        self._first = rule.initial_accumulator_value

    def _of(self, p):
        held, dtype = self._optimizer.state.get(p, {}), p.detach().numpy().dtype
        v = held["v"].numpy() if "v" in held else np.array(self._first)
        return {**super()._of(p), "accumulator": np.array(v, dtype).reshape(())}


def adago(rule, params, *context):
    """As shipped: products in bfloat16."""
    options = {"gamma": rule.max_norm, "eps": rule.min_step or NO_FLOOR, "v": rule.initial_accumulator_value}
    return AdaGORun(rule, params, made(pytorch_optimizer.AdaGO, rule, **options), MUON, *context)


def adago_uncast(rule, params):
    """In the dtype of the gradients."""
    return adago(rule, params, without_cast)


def soap(rule, params):
    """SOAP, whose eigenbases are QR's."""
    refuse_callables(rule)
    make = partial(pytorch_optimizer.SOAP, lr=rule.lr, weight_decay=rule.weight_decay)
    return TorchRun(params, make, {"exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq"})


for function in (muon, muon_uncast, adago, adago_uncast, soap):
    function.capabilities = WIDE
