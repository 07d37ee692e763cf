"""AdaGO: Muon's direction, AdaGrad-Norm's step length.

Zhang, Liu, Schaeffer (2025), arXiv 2509.02981, Algorithm 1

    M  <- μ M + (1 - μ) G
    v² <- v² + min(‖G‖, γ)²
    O   = polar(M)
    α   = max(ε, η min(‖G‖, γ) / v)  (ε: ours is η / 100; a number is the paper's)
    W  <- W - s α O - η λ W          (s, λ: ours; 1 and 0 in the paper)
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from deva_core.backend import Array
from deva_core.elementwise import averages, descent, positive
from deva_core.hyperparameter import Scalar, concrete, flag, hyper, is_number, option, policy
from deva_core.linalg import frobenius, polar
from deva_core.rule import Orthogonalized

FLOOR = 0.01
"""ε over η by default: ours. The paper's and a released library's 5e-4 are a hundredth of the latter's η, 0.05."""


@dataclass(frozen=True, kw_only=True, repr=False)
class AdaGO(Orthogonalized):
    """AdaGO for matrices `(..., out, in)`: Muon's direction with AdaGrad-Norm's step length.

    Axes before the last two are a batch of independent matrices. Arithmetic and state are float32, or float64 for float64
    parameters. Source: Zhang, Liu, Schaeffer (2025), arXiv 2509.02981, Algorithm 1; docs/rules/adago.md lists the deviations.
    Any numeric hyperparameter may be a schedule: a function of the number of updates made so far.

    Args:
        lr: η. Apart from the floor, a step's spectral norm is at most `lr` times the shape factor.
        momentum: μ, the decay of the moving average.
        max_norm: the paper's γ: a gradient's Frobenius norm is clipped to this before it enters the step length.
        min_step: ε, a lower bound on the step length (unrelated to Adam's eps). None means `lr / 100`, so it follows `lr`.
            A number is the paper's absolute bound: it does not follow `lr`, and applies unless `lr` is zero.
        initial_accumulator_value: v² before the first step, in units of the gradient squared.
        weight_decay: λ, decoupled: a step shrinks W by `lr * weight_decay`.
        nesterov: average the gradient once more before orthogonalising (not in the paper).
        scale: the shape factor s, as in `Muon`; it multiplies the whole step, floor included.
        rms, ns_coefficients, ns_steps: as in `Muon`.
        accumulator_root, floor, clipped, ns_normalization, ns_eps: set by `AdaGO.dialect`; docs/dialects.md describes them.

    Raises:
        ValueError: a hyperparameter is outside its domain.
        TypeError: a hyperparameter has the wrong type or an unknown name.

    Example:
        >>> import numpy as np
        >>> from deva_core import AdaGO, Optimizer
        >>> optimizer = Optimizer(AdaGO(lr=0.1, ns_coefficients="exact"))
        >>> W = {"weight": np.zeros((2, 2))}
        >>> state = optimizer.init(W)
        >>> for _ in range(3):
        ...     W, state = optimizer.step(W, {"weight": np.eye(2)}, state)
        >>> (-W["weight"][0, 0] / 0.1).round(4), round(1 + 2**-0.5 + 3**-0.5, 4)
        (np.float64(2.2845), 2.2845)
    """

    lr: Scalar = hyper(0.05, ge=0)
    momentum: Scalar = hyper(0.95, ge=0, lt=1)
    max_norm: Scalar = hyper(10.0, gt=0)
    min_step: Scalar = hyper(None, ge=0, optional=True)
    initial_accumulator_value: Scalar = hyper(1e-6, gt=0)
    weight_decay: Scalar = hyper(0.0, ge=0)
    nesterov: bool = flag(False)
    scale: str = option("none", "original", "rms", "spectral", "none")

    accumulator_root: bool = policy(True, True, False)
    floor: str = policy("scaled", "scaled", "unscaled")
    clipped: str = policy("gradient", "gradient", "lookahead")

    spectral_lr_ratio: ClassVar = 0.08
    narrowable: ClassVar = ("momentum",)
    branches: ClassVar = False
    step_is_bound: ClassVar = True
    DIALECTS: ClassVar = {
        "paper": dict(min_step=5e-4, ns_coefficients="exact"),
        "pytorch-optimizer": dict(
            min_step=5e-4,
            scale="original",
            accumulator_root=False,
            floor="unscaled",
            clipped="lookahead",
            ns_normalization="clamp",
        ),
    }

    class State(NamedTuple):
        """`momentum`: M, of W's shape. `accumulator`: v², one number per matrix."""

        momentum: Array
        accumulator: Array

    def init(self, W, b):
        """M = 0, v² = `initial_accumulator_value`."""
        v2 = b.zeros(W.shape[:-2], W) + self.initial_accumulator_value
        return self.State(momentum=b.xp.zeros_like(W), accumulator=v2)

    def update(self, G, S, W, t, b):
        """The algorithm box above."""
        xp = b.xp
        M, N = averages(S.momentum, G, self.momentum, self.nesterov, b)
        c = xp.clip(frobenius(G, b), None, self.max_norm)
        v2 = S.accumulator[..., None, None] + c * c
        O = polar(N, self.orthogonalization, b)
        if self.clipped == "lookahead" and self.nesterov:
            c = xp.clip(frobenius(N, b), None, self.max_norm)
        α = self.step_length(c, v2, W, b)
        delta = descent(O, α, W, self.lr * self.weight_decay, b)
        return delta, self.State(momentum=M, accumulator=xp.reshape(v2, v2.shape[:-2]))

    def moments(self, S, b):
        """M and v²."""
        return S.momentum, S.accumulator[..., None, None]

    def step_length(self, c, v2, W, b):
        """s max(ε, η c / v). Dialects may apply the shape factor to η only, or divide by v² instead of v."""
        s, v = self.shape_factor(W), b.xp.sqrt(v2) if self.accumulator_root else v2
        if self.floor == "scaled":
            return s * b.xp.clip(self.lr * c / v, self.least(b), None)
        return b.xp.clip(self.lr * s * c / v, self.least(b), None)

    def least(self, b):
        """ε, zero where η is zero. `pytorch_optimizer`, which `floor="unscaled"` reproduces, keeps it there."""
        if self.min_step is None:
            return FLOOR * self.lr
        if self.floor == "unscaled":
            return self.min_step
        return self.min_step * positive(self.lr, b)

    @property
    def is_linear(self):
        """Whether the floor follows η, or there is none."""
        return self.min_step is None or (is_number(self.min_step) and self.min_step == 0)

    def step_rms(self, shape):
        """The root mean square of the largest step: c / v is at most 1. None for dialects without such a bound."""
        if not self.accumulator_root or self.floor != "scaled" or self.clipped != "gradient":
            return None
        lr, floor = concrete(self.lr), 0.0 if self.min_step is None else concrete(self.min_step)
        return None if lr is None or floor is None else self.entries(max(lr, floor) if lr else 0.0, shape)
