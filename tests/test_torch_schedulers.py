"""Every learning rate scheduler of torch moves both halves, exactly."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest

torch = pytest.importorskip("torch")

from torch.optim import lr_scheduler, swa_utils  # noqa: E402

import deva_torch  # noqa: E402
from deva_core import AdamW, Rule  # noqa: E402
from deva_core.hyperparameter import Scalar, hyper  # noqa: E402

TOTAL = 12


def chained(optimizer):
    return lr_scheduler.ChainedScheduler(
        [lr_scheduler.ExponentialLR(optimizer, 0.9), lr_scheduler.ConstantLR(optimizer, 0.5, total_iters=4)]
    )


def sequential(optimizer):
    parts = [lr_scheduler.LinearLR(optimizer, 0.1, total_iters=4), lr_scheduler.CosineAnnealingLR(optimizer, TOTAL)]
    return lr_scheduler.SequentialLR(optimizer, parts, milestones=[4])


SCHEDULERS = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, [lambda k: 1 / (1 + k), lambda k: 0.5**k]),  # one for each group
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda k: 0.9),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 3),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 5]),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.8),
    "SequentialLR": sequential,
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL),
    "ChainedScheduler": chained,
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=1, threshold=0.9),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=3),  # cycles momentum
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, [0.1, 0.2], total_steps=TOTAL + 1),  # cycles momentum
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, TOTAL),
    "SWALR": lambda o: swa_utils.SWALR(o, 0.005),
}


class Nothing(NamedTuple):
    """The state of a rule without one."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Descent(Rule):
    """Gradient descent: its steps show the learning rate."""

    lr: Scalar = hyper(0.1, ge=0)
    momentum: Scalar = hyper(0.9, ge=0, lt=1)
    State = Nothing

    def init(self, W, b):
        return Nothing()

    def update(self, G, S, W, t, b):
        return -self.lr * G, S


@dataclass(frozen=True, kw_only=True, repr=False)
class VectorDescent(Descent):
    matrix = False


def test_the_table_has_every_scheduler_of_torch():
    assert set(lr_scheduler.__all__) - {"LRScheduler"} == SCHEDULERS.keys() - {"SWALR"}


def move_on(scheduler, loss):
    """ReduceLROnPlateau alone is told the loss."""
    scheduler.step(*[loss.detach()] if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else [])


@pytest.mark.parametrize("kind", [float, torch.tensor], ids=["number", "tensor"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_both_halves_follow_the_scheduler_exactly(name, kind):
    """Two groups, a matrix and a vector in each; their steps over their gradients are the learning rates."""
    g = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(s, generator=g, dtype=torch.float64)) for s in ((3, 2), (3,)) * 2]
    first, second = (kind(lr) if kind is float else kind(lr, dtype=torch.float64) for lr in (0.1, 0.05))
    groups = [{"params": params[:2]}, {"params": params[2:], "lr": second}]
    optimizer = deva_torch.RuleOptimizer(groups, Descent(lr=first), vector_rule=VectorDescent(lr=0.01))
    scheduler, seen = SCHEDULERS[name](optimizer), set()
    for _ in range(TOTAL):
        optimizer.zero_grad()
        loss = sum(p.square().sum() for p in params)
        loss.backward()
        before = [p.detach().clone() for p in params]
        lrs = [float(optimizer.param_groups[k // 2]["lr"]) for k in range(4)]
        optimizer.step()
        for k, p in enumerate(params):
            lr = lrs[k] if k % 2 == 0 else 0.01 * lrs[k] / 0.1
            torch.testing.assert_close(p.detach(), before[k] - lr * p.grad, rtol=1e-12, atol=1e-14)
        seen.add(tuple(lrs))
        move_on(scheduler, loss)
    assert len(seen) > 1, "the scheduler moved nothing"


def test_groups_without_an_lr_of_their_own_do_not_share_one_tensor():
    """Schedulers write into it: in torch's own optimizers the last group's lr is then every group's."""
    params = [torch.nn.Parameter(torch.ones(3, 2, dtype=torch.float64)) for _ in range(3)]
    lr = torch.tensor(0.1, dtype=torch.float64)
    optimizer = deva_torch.RuleOptimizer([{"params": [p]} for p in params], Descent(lr=lr))
    assert optimizer.param_groups[0]["lr"] is lr, "one group's is the one given, so that it may be written from outside"
    lr_scheduler.LambdaLR(optimizer, [lambda k, f=f: f for f in (1.0, 0.5, 0.25)])
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert [1 - p[0, 0].item() for p in params] == pytest.approx([0.1, 0.05, 0.025], rel=1e-12)


@pytest.mark.parametrize("kind", ["Muon", "DeVA"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_it_trains_under_the_scheduler(name, kind):
    """`momentum` and `betas` are where schedulers that cycle them look."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    groups = [{"params": net[0].parameters()}, {"params": net[2].parameters(), "lr": 0.02}]
    optimizer = getattr(deva_torch, kind)(groups, lr=0.02, vector_rule=AdamW(lr=0.02))
    scheduler = SCHEDULERS[name](optimizer)
    x = torch.randn(32, 6)
    y, losses, momenta = torch.tanh(2 * x[:, :3]), [], set()
    for _ in range(TOTAL):
        optimizer.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        group = optimizer.param_groups[0]
        momenta.add(group["momentum"] if kind == "Muon" else group["betas"][0])
        losses.append(loss.item())
        move_on(scheduler, loss)
    assert losses[-1] < 0.9 * losses[0]
    assert (len(momenta) > 1) == (name in ("CyclicLR", "OneCycleLR"))
