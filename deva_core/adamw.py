"""AdamW, the vector rule beside Muon and AdaGO.

Loshchilov, Hutter (2019), arXiv 1711.05101; Kingma, Ba (2015), arXiv 1412.6980

    m <- β₁ m + (1 - β₁) g
    v <- β₂ v + (1 - β₂) g²
    w <- w - η (m̂ / (√v̂ + ε) + λ w)        (m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ))
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from deva_core.backend import Array
from deva_core.elementwise import descent, ema, gap
from deva_core.hyperparameter import Scalar, hyper
from deva_core.rule import Rule


@dataclass(frozen=True, kw_only=True, repr=False)
class AdamW(Rule):
    """AdamW for arrays of any shape: Adam with decoupled weight decay.

    Arithmetic and state are float32, or float64 for float64 parameters. Source: Loshchilov, Hutter (2019), arXiv 1711.05101;
    docs/rules/adamw.md. Any numeric hyperparameter may be a schedule: a function of the number of updates made so far.

    Args:
        lr: η, about the size of a step's entries.
        beta1: β₁, the decay of the first moment.
        beta2: β₂, the decay of the second moment.
        eps: ε, added to √v̂, in units of the gradient: a step therefore depends on the gradients' scale, as in every AdamW.
        weight_decay: λ, decoupled: a step shrinks w by `lr * weight_decay`.

    Raises:
        ValueError: a hyperparameter is outside its domain.
        TypeError: a hyperparameter has the wrong type or an unknown name.

    Example:
        >>> import numpy as np
        >>> from deva_core import AdamW, Optimizer
        >>> optimizer = Optimizer(AdamW(lr=0.1, weight_decay=0.0))
        >>> w = {"bias": np.zeros(2)}
        >>> w, state = optimizer.step(w, {"bias": np.array([3.0, -5.0])}, optimizer.init(w))
        >>> w["bias"].round(6)
        array([-0.1,  0.1])
    """

    matrix: ClassVar[bool] = False
    unit_steps: ClassVar = True
    narrowable: ClassVar = ("exp_avg",)
    branches: ClassVar = False
    elementwise: ClassVar[bool] = True

    lr: Scalar = hyper(3e-4, ge=0)
    beta1: Scalar = hyper(0.9, ge=0, lt=1)
    beta2: Scalar = hyper(0.999, ge=0, lt=1)
    eps: Scalar = hyper(1e-8, gt=0)
    weight_decay: Scalar = hyper(0.01, ge=0)

    class State(NamedTuple):
        """`exp_avg`: m, `exp_avg_sq`: v, of w's shape."""

        exp_avg: Array
        exp_avg_sq: Array

    def init(self, W, b):
        """m = v = 0."""
        return self.State(exp_avg=b.xp.zeros_like(W), exp_avg_sq=b.xp.zeros_like(W))

    def update(self, G, S, W, t, b):
        """The algorithm box above."""
        m = ema(S.exp_avg, G, self.beta1, b)
        v = ema(S.exp_avg_sq, G * G, self.beta2, b)
        m_hat = m / gap(self.beta1, t, W, b)
        v_hat = v / gap(self.beta2, t, W, b)
        delta = descent(m_hat / (b.xp.sqrt(v_hat) + self.eps), self.lr, W, self.lr * self.weight_decay, b)
        return delta, self.State(exp_avg=m, exp_avg_sq=v)

    def moments(self, S, b):
        """m and v."""
        return S.exp_avg, S.exp_avg_sq

    def step_rms(self, shape):
        """`lr`: entries move by that much while gradients keep their sign."""
        return self.lr
