"""The state of DeVA: its fields, its units, and how it turns with the bases."""

from typing import Any, NamedTuple

from deva_core.backend import Array, Backend
from deva_core.basis import (
    axes,
    canonical_first,
    canonical_refresh,
    is_identity,
    outer_ema,
    published_first,
    published_refresh,
    take,
)
from deva_core.elementwise import multiplied, or_one, root
from deva_core.linalg import max_abs, product, transpose

SQUARES = ("second_moment", "row_second_moment", "column_second_moment", "row_covariance", "column_covariance")
"""The state's fields that are in units of `scale`²."""


class DeVAState(NamedTuple):
    """The state of `DeVA`, for W of shape `(..., m, n)`.

    `momentum`: M, in the current basis. `second_moment`: V (empty when factored); `row_second_moment` and
    `column_second_moment`: the averages of r² and c² (empty unless factored). `row_covariance`, `column_covariance`:
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


def initial(W: Array, factored: bool, max_precondition_dim: int, b: Backend) -> DeVAState:
    """Moments zero, bases the coordinate axes."""
    *batch, m, n = W.shape
    rows, columns = (k if k <= max_precondition_dim else 0 for k in (m, n))
    L, R = b.zeros((*batch, rows, rows), W), b.zeros((*batch, columns, columns), W)
    return DeVAState(
        momentum=b.xp.zeros_like(W),
        second_moment=b.zeros((*batch, 0, 0) if factored else (*batch, m, n), W),
        row_second_moment=b.zeros((*batch, m if factored else 0, 1), W),
        column_second_moment=b.zeros((*batch, 1, n if factored else 0), W),
        row_covariance=L,
        column_covariance=R,
        row_basis=axes(L, b),
        column_basis=axes(R, b),
        scale=b.zeros((*batch, 1, 1), W),
    )


def rescaled(S: DeVAState, G: Array, beta2: Any, b: Backend) -> tuple[DeVAState, Array]:
    """The state in units of a scale that bounds G and M and fades as V does; and that unit, 1 where all is zero."""
    size = b.xp.maximum(max_abs(G, b), max_abs(S.momentum, b))
    scale = b.xp.maximum(root(beta2, b) * S.scale, size)
    unit = or_one(scale, b)
    k = (S.scale / unit) ** 2
    return S._replace(scale=scale, **{name: multiplied(getattr(S, name), k, b) for name in SQUARES}), unit


def with_covariances(S: DeVAState, G: Array, beta2: Any, b: Backend) -> DeVAState:
    """L and R with this gradient."""
    L, R = S.row_covariance, S.column_covariance
    if not is_identity(L):
        L = outer_ema(L, G, beta2, b)
    if not is_identity(R):
        R = outer_ema(R, transpose(G, b), beta2, b)
    return S._replace(row_covariance=L, column_covariance=R)


def first_bases(S: DeVAState, basis: str, b: Backend) -> DeVAState:
    """S with bases of the first covariances. M and V are still zero."""
    first = canonical_first if basis == "canonical" else published_first
    sides = ("row_basis", S.row_covariance), ("column_basis", S.column_covariance)
    return S._replace(**{name: first(C, b) for name, C in sides if not is_identity(C)})


def turned(S: DeVAState, basis: str, b: Backend) -> DeVAState:
    """S with its bases refreshed: M rotated along, second moments reordered with the columns of the old basis."""
    refresh = canonical_refresh if basis == "canonical" else published_refresh
    M, V, v_r, v_c, L, R, QL, QR, _ = S
    if not is_identity(QL):
        new, order = refresh(L, QL, b)
        M = product(transpose(new, b), QL, M, b)
        V, v_r, QL = take(V, order, -2, b), take(v_r, order, -2, b), new
    if not is_identity(QR):
        new, order = refresh(R, QR, b)
        M = product(M, transpose(QR, b), new, b)
        V, v_c, QR = take(V, order, -1, b), take(v_c, order, -1, b), new
    return S._replace(
        momentum=M, second_moment=V, row_second_moment=v_r, column_second_moment=v_c, row_basis=QL, column_basis=QR
    )
