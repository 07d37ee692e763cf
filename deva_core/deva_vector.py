"""DeVAVector: DeVA over the ℓ∞ norm, the vector rule beside DeVA.

Song, Bai, Zhang, Bullins, Gleich (2026), arXiv 2602.06880, the Euclidean case

    m <- β₁ m + (1 - β₁) g
    v <- β₂ v + (1 - β₂) m²
    n  = β₁ m + (1 - β₁) g                  (Nesterov; without it, n = m)
    w <- w - η (√(m² / v̂) sign(n) + λ w)    (v̂ = v / (1 - β₂ᵗ))
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from deva_core.backend import Array
from deva_core.elementwise import averages, descent, ema, gap, or_one, root, sign
from deva_core.hyperparameter import Scalar, flag, hyper, policy
from deva_core.linalg import max_abs, mean, parameter_axes
from deva_core.rule import Rule


@dataclass(frozen=True, kw_only=True, repr=False)
class DeVAVector(Rule):
    """DeVA for vectors, that is for arrays of any shape: the sign of the momentum, adapted entry by entry.

    Arithmetic and state are float32, or float64 for float64 parameters. eps uses the mean over the last two axes; axes before
    them are a batch. Source: Song, Bai, Zhang, Bullins, Gleich (2026), arXiv 2602.06880, the Euclidean case;
    docs/rules/deva-vector.md lists the deviations. Any numeric hyperparameter may be a schedule: a function of the number of
    updates made so far.

    Args:
        lr: η, about the size of a step's entries.
        beta1: β₁, the decay of the momentum.
        beta2: β₂, the decay of the second moment, which averages the squared momentum.
        eps: added to v̂, relative to its mean, so that a step does not depend on the gradients' scale.
        weight_decay: λ, decoupled: a step shrinks w by `lr * weight_decay`.
        nesterov: average the gradient once more before taking the sign.
        bias_correction: divide v by 1 - β₂ᵗ. (The momentum's own bias cancels in m² / v.)
        eps_mode: set by `DeVAVector.dialect`; docs/dialects.md describes it.

    Raises:
        ValueError: a hyperparameter is outside its domain.
        TypeError: a hyperparameter has the wrong type or an unknown name.

    Example:
        >>> import numpy as np
        >>> from deva_core import DeVAVector, Optimizer
        >>> optimizer = Optimizer(DeVAVector(lr=0.1))
        >>> w = {"bias": np.zeros(3)}
        >>> w, state = optimizer.step(w, {"bias": np.array([3e-9, -5e-9, 0.0])}, optimizer.init(w))
        >>> w["bias"].round(6) + 0.0
        array([-0.1,  0.1,  0. ])
    """

    matrix: ClassVar[bool] = False
    unit_steps: ClassVar = True
    narrowable: ClassVar = ("momentum",)
    branches: ClassVar = False

    lr: Scalar = hyper(3e-3, ge=0)
    beta1: Scalar = hyper(0.9, ge=0, lt=1)
    beta2: Scalar = hyper(0.99, ge=0, lt=1)
    eps: Scalar = hyper(1e-8, gt=0)
    weight_decay: Scalar = hyper(0.0, ge=0)
    nesterov: bool = flag(False)
    bias_correction: bool = flag(True)
    eps_mode: str = policy("relative", "relative", "absolute")

    DIALECTS: ClassVar = {
        "authors": dict(lr=0.02, beta2=0.999, eps=1e-5, bias_correction=False, eps_mode="absolute"),
    }

    class State(NamedTuple):
        """`momentum`: m. `second_moment`: v in units of `scale`², so that squares neither overflow nor underflow."""

        momentum: Array
        second_moment: Array
        scale: Array

    def init(self, W, b):
        """All zero."""
        scale = b.zeros((*W.shape[:-2], *(1 for _ in parameter_axes(W))), W)
        return self.State(momentum=b.xp.zeros_like(W), second_moment=b.xp.zeros_like(W), scale=scale)

    def update(self, G, S, W, t, b):
        """The algorithm box above, in units of a running scale."""
        xp = b.xp
        m, n = averages(S.momentum, G, self.beta1, self.nesterov, b)
        scale = xp.maximum(root(self.beta2, b) * S.scale, max_abs(m, b))
        scale = scale if self.eps_mode == "relative" else xp.ones_like(scale)
        unit = or_one(scale, b)
        m2 = (m / unit) ** 2
        v = ema(S.second_moment * (S.scale / unit) ** 2, m2, self.beta2, b)
        v_hat = v / gap(self.beta2, t, W, b) if self.bias_correction else v
        ratio = m2 / or_one(v_hat + self.eps * (mean(v_hat, b) if self.eps_mode == "relative" else 1.0), b)
        delta = descent(xp.sqrt(ratio) * sign(n, b), self.lr, W, self.lr * self.weight_decay, b)
        return delta, self.State(momentum=m, second_moment=v, scale=scale)

    def moments(self, S, b):
        """m and v."""
        return S.momentum, S.second_moment * S.scale**2

    def step_rms(self, shape):
        """`lr`: entries move by that much while gradients keep their sign."""
        return self.lr
