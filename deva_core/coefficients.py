"""Newton–Schulz coefficients: one triple `(a, b, c)` per step, which maps a singular value x to `a x + b x³ + c x⁵`.

| name | source |
|---|---|
| `JORDAN` | Jordan et al. (2024), <https://kellerjordan.github.io/posts/muon/>: steepest at zero, does not converge to 1 |
| `QUINTIC_5` | the five-step set of leloykun and YouJiacheng, also optax's `"dion"` preset |
| `POLAR_EXPRESS` | Amsel et al. (2025), arXiv 2505.16932: the paper's table (l = 1e-3), all but the last row / 1.01 |

A table shorter than the number of steps repeats its last triple.
"""

from typing import Any

Triple = tuple[float, float, float]

JORDAN: Triple = (3.4445, -4.7750, 2.0315)

QUINTIC_5: tuple[Triple, ...] = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)

_POLAR_EXPRESS_TABLE: tuple[Triple, ...] = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845749493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
    (1.875, -1.25, 0.375),
)


def _safer(triple: Triple, safety: float) -> Triple:
    """The polynomial in `x / safety`, so that a singular value rounded above 1 still contracts."""
    a, b, c = triple
    return (a / safety, b / safety**3, c / safety**5)


POLAR_EXPRESS: tuple[Triple, ...] = (
    *(_safer(triple, 1.01) for triple in _POLAR_EXPRESS_TABLE[:-1]),
    _POLAR_EXPRESS_TABLE[-1],
)


def schedule(coefficients: Any, steps: int) -> tuple[Triple, ...]:
    """One triple for each of `steps` steps, from a single triple, or from a table whose last row repeats.

    Example:
        >>> from deva_core.coefficients import QUINTIC_5, schedule
        >>> schedule(QUINTIC_5, 6)[4] == schedule(QUINTIC_5, 6)[5]
        True
    """
    table = coefficients if isinstance(coefficients[0], tuple) else (coefficients,)
    return tuple(table[min(k, len(table) - 1)] for k in range(steps))
