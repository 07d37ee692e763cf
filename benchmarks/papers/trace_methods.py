"""Who takes part in DeVA's Figure 2: our rules on one stack of matrices, peers as their packages have them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import pytorch_optimizer
import torch

from deva_core import DeVA, DeVAVector, Muon, Rule
from deva_numpy import Optimizer

LR = 0.1
"""The authors', for all methods but gradient descent."""


class Side(Protocol):
    """An optimizer of `(seeds, 9, 9)`, each matrix by itself."""

    gamma: np.ndarray | None
    """DeVA's last Γ."""

    def step(self, X: np.ndarray, G: np.ndarray, lr: float) -> np.ndarray:
        """The next X."""
        ...


@dataclass(frozen=True)
class Method:
    """Whose optimizer, in words, at which learning rate in the middle."""

    name: str
    words: str
    side: Callable[[np.ndarray, Callable[[int], float]], Side]
    lr: float = LR
    whole: bool = False
    """Whether it sees the whole gradient."""


class RuleSide:
    """One of our rules on the stack."""

    def __init__(self, rule: Rule, start: np.ndarray, layout: str | None) -> None:
        self.optimizer = Optimizer(rule, layout=layout)
        self.state = self.optimizer.init({"X": start})
        self.gamma = WatchedDeVA.seen = None
        self.watched = rule if isinstance(rule, WatchedDeVA | DeVAVector) else None

    def step(self, X: np.ndarray, G: np.ndarray, lr: float) -> np.ndarray:
        """By the host."""
        new, self.state = self.optimizer.step({"X": X}, {"X": G}, self.state)
        if self.watched:
            deva = isinstance(self.watched, WatchedDeVA)
            self.gamma = WatchedDeVA.seen if deva else np.abs(new["X"] - X) / lr
        return new["X"]


class WatchedDeVA(DeVA):
    """DeVA whose Γ can be looked at. (DeVAVector's is the size of a step's entries.)"""

    seen: ClassVar[np.ndarray | None] = None
    """The last; none before the first step of a dialect whose first call only builds the bases."""

    def adaptation(self, G, M, S, t, b):
        """Noted."""
        Γ, S = super().adaptation(G, M, S, t, b)
        WatchedDeVA.seen = Γ
        return Γ, S


class TorchSide:
    """A torch optimizer: elementwise ones on the whole stack, others on a list of matrices."""

    gamma = None

    def __init__(self, make: Callable[[list[torch.Tensor]], torch.optim.Optimizer], start: np.ndarray, apart: bool):
        self.X = torch.from_numpy(start.copy())
        self.apart, self.params = apart, list(self.X) if apart else [self.X]
        self.optimizer = make(self.params)

    def step(self, X: np.ndarray, G: np.ndarray, lr: float) -> np.ndarray:
        """At this learning rate."""
        grads = torch.from_numpy(G)
        for p, g in zip(self.params, grads if self.apart else [grads], strict=True):
            p.grad = g
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        return self.X.numpy().copy()


def ours(rule: Callable[..., Rule], **settings: Any) -> Callable[[np.ndarray, Callable[[int], float]], Side]:
    """A side that runs a rule."""

    def side(start: np.ndarray, schedule: Callable[[int], float]) -> Side:
        made = rule(lr=schedule, **settings)
        return RuleSide(made, start, "batch out in" if made.matrix else None)

    return side


def theirs(optimizer: Callable[..., Any], apart: bool = False, **settings: Any) -> Any:
    """A side that runs a torch optimizer; `apart` where it does not work entry by entry."""
    return lambda start, schedule: TorchSide(lambda params: optimizer(params, **settings), start, apart)


def sign_descent(params: list[torch.Tensor]) -> torch.optim.Optimizer:
    """SGD that is given signs."""
    optimizer = torch.optim.SGD(params)
    optimizer.register_step_pre_hook(lambda *_: [p.grad.sign_() for p in params if p.grad is not None] and None)
    return optimizer


def adamuon(params: list[torch.Tensor], **settings: Any) -> torch.optim.Optimizer:
    """With its flag."""
    return pytorch_optimizer.AdaMuon([{"params": params, "use_muon": True}], **settings)


BETAS = (0.0, 0.99)
MOMENTS = dict(beta1=BETAS[0], beta2=BETAS[1], weight_decay=0.0)
METHODS = (
    Method("GD", "torch.optim.SGD on whole gradients, as in the figure", theirs(torch.optim.SGD), 1e-4, whole=True),
    Method("SGD", "torch.optim.SGD", theirs(torch.optim.SGD), 1e-2),
    Method("SignSGD", "torch.optim.SGD on signs", theirs(sign_descent)),
    Method("Adam", "torch.optim.Adam", theirs(torch.optim.Adam, betas=BETAS)),
    Method(
        "Muon", 'ours, the authors\' dialect: scale="rms", rms=1', ours(Muon.dialect, name="deva-authors", momentum=0.0)
    ),
    Method("SOAP", "pytorch_optimizer's", theirs(pytorch_optimizer.SOAP, True, betas=BETAS, weight_decay=0.0)),
    Method("AdaMuon", "pytorch_optimizer's (without the sign of the authors')", theirs(adamuon, True, betas=BETAS)),
    Method("DeVA ℓ∞", "ours, defaults", ours(DeVAVector, **MOMENTS)),
    Method("DeVA ℓ∞, published", "ours, the authors' dialect", ours(DeVAVector.dialect, name="authors", **MOMENTS)),
    Method("DeVA S∞", "ours, defaults: canonical basis, relative eps", ours(WatchedDeVA, **MOMENTS)),
    Method("DeVA S∞, eigh", 'ours, basis="eigh", else defaults', ours(WatchedDeVA, basis="eigh", **MOMENTS)),
    Method("DeVA S∞, published", "ours, the authors' dialect", ours(WatchedDeVA.dialect, name="authors", **MOMENTS)),
)
