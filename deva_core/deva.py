"""DeVA: decoupled variance adaptation over the spectral norm.

Song, Bai, Zhang, Bullins, Gleich (2026), arXiv 2602.06880, Algorithms 2, 3 and 4

    L <- β₂ L + (1 - β₂) G Gᵀ,  R <- β₂ R + (1 - β₂) Gᵀ G
    refresh the bases Q_L, Q_R of L and R         (every `precondition_frequency` steps)
    G' = Q_Lᵀ G Q_R,  M <- β₁ M + (1 - β₁) G'      (M is kept in the basis, and rotated when it turns)
    N  = β₁ M + (1 - β₁) G'                        (Nesterov; without it, N = M)
    r, c = norms of the rows and columns of M      (Algorithm 4, "gradient": of G')
    V <- β₂ V + (1 - β₂) r cᵀ                      (Algorithm 3, factored: the averages of r² and c²)
    Γ  = √(r cᵀ / V̂)
    W <- W - η (s Q_L (Γ ∘ polar(N)) Q_Rᵀ + λ W)   (s: the shape factor)
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from deva_core.backend import Array, Backend
from deva_core.basis import rotate, rotate_back
from deva_core.deva_state import DeVAState, first_bases, initial, rescaled, turned, with_covariances
from deva_core.elementwise import averages, descent, ema, gap, or_one, root, sign
from deva_core.hyperparameter import Scalar, flag, fraction, hyper, option, policy, positive_integer
from deva_core.linalg import max_abs, mean, norm, polar
from deva_core.rule import Orthogonalized

AUTHORS = dict(
    basis="eigh",
    bias_correction="published",
    eps_mode="absolute",
    timing="lagged",
    decay="after",
    dead_zone=0.0,
    ns_normalization="schatten",
    ns_eps=1e-20,
)
"""The hyperparameters that the authors' four classes share."""


@dataclass(frozen=True, kw_only=True, repr=False)
class DeVA(Orthogonalized):
    """DeVA for matrices `(..., out, in)`: Muon's direction, adapted entry by entry in the covariances' eigenbases.

    Axes before the last two are a batch of independent matrices. Arithmetic and state are float32, or float64 for float64
    parameters. Hosts pair it with `DeVAVector`, as the paper does. Source: Song, Bai, Zhang, Bullins, Gleich (2026), arXiv
    2602.06880, Algorithms 2 to 4; docs/rules/deva.md lists the deviations. Any numeric hyperparameter may be a schedule: a
    function of the number of updates made so far.

    Args:
        lr: η. Under the default scale the entries of a step have a root mean square near `lr * rms`.
        beta1: β₁, the decay of the momentum.
        beta2: β₂, the decay of V and of the covariances.
        eps: added to V, relative to V's mean, so that a step does not depend on the gradients' scale.
        weight_decay: λ, decoupled: a step shrinks W by `lr * weight_decay`.
        precondition_frequency: the number of steps between two refreshes of the bases; the first step always refreshes.
        refresh_phase: by how many steps to delay every refresh after the first. Parameters with different phases refresh
            in different steps, which spreads the cost.
        nesterov: average the gradient once more before orthogonalising.
        statistics: take r and c from the rows and columns of `"momentum"` (Algorithm 2) or `"gradient"` (Algorithm 4).
        factored: keep the averages of r² and c² instead of V (after Algorithm 3), which needs less memory.
        sign_stabilization: orthogonalise sign(N), with 0 where |N| <= 1e-4 max|N|.
        bias_correction: divide V by 1 - β₂ᵗ.
        basis: `"canonical"`, which its input determines (docs/decisions/0001), or `"eigh"`, as published.
        max_precondition_dim: a side longer than this keeps the coordinate axes: no covariance, no basis.
        scale, rms, ns_coefficients, ns_steps: as in `Muon`.
        eps_mode, numerator, timing, decay, dead_zone, ns_normalization, ns_eps: set by `DeVA.dialect`, as is
            `bias_correction="published"`; docs/dialects.md describes them.

    Raises:
        ValueError: a hyperparameter is outside its domain.
        TypeError: a hyperparameter has the wrong type or an unknown name.

    Example:
        >>> import numpy as np
        >>> from deva_core import DeVA, Optimizer
        >>> optimizer = Optimizer(DeVA(lr=0.1, weight_decay=0.0, scale="none", ns_coefficients="exact"))
        >>> W = {"weight": np.zeros((2, 2))}
        >>> W, state = optimizer.step(W, {"weight": 1e-9 * np.eye(2)}, optimizer.init(W))
        >>> W["weight"].round(6) + 0.0
        array([[-0.1,  0. ],
               [ 0. , -0.1]])
    """

    lr: Scalar = hyper(3e-3, ge=0)
    beta1: Scalar = hyper(0.95, ge=0, lt=1)
    beta2: Scalar = hyper(0.95, ge=0, lt=1)
    eps: Scalar = hyper(1e-8, gt=0)
    weight_decay: Scalar = hyper(0.01, ge=0)
    precondition_frequency: Scalar = hyper(10, ge=1, integer=True)
    refresh_phase: Scalar = hyper(0, ge=0, integer=True)
    nesterov: bool = flag(True)
    statistics: str = option("momentum", "momentum", "gradient")
    factored: bool = flag(False)
    sign_stabilization: bool = flag(False)
    bias_correction: bool | str = option(True, True, False, "published")
    basis: str = option("canonical", "canonical", "eigh")
    max_precondition_dim: int = option(10000, check=positive_integer)
    scale: str = option("rms", "original", "rms", "spectral", "none")

    eps_mode: str = policy("relative", "relative", "absolute", "numerator")
    numerator: str = policy("statistics", "statistics", "momentum")
    timing: str = policy("current", "current", "lagged")
    decay: str = policy("decoupled", "decoupled", "after")
    dead_zone: float = option(1e-4, check=fraction, policy=True)

    narrowable: ClassVar = ("momentum",)
    DIALECTS: ClassVar = {
        "paper": dict(basis="eigh", nesterov=False, bias_correction=False, eps_mode="numerator", dead_zone=0.0),
        "authors": AUTHORS,
        "authors-sign": dict(AUTHORS, sign_stabilization=True),
        "authors-instant": dict(AUTHORS, statistics="gradient"),
        "authors-factored": dict(
            AUTHORS, sign_stabilization=True, statistics="gradient", factored=True, numerator="momentum"
        ),
    }

    State = DeVAState

    def init(self, W, b):
        """Zero moments; the coordinate axes as bases."""
        return initial(W, self.factored, self.max_precondition_dim, b)

    def update(self, G, S, W, t, b):
        """The algorithm box above, in units of a running scale; under `timing="lagged"` in SOAP's order."""
        if self.timing == "lagged":
            return self.lagged(G, S, W, t, b)
        S, unit = self.in_units(S, G, b)
        S = self.refreshed(with_covariances(S, G / unit, self.beta2, b), t, b)
        return self.moved(G, S, W, unit, t, b)

    def moved(self, G, S, W, unit, t, b):
        """The step in the bases of S."""
        G = rotate(G, S.row_basis, S.column_basis, b)
        M, N = averages(S.momentum, G, self.beta1, self.nesterov, b)
        N = dead_zone_sign(N, self.dead_zone, b) if self.sign_stabilization else N
        Γ, S = self.adaptation(G / unit, M / unit, S, t, b)
        O = b.xp.astype(polar(N, self.orthogonalization, b), Γ.dtype, copy=False)
        U = rotate_back(Γ * O, S.row_basis, S.column_basis, b)
        length, decay = self.lr * self.shape_factor(W), self.lr * self.weight_decay
        if self.decay == "after":
            length = length * (1 - decay)
        return descent(U, length, W, decay, b), S._replace(momentum=M)

    def moments(self, S, b):
        """M, rotated back from the basis, and V (factored: the product of its marginals' roots)."""
        r, c = S.row_second_moment, S.column_second_moment
        V = b.xp.sqrt(r) * b.xp.sqrt(c) if self.factored else S.second_moment
        return rotate_back(S.momentum, S.row_basis, S.column_basis, b), V * S.scale**2

    def refreshed(self, S: DeVAState, t: Any, b: Backend) -> DeVAState:
        """S with the bases of step t."""
        return b.cond(t == 1, lambda S: first_bases(S, self.basis, b), lambda S: self.turned_if_due(S, t, b), S)

    def turned_if_due(self, S: DeVAState, t: Any, b: Backend) -> DeVAState:
        """S with its bases refreshed, once every `precondition_frequency` steps."""
        due = (t - 1 - self.refresh_phase) % self.precondition_frequency == 0
        return b.cond(due, lambda S: turned(S, self.basis, b), lambda S: S, S)

    def lagged(self, G, S, W, t, b):
        """SOAP's order: the first call only builds the bases; later calls step, then update the covariances."""
        S, unit = self.in_units(S, G, b)

        def begin(S):
            return b.xp.zeros_like(W), first_bases(with_covariances(S, G / unit, self.beta2, b), self.basis, b)

        def later(S):
            delta, S = self.moved(G, S, W, unit, t - 1, b)
            return delta, self.turned_if_due(with_covariances(S, G / unit, self.beta2, b), t, b)

        return b.cond(t == 1, begin, later, S)

    def in_units(self, S: DeVAState, G: Array, b: Backend) -> tuple[DeVAState, Array]:
        """S in units of the running scale. An absolute eps needs the gradients' own units, so the scale is 1 there."""
        if self.eps_mode == "relative":
            return rescaled(S, G, self.beta2, b)
        one = b.xp.ones_like(S.scale)
        return S._replace(scale=one), one

    def adaptation(self, G: Array, M: Array, S: DeVAState, t: Any, b: Backend) -> tuple[Array, DeVAState]:
        """Γ from the row and column norms of M or G, and S with their second moments."""
        X = M if self.statistics == "momentum" else G
        r, c = norm(X, b, axis=-1), norm(X, b, axis=-2)
        top = (norm(M, b, axis=-1), norm(M, b, axis=-2)) if self.numerator == "momentum" else (r, c)
        if self.factored:
            v_r = ema(S.row_second_moment, r * r, self.beta2, b)
            v_c = ema(S.column_second_moment, c * c, self.beta2, b)
            S = S._replace(row_second_moment=v_r, column_second_moment=v_c)
            bottom = b.xp.sqrt(self.floored(v_r, b)) * b.xp.sqrt(self.floored(v_c, b))
        else:
            V = ema(S.second_moment, r * c, self.beta2, b)
            S = S._replace(second_moment=V)
            bottom = self.floored(V, b)
        ε = self.eps if self.eps_mode == "numerator" else 0.0
        square = (top[0] * top[1] + ε) / bottom
        return b.xp.sqrt(square) * self.correction(t, X, b), S

    def floored(self, v: Array, b: Backend) -> Array:
        """v plus eps, and 1 where that sum is zero."""
        if self.eps_mode == "numerator":
            return or_one(v, b)
        return or_one(v + self.eps * (mean(v, b) if self.eps_mode == "relative" else 1.0), b)

    def correction(self, t: Any, like: Array, b: Backend) -> Any:
        """√(1−β₂ᵗ). Divided by 1−β₁ᵗ where numerator and V come from different averages; as published, always."""
        if not self.bias_correction:
            return 1.0
        correction = root(gap(self.beta2, t, like, b), b)
        same = self.numerator == "statistics" or self.statistics == "momentum"
        return correction if same and self.bias_correction is True else correction / gap(self.beta1, t, like, b)


def dead_zone_sign(N: Array, dead_zone: float, b: Backend) -> Array:
    """sign(N), with 0 where |N| is at most a fraction of the largest: rounding noise would otherwise count as ±1."""
    return b.xp.where(b.xp.abs(N) <= dead_zone * max_abs(N, b), b.xp.zeros_like(N), sign(N, b))
