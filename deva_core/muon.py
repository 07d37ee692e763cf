"""Muon: momentum, orthogonalised.

Jordan et al. (2024), <https://kellerjordan.github.io/posts/muon/>

    M <- β M + (1 - β) G
    N  = β M + (1 - β) G            (Nesterov; without it, N = M)
    O  = polar(N)                   (Newton–Schulz)
    W <- W - η (s O + λ W)          (s: the shape factor)
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from deva_core.backend import Array
from deva_core.elementwise import averages, descent, ema, gap
from deva_core.hyperparameter import Scalar, flag, hyper, policy
from deva_core.linalg import polar
from deva_core.rule import Orthogonalized


@dataclass(frozen=True, kw_only=True, repr=False)
class Muon(Orthogonalized):
    """Muon for matrices `(..., out, in)`: each step is the orthogonalised momentum.

    Axes before the last two are a batch of independent matrices. Arithmetic and state are float32, or float64 for float64
    parameters. Source: Jordan et al. (2024), <https://kellerjordan.github.io/posts/muon/>; docs/rules/muon.md lists the
    deviations. Any numeric hyperparameter may be a schedule: a function of the number of updates made so far.

    Args:
        lr: η. A step has spectral norm `lr` times the shape factor, up to the error of Newton–Schulz.
        momentum: β, the decay of the moving average.
        weight_decay: λ, decoupled: a step shrinks W by `lr * weight_decay`.
        nesterov: average the gradient once more before orthogonalising.
        scale: the shape factor s: `"original"` √max(1, out/in), `"rms"` rms·√max(out, in), `"spectral"` √(out/in), `"none"` 1.
        rms: the root mean square of a step's entries in units of `lr`; read only under `scale="rms"`.
        ns_coefficients: Newton–Schulz coefficients: a triple (a, b, c) for all steps, or a sequence with one triple per step.
            `"exact"` computes the polar factor by SVD.
        ns_steps: the number of Newton–Schulz steps.
        momentum_form, ns_normalization, ns_eps: set by `Muon.dialect`; docs/dialects.md describes them.

    Raises:
        ValueError: a hyperparameter is outside its domain.
        TypeError: a hyperparameter has the wrong type or an unknown name.

    Example:
        >>> import numpy as np
        >>> from deva_core import Muon, Optimizer
        >>> optimizer = Optimizer(Muon(lr=0.1, ns_coefficients="exact"))
        >>> W = {"weight": np.zeros((2, 2))}
        >>> state = optimizer.init(W)
        >>> W, state = optimizer.step(W, {"weight": np.diag([3.0, -5.0])}, state)
        >>> W["weight"].round(12) + 0.0
        array([[-0.1,  0. ],
               [ 0. ,  0.1]])
    """

    lr: Scalar = hyper(0.02, ge=0)
    momentum: Scalar = hyper(0.95, ge=0, lt=1)
    weight_decay: Scalar = hyper(0.0, ge=0)
    nesterov: bool = flag(True)

    momentum_form: str = policy("average", "average", "sum", "corrected")

    spectral_lr_ratio: ClassVar = 0.2
    narrowable: ClassVar = ("momentum",)
    branches: ClassVar = False
    DIALECTS: ClassVar = {
        "keller": dict(ns_normalization="add"),
        "torch": dict(lr=1e-3, weight_decay=0.1, ns_normalization="clamp"),
        "optax": dict(momentum_form="corrected", ns_normalization="add", ns_eps=1e-8),
        "moonlight": dict(lr=1e-3, weight_decay=0.1, momentum_form="sum", scale="rms", ns_normalization="add"),
        "deva-authors": dict(nesterov=False, scale="rms", rms=1.0, ns_normalization="schatten", ns_eps=1e-20),
    }

    class State(NamedTuple):
        """`momentum`: M, of W's shape."""

        momentum: Array

    def init(self, W, b):
        """M = 0."""
        return self.State(momentum=b.xp.zeros_like(W))

    def update(self, G, S, W, t, b):
        """The algorithm box above."""
        M, N = self.momenta(S.momentum, G, t, b)
        O = polar(N, self.orthogonalization, b)
        delta = descent(O, self.lr * self.shape_factor(W), W, self.lr * self.weight_decay, b)
        return delta, self.State(momentum=M)

    def momenta(self, M, G, t, b):
        """M and N: moving averages, or sums (β M + G), or optax's averages with each term corrected for bias."""
        β = self.momentum
        if self.momentum_form == "average":
            return averages(M, G, β, self.nesterov, b)
        if self.momentum_form == "sum":
            M = β * M + G
            return M, β * M + G if self.nesterov else M
        M, later, now = ema(M, G, β, b), gap(β, t + 1, M, b), gap(β, t, M, b)
        return M, β * M / later + (1 - β) * G / now if self.nesterov else M / now
