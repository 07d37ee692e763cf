"""A dialect is its live peer: the same streams through both, in float64, to 1e-9 of the distance walked.

The torch peers orthogonalise in bfloat16; here that cast is taken out of them (`float64_products`), and a test of its
own says what it costs. optax has no cast. Orientation is the layout's: optax is handed the transposes.
"""

import itertools
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from unittest import mock

import numpy as np
import pytest

from deva_core import AdaGO, Muon
from tests.gradients import stream

SHAPES = {"square": (6, 6), "wide": (4, 7), "tall": (7, 4), "row": (1, 7), "column": (7, 1)}
STEPS = 12
LR = 0.02
CASES = list(itertools.product([False, True], [0.0, 0.1], [False, True]))
IDS = [f"{'nesterov' * n or 'plain'}-decay{d}-{'rms' * r or 'original'}" for n, d, r in CASES]

needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="the peer needs torch")
needs_optax = pytest.mark.skipif(not find_spec("optax"), reason="the peer is optax")
needs_kozistr = pytest.mark.skipif(not find_spec("pytorch_optimizer"), reason="the peer is pytorch_optimizer")


def initial():
    r = np.random.default_rng(3)
    return {name: r.normal(size=shape) for name, shape in SHAPES.items()}


def gradients(steps=STEPS):
    streams = {name: stream("full rank", shape, steps, seed=5) for name, shape in SHAPES.items()}
    return [{name: G[t] for name, G in streams.items()} for t in range(steps)]


@contextmanager
def float64_products():
    """torch.optim.Muon without its cast. A copy all the same: it writes into what the cast gives it."""
    import torch

    with mock.patch.object(torch.Tensor, "bfloat16", lambda self: self.clone()):
        yield


@contextmanager
def float64_kozistr():
    """pytorch_optimizer's Newton–Schulz with its own dtype argument set to float64."""
    import torch
    from pytorch_optimizer.optimizer.utils.matrix import zero_power_via_newton_schulz_5 as original

    with (
        mock.patch("pytorch_optimizer.optimizer.muon.base.zero_power_via_newton_schulz_5", wide := double(original)),
        mock.patch("pytorch_optimizer.optimizer.muon.adago.zero_power_via_newton_schulz_5", wide),
    ):
        yield torch


def double(original):
    import torch

    return lambda *args, **keywords: original(*args, **keywords, dtype=torch.float64)


def torch_trajectory(make, gradients):
    """Every parameter after every step of a torch optimizer. It gets copies: some peers write into gradients."""
    import torch

    params = {name: torch.nn.Parameter(torch.tensor(W)) for name, W in initial().items()}
    optimizer, trajectory = make(list(params.values())), [initial()]
    for grads in gradients:
        for name, p in params.items():
            p.grad = torch.tensor(grads[name])
        optimizer.step()
        trajectory.append({name: p.detach().numpy().copy() for name, p in params.items()})
    return trajectory


@lru_cache
def torch_muon(nesterov, decay, rms, cast=False):
    import torch

    def make(params):
        adjust = "match_rms_adamw" if rms else "original"
        return torch.optim.Muon(params, lr=LR, weight_decay=decay, nesterov=nesterov, adjust_lr_fn=adjust)

    if cast:
        return torch_trajectory(make, gradients())
    with float64_products():
        return torch_trajectory(make, gradients())


@lru_cache
def optax_muon(nesterov, decay, rms):
    """optax's trajectory, transposed back: it takes a matrix to be (in, out)."""
    import jax
    import optax

    with jax.enable_x64(True):
        optimizer = optax.contrib.muon(
            LR, weight_decay=decay, nesterov=nesterov, consistent_rms=0.2 if rms else None, ns_steps=5
        )
        params = {name: jax.numpy.asarray(W.T) for name, W in initial().items()}
        state, update, trajectory = optimizer.init(params), jax.jit(optimizer.update), [initial()]
        for grads in gradients():
            updates, state = update({name: G.T for name, G in grads.items()}, state, params)
            params = optax.apply_updates(params, updates)
            trajectory.append({name: np.array(W).T for name, W in params.items()})
    return trajectory


@lru_cache
def kozistr_adago(nesterov, decay, adjusted, foreach):
    """A cap that most gradients meet, and a floor that the last steps meet."""
    from pytorch_optimizer import AdaGO as Peer

    def make(params):
        keywords = dict(gamma=3.0, eps=2e-3, weight_decay=decay, nesterov=nesterov, use_adjusted_lr=adjusted)
        return Peer([dict(params=params, use_muon=True)], foreach=foreach, **keywords)

    with float64_kozistr():
        return torch_trajectory(make, gradients())


def run(start, rule):
    """Our trajectory."""
    ours = start(rule, initial())
    trajectory = [initial()]
    for grads in gradients():
        ours.step(grads)
        trajectory.append(ours.params)
    return trajectory


def parted(trajectory, peer):
    """For each parameter, the largest distance from the peer after any step, over the distance that the peer walked."""
    distances = {}
    for name in SHAPES:
        walked, distances[name] = 0.0, 0.0
        for t in range(1, len(peer)):
            walked += float(np.linalg.norm(peer[t][name] - peer[t - 1][name]))
            distance = float(np.linalg.norm(trajectory[t][name] - peer[t][name]))
            distances[name] = max(distances[name], distance / walked)
    return distances


def close(trajectory, peer):
    far = {name: distance for name, distance in parted(trajectory, peer).items() if not distance <= 1e-9}
    assert not far, f"parted from the peer by {far} of the distance walked"


@needs_torch
@pytest.mark.parametrize(("nesterov", "decay", "rms"), CASES, ids=IDS)
def test_the_torch_dialect_is_torch_optim_muon_without_its_cast(start, nesterov, decay, rms):
    scale = "rms" if rms else "original"
    rule = Muon.dialect("torch", lr=LR, nesterov=nesterov, weight_decay=decay, scale=scale)
    close(run(start, rule), torch_muon(nesterov, decay, rms))


@needs_optax
@pytest.mark.parametrize(("nesterov", "decay", "rms"), CASES, ids=IDS)
def test_the_optax_dialect_is_optax_contrib_muon_on_the_transpose(start, nesterov, decay, rms):
    scale = "rms" if rms else "original"
    rule = Muon.dialect("optax", lr=LR, nesterov=nesterov, weight_decay=decay, scale=scale)
    close(run(start, rule), optax_muon(nesterov, decay, rms))


@needs_kozistr
@pytest.mark.parametrize(("nesterov", "decay", "adjusted"), CASES, ids=IDS)
def test_the_pytorch_optimizer_dialect_is_its_live_adago_defect_included(start, nesterov, decay, adjusted):
    """It divides by v², not by v. Both of the peer's code paths."""
    keywords = dict(max_norm=3.0, min_step=2e-3, nesterov=nesterov, weight_decay=decay)
    ours = run(start, AdaGO.dialect("pytorch-optimizer", scale="rms" if adjusted else "original", **keywords))
    for foreach in (False, True):
        close(ours, kozistr_adago(nesterov, decay, adjusted, foreach))


@needs_torch
def test_the_distance_that_torchs_bfloat16_cast_makes_is_said(start, capsys):
    """The dialect is float64 all the way; the peer as it ships is not."""
    distances = parted(run(start, Muon.dialect("torch", lr=LR)), torch_muon(True, 0.1, False, cast=True))
    with capsys.disabled():
        words = ", ".join(f"{name} {distance:.1e}" for name, distance in distances.items())
        print(f"\n{start.__module__}: torch.optim.Muon with its bfloat16 cast parts by {words} of the distance walked")
    assert max(distances.values()) > 1e-4
