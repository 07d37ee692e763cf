"""The cost model: which form of Newton–Schulz to use, and which matrices to stack, from their shapes and the device.

Costs are FLOPs. For X of `n × m`, n <= m, the plain iteration does three products per step (`X Xᵀ`, its square, the
update). The Gram form multiplies `n × n` matrices, and `n × m` ones only twice per segment (benchmarks/speed measures
both). Gram is cheaper on wide matrices, from an aspect ratio of about 1.5.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from deva_core.coefficients import Triple

SEGMENT = 3
"""The most steps before the Gram matrix is computed anew. After the third step that costs as much as after the second, and
leaves smaller errors, in bfloat16 and float32 and on ill-conditioned matrices."""

GROWTH = 1200.0
"""The most that a segment may magnify an error of R: near zero a step multiplies R by a². Rounding in bfloat16 leaves
eigenvalues near -4e-4, which a larger growth carries out of the domain where the iteration is stable."""


def segments(steps: tuple[Triple, ...]) -> tuple[tuple[Triple, ...], ...]:
    """The steps, cut where the Gram matrix is computed anew.

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
    """FLOPs of the plain iteration: `X Xᵀ`, `A A`, and the product with X, for each step."""
    n, m = sorted((rows, columns))
    return steps * (4 * n * n * m + 2 * n**3)


def gram_flops(rows: int, columns: int, steps: tuple[Triple, ...]) -> float:
    """FLOPs of the Gram form: two products with X per segment, and up to four small ones per step."""
    n, m = sorted((rows, columns))
    lengths = [len(segment) for segment in segments(steps)]
    small = sum(k + (k - 1) + 2 * (k - 1) for k in lengths)
    return len(lengths) * 4 * n * n * m + small * 2 * n**3


@dataclass(frozen=True)
class Costs:
    """The thresholds for one kind of device. The default is the specification's own form: plain, one matrix at a time.

    Args:
        form: `"plain"` or `"gram"` for every matrix, or `"auto"`, which compares FLOPs.
        gram_rows: the smallest n for which `"auto"` chooses the Gram form, which does more but smaller products.
        gram_gain: `"auto"` chooses the Gram form if its FLOPs are below this share of the plain form's.
        stacked_rows: stack matrices whose shorter side is at most this long; 0 stacks none.
        stack_bytes: the size limit of each array of one stack, in bytes of float32.

    Raises:
        ValueError: `form` is none of these.

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
        """Whether to stack parameters of this shape. Vectors are stacked whenever stacking is on."""
        return self.stacked_rows > 0 and (len(shape) < 2 or min(shape[-2:]) <= self.stacked_rows)

    def stack_size(self, shape: tuple[int, ...]) -> int:
        """How many parameters of this shape one stack may hold, which bounds a step's extra memory."""
        return max(1, self.stack_bytes // (4 * max(1, math.prod(shape))))


@dataclass(frozen=True)
class Tried(Costs):
    """Costs that use the Gram form for a shape only if a trial succeeds: `trial(shape, steps)` returns True."""

    trial: Callable[[tuple[int, ...], tuple[Triple, ...]], bool] = lambda shape, steps: True

    def prefers_gram(self, shape: tuple[int, ...], steps: tuple[Triple, ...]) -> bool:
        """Whether the Gram form needs fewer FLOPs and, unless `form` pins it, passes the trial."""
        wanted = super().prefers_gram(shape, steps)
        return wanted and (self.form == "gram" or self.trial(tuple(shape[-2:]), steps))
