"""What a backend declares that it cannot do; what is declared missing is not tested and never counted as passed."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a backend's `start` can do. A backend without a declaration can do everything.

    Args:
        dtypes: names of the dtypes that it computes in.
        linalg: whether it has QR and eigendecompositions (DeVA), and SVD (`ns_coefficients="exact"`).
        compiled: whether `start(…, compiled=True)` compiles the step.
    """

    dtypes: tuple[str, ...] = ("float64", "float32", "bfloat16", "float16")
    linalg: bool = True
    compiled: bool = True
