"""The cost model: which form of Newton–Schulz, and which matrices to stack, from shapes and a kind of device.

Costs are FLOPs. For X of `n × m`, n <= m, the plain iteration multiplies `n × m` matrices three times a step (`X Xᵀ`,
its square, the update); the Gram form multiplies `n × n` ones, and `n × m` ones twice a segment
(../benchmarks/speed measures both). Gram wins on wide matrices, from an aspect ratio of about 1.5.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from deva_core.coefficients import Triple

SEGMENT = 3
"""The most steps between two readings of the Gram matrix. Reading anew after the third costs as much as after the second
and leaves smaller errors, in bfloat16 and float32 and on ill-conditioned matrices."""

GROWTH = 1200.0
"""The most that a segment may magnify an error of R: near zero a step multiplies R by a². Rounding in bfloat16 leaves
eigenvalues near -4e-4, which a larger growth carries out of the domain where the iteration is stable."""


def segments(steps: tuple[Triple, ...]) -> tuple[tuple[Triple, ...], ...]:
    """The steps, cut where the Gram matrix is read anew.

    Example:
        >>> from deva_core.coefficients import JORDAN, schedule
        >>> from deva_core.costs import segments
        >>> [len(segment) for segment in segments(schedule(JORDAN, 5))]
        [3, 2]
    """
    cut: list[tuple[Triple, ...]] = []
    segment: tuple[Triple, ...] = ()
    growth = 1.0
    for step in steps:
        if segment and (len(segment) == SEGMENT or growth > GROWTH):
            cut.append(segment)
            segment, growth = (), 1.0
        segment, growth = (*segment, step), growth * step[0] ** 2
    return (*cut, segment)


def plain_flops(rows: int, columns: int, steps: int) -> float:
    """Of the plain iteration: `X Xᵀ`, `A A`, and the product with X, for each step."""
    n, m = sorted((rows, columns))
    return steps * (4 * n * n * m + 2 * n**3)


def gram_flops(rows: int, columns: int, steps: tuple[Triple, ...]) -> float:
    """Of the Gram form: two products with X a segment, and up to four small ones a step."""
    n, m = sorted((rows, columns))
    lengths = [len(segment) for segment in segments(steps)]
    small = sum(k + (k - 1) + 2 * (k - 1) for k in lengths)
    return len(lengths) * 4 * n * n * m + small * 2 * n**3


@dataclass(frozen=True)
class Costs:
    """Thresholds of one kind of device. The default chooses what the specification says: plain, one by one.

    Args:
        form: `"plain"` or `"gram"` always, or `"auto"`: by the count of FLOPs.
        gram_rows: the smallest n for which Gram's more, smaller products pay.
        gram_gain: Gram is chosen where its FLOPs are below this share of plain's.
        stacked_rows: matrices with at most so many rows or columns (the fewer of the two) are stacked; 0: none.
        stack_bytes: the most that the arrays of one stack may hold, each.

    Example:
        >>> from deva_core.coefficients import JORDAN, schedule
        >>> from deva_core.costs import Costs
        >>> costs, steps = Costs(form="auto"), schedule(JORDAN, 5)
        >>> [costs.prefers_gram(shape, steps) for shape in ((384, 384), (384, 1536))]
        [False, True]
    """

    form: str = "plain"
    gram_rows: int = 64
    gram_gain: float = 0.95
    stacked_rows: int = 0
    stack_bytes: int = 2**28

    def __post_init__(self) -> None:
        if self.form not in ("plain", "gram", "auto"):
            raise ValueError(f'Costs.form must be "plain", "gram" or "auto", got {self.form!r}')

    def prefers_gram(self, shape: tuple[int, ...], steps: tuple[Triple, ...]) -> bool:
        """Whether to iterate on the Gram matrix of `(..., rows, columns)`."""
        rows, columns = shape[-2:]
        if self.form != "auto":
            return self.form == "gram"
        cheaper = gram_flops(rows, columns, steps) < self.gram_gain * plain_flops(rows, columns, len(steps))
        return cheaper and min(rows, columns) >= self.gram_rows

    def stacks(self, shape: tuple[int, ...]) -> bool:
        """Whether to stack parameters of this shape; vectors always, where anything is."""
        return self.stacked_rows > 0 and (len(shape) < 2 or min(shape[-2:]) <= self.stacked_rows)

    def stack_size(self, shape: tuple[int, ...]) -> int:
        """How many of this shape one stack may hold, so that a step's extra memory is bounded."""
        return max(1, self.stack_bytes // (4 * max(1, math.prod(shape))))


@dataclass(frozen=True)
class Tried(Costs):
    """Costs that trust the Gram form for a shape only after a trial: `trial(shape, steps)` says whether it was right."""

    trial: Callable[[tuple[int, ...], tuple[Triple, ...]], bool] = lambda shape, steps: True

    def prefers_gram(self, shape: tuple[int, ...], steps: tuple[Triple, ...]) -> bool:
        """Whether the count of FLOPs is for it, and the trial (where nothing is pinned)."""
        wanted = super().prefers_gram(shape, steps)
        return wanted and (self.form == "gram" or self.trial(tuple(shape[-2:]), steps))
