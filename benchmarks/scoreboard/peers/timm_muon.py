"""timm.optim.Muon, without timm's models: importing those needs a torchvision that was built for the very torch."""

import sys
from importlib.util import find_spec
from types import ModuleType
from unittest import mock

from benchmarks.scoreboard.claims import refuse_callables
from benchmarks.scoreboard.peers.torch_run import WIDE, TorchRun


def bare(name, folder):
    """A package of which nothing is run."""
    package = ModuleType(name)
    package.__path__ = [folder]
    sys.modules[name] = package


folder = find_spec("timm").submodule_search_locations[0]
bare("timm", folder)
bare("timm.optim", f"{folder}/optim")
from timm.optim import muon as timm_muon  # noqa: E402

ADJUST = {"original": "original", "rms": "match_rms_adamw", "spectral": "rms_to_rms"}
original = timm_muon.zeropower_via_newtonschulz


def without_cast():
    """Newton–Schulz by the peer's own argument `dtype`, set to that of the matrix."""
    return mock.patch.object(
        timm_muon,
        "zeropower_via_newtonschulz",
        lambda G, *args, **options: original(G, *args, **options, dtype=G.dtype),
    )


def start(rule, params):
    """As shipped: products in bfloat16."""
    return run(rule, params)


def uncast(rule, params):
    """In the dtype of the gradients."""
    return run(rule, params, without_cast)


def run(rule, params, *context):
    """The peer with the rule's hyperparameters; every matrix is its, however small."""
    refuse_callables(rule)

    def make(parameters):
        return timm_muon.Muon(
            [{"params": parameters, "use_muon": True}],
            lr=rule.lr,
            weight_decay=rule.weight_decay,
            momentum=rule.momentum,
            nesterov=rule.nesterov,
            ns_steps=rule.ns_steps,
            ns_coefficients=rule.ns_coefficients,
            eps=rule.ns_eps,
            adjust_lr_fn=ADJUST[rule.scale],
        )

    return TorchRun(params, make, {"momentum_buffer": "momentum"}, *context)


start.capabilities = uncast.capabilities = WIDE
