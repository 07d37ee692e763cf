"""DeVA: decoupled variance adaptation over the spectral norm.

Song, Bai, Zhang, Bullins, Gleich (2026), arXiv 2602.06880, Algorithms 2, 3 and 4

    L <- β₂ L + (1 - β₂) G Gᵀ,  R <- β₂ R + (1 - β₂) Gᵀ G
    refresh the bases Q_L, Q_R of L and R         (every `precondition_frequency` steps)
    G' = Q_Lᵀ G Q_R,  M <- β₁ M + (1 - β₁) G'      (M is kept in the basis, and rotated when it turns)
    N  = β₁ M + (1 - β₁) G'                        (Nesterov; without it, N = M)
    r, c = norms of the rows and columns of M      (Algorithm 4, "gradient": of G')
    V <- β₂ V + (1 - β₂) r cᵀ                      (Algorithm 3, factored: the moments of r and c)
    Γ  = √(r cᵀ / V̂)
    W <- W - η (s Q_L (Γ ∘ polar(N)) Q_Rᵀ + λ W)   (s: the shape factor)
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from deva_core.backend import Array, Backend
from deva_core.basis import (
    axes,
    canonical_first,
    canonical_sweep,
    is_identity,
    outer_covariance,
    published_first,
    published_refresh,
    rotate,
    rotate_back,
    take,
)
from deva_core.elementwise import ema, gap, or_one, root
from deva_core.linalg import max_abs, mean, norm, polar, transpose
from deva_core.rule import Orthogonalized, Scalar, flag, hyper, option, positive_integer

DEAD_ZONE = 1e-4
"""Sign stabilisation takes entries up to this fraction of the largest for zero: null directions hold only noise."""


SQUARES = ("second_moment", "row_second_moment", "column_second_moment", "row_covariance", "column_covariance")
"""The state's fields that are in units of `scale`²."""


class DeVAState(NamedTuple):
    """The state of `DeVA`, for W of shape `(..., m, n)`.

    `momentum`: M, in the current basis. `second_moment`: V (empty when factored); `row_second_moment` and
    `column_second_moment`: the moments of r and c (empty unless factored). `row_covariance`, `column_covariance`:
    L and R; `row_basis`, `column_basis`: Q_L and Q_R (all four empty on a side that keeps the coordinate axes).
    Second moments and covariances are in units of `scale`², one number a matrix.
    """

    momentum: Array
    second_moment: Array
    row_second_moment: Array
    column_second_moment: Array
    row_covariance: Array
    column_covariance: Array
    row_basis: Array
    column_basis: Array
    scale: Array


@dataclass(frozen=True, kw_only=True)
class DeVA(Orthogonalized):
    """DeVA for matrices `(..., out, in)`. Pair it with `DeVAVector`, as its paper does.

    Args:
        lr: η. Under the default scale the entries of a step have a root mean square near `lr * rms`.
        beta1: β₁ of the momentum.
        beta2: β₂ of V and of the covariances.
        eps: added to V, relative to its mean, so that a step does not depend on the gradients' scale.
        weight_decay: λ, decoupled; a step shrinks W by `lr * weight_decay`.
        precondition_frequency: steps from one refresh of the bases to the next; the first step refreshes.
        nesterov: orthogonalise one average ahead.
        statistics: r and c from the rows and columns of `"momentum"` (Algorithm 2) or `"gradient"` (Algorithm 4).
        factored: keep the moments of r and c instead of V (Algorithm 3: less memory).
        sign_stabilization: orthogonalise sign(N), with a dead zone: 0 where |N| <= 1e-4 max|N|.
        bias_correction: divide V by 1 - β₂ᵗ.
        basis: `"canonical"`, determined by its input (docs/decisions/0001), or `"eigh"`, as published.
        max_precondition_dim: a longer side keeps the coordinate axes.
        scale, rms, ns_coefficients, ns_steps: as in `Muon`.

    Raises:
        ValueError: a hyperparameter outside its domain. TypeError: one of the wrong kind.

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
    nesterov: bool = flag(True)
    statistics: str = option("momentum", "momentum", "gradient")
    factored: bool = flag(False)
    sign_stabilization: bool = flag(False)
    bias_correction: bool = flag(True)
    basis: str = option("canonical", "canonical", "eigh")
    max_precondition_dim: int = option(10000, check=positive_integer)
    scale: str = option("rms", "original", "rms", "spectral", "none")

    State = DeVAState

    def init(self, W: Array, b: Backend) -> DeVAState:
        """Moments zero, bases the coordinate axes."""
        *batch, m, n = W.shape
        rows, columns = (k if k <= self.max_precondition_dim else 0 for k in (m, n))
        L, R = b.zeros((*batch, rows, rows), W), b.zeros((*batch, columns, columns), W)
        return DeVAState(
            momentum=b.xp.zeros_like(W),
            second_moment=b.zeros((*batch, 0, 0) if self.factored else (*batch, m, n), W),
            row_second_moment=b.zeros((*batch, m if self.factored else 0, 1), W),
            column_second_moment=b.zeros((*batch, 1, n if self.factored else 0), W),
            row_covariance=L,
            column_covariance=R,
            row_basis=axes(L, b),
            column_basis=axes(R, b),
            scale=b.zeros((*batch, 1, 1), W),
        )

    def update(self, G, S, W, t, b):
        """The algorithm box above, in units of a running scale."""
        S, unit = self.rescaled(S, G, b)
        S = self.refreshed(self.with_covariances(S, G / unit, b), t, b)
        G = rotate(G, S.row_basis, S.column_basis, b)
        M = ema(S.momentum, G, self.beta1, b)
        N = self.beta1 * M + (1 - self.beta1) * G if self.nesterov else M
        N = dead_zone_sign(N, b) if self.sign_stabilization else N
        Γ, S = self.adaptation((M if self.statistics == "momentum" else G) / unit, S, t, b)
        U = rotate_back(Γ * polar(N, self.iteration, b), S.row_basis, S.column_basis, b)
        delta = -self.lr * (self.shape_factor(W) * U + self.weight_decay * W)
        return delta, S._replace(momentum=M)

    def rescaled(self, S: DeVAState, G: Array, b: Backend) -> tuple[DeVAState, Array]:
        """The state in units of a scale that bounds G and M and fades as V does; and that unit, 1 where all is zero."""
        size = b.xp.maximum(max_abs(G, b), max_abs(S.momentum, b))
        scale = b.xp.maximum(root(self.beta2, b) * S.scale, size)
        unit = or_one(scale, b)
        k = (S.scale / unit) ** 2
        return S._replace(scale=scale, **{name: getattr(S, name) * k for name in SQUARES}), unit

    def with_covariances(self, S: DeVAState, G: Array, b: Backend) -> DeVAState:
        """L and R with this gradient."""
        L, R = S.row_covariance, S.column_covariance
        if not is_identity(L):
            L = ema(L, outer_covariance(G, b), self.beta2, b)
        if not is_identity(R):
            R = ema(R, outer_covariance(transpose(G, b), b), self.beta2, b)
        return S._replace(row_covariance=L, column_covariance=R)

    def refreshed(self, S: DeVAState, t: Any, b: Backend) -> DeVAState:
        """S with the bases of step t."""

        def first(S):
            return self.first_bases(S, b)

        def later(S):
            due = (t - 1) % self.precondition_frequency == 0
            return b.cond(due, lambda S: self.turned(S, b), lambda S: S, S)

        return b.cond(t == 1, first, later, S)

    def first_bases(self, S: DeVAState, b: Backend) -> DeVAState:
        """S with bases of the first covariances. M and V are still zero."""
        first = canonical_first if self.basis == "canonical" else published_first
        sides = ("row_basis", S.row_covariance), ("column_basis", S.column_covariance)
        return S._replace(**{name: first(C, b) for name, C in sides if not is_identity(C)})

    def turned(self, S: DeVAState, b: Backend) -> DeVAState:
        """S with its bases refreshed: M rotated along, second moments reordered with the columns of the old basis."""
        refresh = canonical_sweep if self.basis == "canonical" else published_refresh
        M, V, v_r, v_c, L, R, QL, QR, _ = S
        if not is_identity(QL):
            new, order = refresh(L, QL, b)
            M = b.matmul(b.matmul(transpose(new, b), QL), M)
            V, v_r, QL = take(V, order, -2, b), take(v_r, order, -2, b), new
        if not is_identity(QR):
            new, order = refresh(R, QR, b)
            M = b.matmul(M, b.matmul(transpose(QR, b), new))
            V, v_c, QR = take(V, order, -1, b), take(v_c, order, -1, b), new
        return S._replace(
            momentum=M, second_moment=V, row_second_moment=v_r, column_second_moment=v_c, row_basis=QL, column_basis=QR
        )

    def adaptation(self, X: Array, S: DeVAState, t: Any, b: Backend) -> tuple[Array, DeVAState]:
        """Γ from the row and column norms of X, and S with their second moments."""
        r, c = norm(X, b, axis=-1), norm(X, b, axis=-2)
        if self.factored:
            v_r = ema(S.row_second_moment, r * r, self.beta2, b)
            v_c = ema(S.column_second_moment, c * c, self.beta2, b)
            S = S._replace(row_second_moment=v_r, column_second_moment=v_c)
            square = (r / self.floored_root(v_r, b)) * (c / self.floored_root(v_c, b))
        else:
            V = ema(S.second_moment, r * c, self.beta2, b)
            S = S._replace(second_moment=V)
            square = r * c / or_one(V + self.eps * mean(V, b), b)
        correction = gap(self.beta2, t, X, b) if self.bias_correction else 1.0
        return b.xp.sqrt(square * correction), S

    def floored_root(self, v: Array, b: Backend) -> Array:
        """√(v + eps mean(v)), 1 where all is zero."""
        return or_one(b.xp.sqrt(v + self.eps * mean(v, b)), b)


def dead_zone_sign(N: Array, b: Backend) -> Array:
    """sign(N), 0 where |N| <= 1e-4 max|N|: the sign of noise would be ±1."""
    return b.xp.where(b.xp.abs(N) <= DEAD_ZONE * max_abs(N, b), b.xp.zeros_like(N), b.xp.sign(N))
