"""In what precision a backend seems to compute: errors in units of the error due, told as significant bits.

Honest errors are about `HONEST` times the due one, whatever the input, so a ratio r at unit roundoff u is what an honest
arithmetic of unit roundoff `u r / HONEST` would show (numerics §5.2).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import log2
from typing import NamedTuple

import numpy as np

HONEST = 0.6
"""The median ratio of honest backends (numerics §5.2)."""

FORMATS = {8: "bfloat16", 11: "float16", 24: "float32"}
"""Significant bits of the arithmetics that are mistaken for a wider one."""

FEWER, MORE = 1.0, 2.0
"""How many bits fewer or more than a format's an error may show: one result may gather several roundings, and rounding to
nearest errs by a third of its unit roundoff in the mean."""

SAME_DIRECTION = 0.9
"""The cosine above which an error is a wrong factor: rounding points anywhere."""

TELLING = 64.0
"""How many times over an input must amplify rounding for the arithmetic to show: below, what shows is that results are
stored in the dtype, which no arithmetic can better. (From here on the worst ratio of float32 is 0.4 to 0.7, that of
float64 stored as float32 0.006.)"""

PROMOTED = 2.0**-28
"""For float32: an effective unit roundoff below this is wider arithmetic (numerics §5.2)."""

COMPARISONS = 8
"""With fewer telling comparisons, all count."""


def significant_bits(ratio: float, u: float) -> float:
    """Of the honest arithmetic that would show this ratio."""
    return -log2(u * ratio / HONEST)


def as_if(bits: Sequence[float], u: float) -> str:
    """`, as if computed with 8 significant bits (bfloat16)`, where several errors agree on that; else nothing."""
    near = [n for n in FORMATS if n + MORE < -log2(u) and all(n - FEWER <= found <= n + MORE for found in bits)]
    return f", as if computed with {near[0]} significant bits ({FORMATS[near[0]]})" if near and bits else ""


def is_factor(error: np.ndarray, change: np.ndarray) -> bool:
    """Whether an error points along the step."""
    size = float(np.linalg.norm(error) * np.linalg.norm(change))
    return size > 0 and abs(float(np.sum(error * change))) > SAME_DIRECTION * size


class Observed(NamedTuple):
    """Comparisons with the oracle in one dtype: how many, and their worst ratio; `telling`: those that amplify rounding."""

    count: int = 0
    worst: float = 0.0
    telling: int = 0
    telling_worst: float = 0.0

    @property
    def enough(self) -> bool:
        """Whether the telling ones are enough to go by."""
        return self.telling >= COMPARISONS

    def unit_roundoff(self, u: float) -> float:
        """The effective one, where u is due."""
        return u * max(self.telling_worst if self.enough else self.worst, u) / HONEST


LISTENER: ContextVar[dict[str, Observed] | None] = ContextVar("LISTENER", default=None)
"""Who is told of comparisons: a check that runs (`runner.Watched`)."""


@contextmanager
def listening(to: dict[str, Observed]) -> Iterator[None]:
    """Comparisons inside the block are added up, by dtype."""
    token = LISTENER.set(to)
    try:
        yield
    finally:
        LISTENER.reset(token)


def tell(dtype: str, ratio: float, amplification: float) -> None:
    """A comparison with the oracle was made."""
    heard = LISTENER.get()
    if heard is not None and np.isfinite(ratio):
        told = np.isfinite(amplification) and amplification >= TELLING
        one = Observed(1, ratio, int(told), ratio if told else 0.0)
        heard[dtype] = total((heard.get(dtype, Observed()), one))


def total(parts: Iterable[Observed]) -> Observed:
    """All of them."""
    counts, worst, telling, telling_worst = zip(Observed(), *parts, strict=True)
    return Observed(sum(counts), max(worst), sum(telling), max(telling_worst))
