"""heavyball.Muon, without torch.compile, in float64.

In float32 it rounds what enters Newton–Schulz to bfloat16 at random, by design, so that no two runs are the same; in float64
it rounds nothing.
"""

import heavyball
import numpy as np
import torch

from benchmarks.scoreboard.claims import refuse_callables
from benchmarks.scoreboard.peers.torch_run import TorchRun
from deva_core.capabilities import Capabilities

heavyball.utils.compile_mode = None


class Run(TorchRun):
    """A run. State is kept under each parameter's views, of which a matrix has one."""

    def _of(self, p):
        views = self._optimizer.state.get(p, {}).get(0, {})
        held = next((M for name, M in views.items() if "momentum" in name), None)
        return {"momentum": np.zeros(p.shape, p.detach().numpy().dtype) if held is None else np.array(held.numpy())}


def start(rule, params):
    """Its `heavyball_momentum=True`, which is momentum as in the other libraries."""
    refuse_callables(rule)
    torch.manual_seed(0)  # what it rounds at random (recipe, scales), a rerun prints again
    dtype = next(iter(params.values())).dtype.name

    def make(parameters):
        return heavyball.Muon(
            parameters,
            lr=rule.lr,
            betas=(rule.momentum, 0.99),
            weight_decay=rule.weight_decay,
            nesterov=rule.nesterov,
            heavyball_momentum=True,
            storage_dtype=dtype,
        )

    return Run(params, make, {})


start.capabilities = Capabilities(dtypes=("float64",), compiled=False)
