"""A trial of the Gram form against the plain iteration, on a matrix that is hard for it."""

from typing import Any

from deva_core.backend import Array, Backend
from deva_core.coefficients import Triple
from deva_core.linalg import gram_newton_schulz, newton_schulz, norm, smaller_gram, unit

WORSE = 1.5
"""How much further from orthogonal than the plain iteration's a result may be."""


def orthogonality_error(X: Array, dtype: Any, b: Backend) -> float:
    """‖X Xᵀ - I‖, of the smaller Gram matrix."""
    A = smaller_gram(b.xp.astype(X, dtype), b)
    return float(b.xp.reshape(norm(A - b.eye(A.shape[-1], A), b), ()))


def gram_is_as_good(X: Array, steps: tuple[Triple, ...], dtype: Any, b: Backend) -> bool:
    """Whether both forms orthogonalise X equally well in `dtype`.

    Args:
        X: one matrix in working precision. Low rank is hard: rounding leaves the Gram matrix negative eigenvalues in
            place of zeros, which steps without a new reading magnify.
        steps: Newton–Schulz triples.
        dtype: of the products.
    """
    unit_X = unit(X, dtype, b)
    errors = [orthogonality_error(form(unit_X, steps, b), X.dtype, b) for form in (gram_newton_schulz, newton_schulz)]
    return errors[0] <= WORSE * errors[1]
