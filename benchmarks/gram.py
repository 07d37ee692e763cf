"""How accurate Gram Newton–Schulz is beside the plain iteration, by its segments (docs/decisions/0009).

Errors against the odd quintics of the singular values in float64, as multiples of the plain iteration's in the same dtype.

    python -m benchmarks.gram
"""

from functools import partial
from itertools import accumulate
from unittest import mock

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from deva_core import JORDAN, POLAR_EXPRESS
from deva_core.coefficients import Triple, schedule
from deva_core.linalg import gram_newton_schulz, newton_schulz
from deva_torch._backend import backend

SHAPE = (384, 1536)
SPECTRA = {
    "gaussian": None,
    "to 1e-3": lambda n: 10.0 ** -torch.linspace(0, 3, n, dtype=torch.float64),
    "to 1e-8": lambda n: 10.0 ** -torch.linspace(0, 8, n, dtype=torch.float64),
    "rank 8": lambda n: (torch.arange(n) < 8).double(),
    "rank 1": lambda n: (torch.arange(n) < 1).double(),
}
COEFFICIENTS = {"Jordan": JORDAN, "Polar Expr.": POLAR_EXPRESS}
CUTS = ((2, 3), (3, 2), (4, 1), (5,))
"""Lengths of segments: ours are (3, 2), others' (2, 3); (5,) never reads the Gram matrix anew."""


def cut(steps: tuple[Triple, ...], lengths: tuple[int, ...]) -> tuple[tuple[Triple, ...], ...]:
    """The steps in segments of these lengths."""
    ends = list(accumulate(lengths))
    return tuple(steps[end - length : end] for end, length in zip(ends, lengths, strict=True))


def problem(spectrum: str, steps: tuple[Triple, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix of norm 1 with this spectrum, and what exact steps make of it."""
    X = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    U, s, Vh = torch.linalg.svd(X, full_matrices=False)
    s = SPECTRA[spectrum](SHAPE[0]) if SPECTRA[spectrum] else s
    s = s / s.norm()
    X = (U * s) @ Vh
    for a, b, c in steps:
        s = a * s + b * s**3 + c * s**5
    return X, (U * s) @ Vh


def errors(spectrum: str, steps: tuple[Triple, ...], dtype: torch.dtype) -> list[float]:
    """Of the plain iteration, relative to the result; and of Gram by its segments, relative to that."""
    X, exact = problem(spectrum, steps)
    b = backend("cpu", None)

    def off(form) -> float:
        return float((form(X.to(dtype), steps, b).double() - exact).norm() / exact.norm())

    plain, found = off(newton_schulz), []
    for lengths in CUTS:
        with mock.patch("deva_core.linalg.segments", partial(cut, lengths=lengths)):
            found.append(off(gram_newton_schulz) / plain)
    return [plain, *found]


def main() -> None:
    """Print the table."""
    torch.set_num_threads(2)
    view = Table("steps", "singular values", "dtype", "plain", *("+".join(map(str, lengths)) for lengths in CUTS))
    cases = [(n, s, d) for n in COEFFICIENTS for s in SPECTRA for d in (torch.bfloat16, torch.float32)]
    for name, spectrum, dtype in track(cases, transient=True, description="errors"):
        plain, *found = errors(spectrum, schedule(COEFFICIENTS[name], 5), dtype)
        view.add_row(name, spectrum, str(dtype)[6:], f"{plain:.1e}", *(f"{x:.2g}" for x in found))
    Console(width=110).print(view)


if __name__ == "__main__":
    main()
