"""How many floating-point operations a step's matrix products take: by formula, and counted in a run.

`gemm(p, q, r)` is one product (p, q) @ (q, r): 2pqr. Formulas are per matrix, for either orientation; normalisation,
momentum and the sums between products are of lower order and left out, in formulas and counts alike.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from benchmarks.speed.sets import Shape

STEPS = 5
RESTARTS = (3,)
"""After which step our Gram Newton–Schulz starts anew (docs/decisions/0009); the count is that of any single restart."""


def oriented(shape: Shape) -> tuple[int, int]:
    """(rows, columns) with rows <= columns: what Newton–Schulz iterates on.

    Example:
        >>> oriented((1152, 384))
        (384, 1152)
    """
    m, n = shape
    return min(m, n), max(m, n)


def groups(shapes: Iterable[Shape]) -> dict[tuple[int, int], int]:
    """How many matrices there are of each oriented shape."""
    return dict(Counter(oriented(shape) for shape in shapes))


def gemm(p: int, q: int, r: int) -> int:
    """Operations of (p, q) @ (q, r)."""
    return 2 * p * q * r


HALF = 5 / 8
"""What a symmetric product takes by halves: four panels of rows, each up to its own last column."""


def plain(n: int, m: int, steps: int = STEPS, outer: float = 1, square: float = 1) -> float:
    """Newton–Schulz as published: A = X Xᵀ, A A and B X in every step.

    Args:
        outer, square: the part of X Xᵀ, and of products of symmetric matrices, that is computed: 1 or HALF.

    Example:
        >>> plain(1, 4) == 20 * 4 + 10  # T (4a + 2) n³
        True
    """
    return steps * (outer * gemm(n, m, n) + square * gemm(n, n, n) + gemm(n, n, m))


def gram(
    n: int, m: int, steps: int = STEPS, restarts: tuple[int, ...] = RESTARTS, outer: float = 1, square: float = 1
) -> float:
    """Gram Newton–Schulz: the iteration on R = X Xᵀ, with the long products only where a segment begins and ends.

    In a segment of k steps: R R in each; Q Z in all but the first; R Z and Z (R Z) in all but the last.

    Example:
        >>> gram(1, 4) == 8 * 4 + 28
        True
    """
    edges = [0, *(k for k in restarts if 0 < k < steps), steps]
    lengths = [b - a for a, b in pairwise(edges)]
    squares = sum(k + (k - 1) + 2 * (k - 1) for k in lengths)
    return len(lengths) * (outer * gemm(n, m, n) + gemm(n, n, m)) + squares * square * gemm(n, n, n)


ALGORITHMS: dict[str, Callable[..., float]] = {"plain": plain, "Gram": gram}
HALVES = {"": {}, ", X Xᵀ by halves": {"outer": HALF}, ", by halves": {"outer": HALF, "square": HALF}}


def named(counted: float, n: int, m: int) -> str:
    """Which algorithm a count per matrix is, to 1 %; else the count in units of the plain one."""
    for name, formula in ALGORITHMS.items():
        for how, parts in HALVES.items():
            if abs(counted / formula(n, m, **parts) - 1) < 0.01:
                return name + how
    return f"other ({counted / plain(n, m):.2f} of plain)"


def torch_count(run: Callable[[], Any]) -> int:
    """Operations of the matrix products that torch dispatches during `run()`: in one thread, others would go unseen."""
    from torch.utils.flop_counter import FlopCounterMode

    with one_thread(), FlopCounterMode(display=False) as mode:
        run()
    return int(mode.get_total_flops())


@contextmanager
def one_thread() -> Iterator[None]:
    """All of torch in this thread: counters do not see what others do."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def jaxpr_count(jaxpr: Any) -> int:
    """Operations of the `dot_general`s of a jaxpr; a scan's body counts as often as it runs."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            total += dot_count(equation)
        times = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        total += times * sum(jaxpr_count(inner) for inner in inner_jaxprs(equation.params.values()))
    return total


def inner_jaxprs(values: Iterable[Any]) -> Iterable[Any]:
    """The jaxprs among an equation's parameters; of a conditional's branches the first stands for all."""
    for value in values:
        inner: Any = value[0] if isinstance(value, tuple) and value else value
        inner = getattr(inner, "jaxpr", inner)
        if hasattr(inner, "eqns"):
            yield inner


def dot_count(equation: Any) -> int:
    """Operations of one `dot_general`: twice its result's size times what is summed over."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    summed = 1
    for axis in contracted:
        summed *= equation.invars[0].aval.shape[axis]
    return 2 * equation.outvars[0].aval.size * summed
