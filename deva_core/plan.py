"""What the cost model has chosen, as a table."""

import math
from collections.abc import Iterable

from deva_core.backend import Backend
from deva_core.costs import gram_flops, plain_flops
from deva_core.rule import Rule
from deva_core.table import table

Kind = tuple[Rule, tuple[int, ...], Backend]


def plan(kinds: Iterable[Kind]) -> str:
    """For each kind of parameter: how many there are, the form of Newton–Schulz, the largest stack, GFLOP a step.

    Example:
        >>> from deva_core import Backend, Muon
        >>> from deva_core.costs import Costs
        >>> from deva_core.plan import plan
        >>> import numpy as np
        >>> rule, b = Muon(), Backend(xp=np, costs=Costs(form="auto", stacked_rows=96))
        >>> print(plan([(rule, (384, 1536), b), (rule, (64, 64), b), (rule, (64, 64), b)]))
        rule  shape     count  form   together  GFLOP
        Muon  384×1536  1      gram   1         3.397
        Muon  64×64     2      plain  2         0.016
    """
    found: dict[object, tuple[Kind, int]] = {}
    for rule, shape, b in kinds:
        key = id(rule), shape, id(b)
        found[key] = (rule, shape, b), found.get(key, (None, 0))[1] + 1
    return table(("rule", "shape", "count", "form", "together", "GFLOP"), (row(*kind, n) for kind, n in found.values()))


def row(rule: Rule, shape: tuple[int, ...], b: Backend, count: int) -> tuple[str, ...]:
    """One kind."""
    form, flops = form_of(rule, shape, b)
    together = min(count, b.costs.stack_size(shape)) if shape and b.costs.stacks(shape) else 1
    words = "×".join(map(str, shape)) or "scalar"
    return type(rule).__name__, words, str(count), form, str(together), f"{count * flops / 1e9:.3f}" if flops else "-"


def form_of(rule: Rule, shape: tuple[int, ...], b: Backend) -> tuple[str, float]:
    """The form, and the FLOPs of its products for one parameter."""
    how = getattr(rule, "orthogonalization", None)
    if how is None:
        return "-", 0.0
    if how.steps == "exact":
        return "svd", 0.0
    rows, columns, stack = *shape[-2:], math.prod(shape[:-2])
    if b.costs.prefers_gram(shape, how.steps):
        return "gram", stack * gram_flops(rows, columns, how.steps)
    return "plain", stack * plain_flops(rows, columns, len(how.steps))
