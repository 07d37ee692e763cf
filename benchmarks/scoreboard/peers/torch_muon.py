"""torch.optim.Muon."""

from unittest import mock

import torch

from benchmarks.scoreboard.claims import refuse_callables
from benchmarks.scoreboard.peers.torch_run import WIDE, TorchRun

ADJUST = {"original": "original", "rms": "match_rms_adamw"}


def start(rule, params):
    """As shipped: products in bfloat16."""
    return run(rule, params)


def uncast(rule, params):
    """The same without its cast. A copy all the same: it writes into what the cast gives it."""
    return run(rule, params, lambda: mock.patch.object(torch.Tensor, "bfloat16", lambda x: x.clone()))


def run(rule, params, *context):
    """The peer with the rule's hyperparameters."""
    refuse_callables(rule)

    def make(parameters):
        return torch.optim.Muon(
            parameters,
            lr=rule.lr,
            weight_decay=rule.weight_decay,
            momentum=rule.momentum,
            nesterov=rule.nesterov,
            ns_coefficients=rule.ns_coefficients,
            eps=rule.ns_eps,
            ns_steps=rule.ns_steps,
            adjust_lr_fn=ADJUST[rule.scale],
        )

    return TorchRun(params, make, {"momentum_buffer": "momentum"}, *context)


start.capabilities = uncast.capabilities = WIDE
