"""The floor of a step: its products at the measured rate of products of those shapes; and the share that is reached."""

import statistics
from typing import Any

from benchmarks.speed.flops import gram, named, oriented, plain
from benchmarks.speed.makers import Make
from benchmarks.speed.products import Products
from benchmarks.speed.sets import Shape, arrays

Group = tuple[int, int]


def counted(make: Make, shapes: list[Shape]) -> dict[Group, int | None]:
    """Operations of one step for each group of equal oriented shapes, counted in a step of these matrices alone."""
    members: dict[Group, list[Shape]] = {}
    for shape in shapes:
        members.setdefault(oriented(shape), []).append(shape)
    return {group: of_members(make, same) for group, same in members.items()}


def of_members(make: Make, shapes: list[Shape]) -> int | None:
    """Operations of a step."""
    return make(shapes).flops(arrays(shapes, seed=1))


def chosen(group: Group, count: int, operations: int | None) -> tuple[int, str]:
    """A group's operations, and which algorithm they belong to; if they were not counted, the cheaper of the two."""
    n, m = group
    if operations:
        return operations, named(operations / count, n, m)
    return count * min(plain(n, m), gram(n, m)), "the cheaper of plain and Gram (not counted)"


def floor(products: Products, operations: dict[Group, int | None], step: float, warm_up: int) -> dict[str, Any]:
    """Of one side.

    Args:
        products: timed in the same rounds. operations: from `counted`. step: median seconds of the side's step.
        warm_up: rounds of `products` that do not count.
    """
    rows = [row(products, group, operations[group], warm_up) for group in products.groups]
    seconds, total = (sum(row[key] for row in rows) for key in ("seconds", "flops"))
    return {
        "seconds": seconds,
        "flops": total,
        "gflops_per_second": total / step / 1e9,
        "rate_gflops_per_second": total / seconds / 1e9,
        "share": seconds / step,
        "groups": rows,
    }


def whole_share(groups: list[dict[str, Any]], step: float) -> float:
    """The share in the algorithms' own operations, as if no symmetric product came by halves."""
    own = {"plain": "plain_flops", "Gram": "gram_flops"}
    seconds = (
        group[own.get(group["algorithm"].partition(",")[0], "flops")] / group["rate_gflops_per_second"] / 1e9
        for group in groups
    )
    return sum(seconds) / step


def row(products: Products, group: Group, operations: int | None, warm_up: int) -> dict[str, Any]:
    """One group: its algorithm, its operations, and their time at the measured rate."""
    count = products.groups[group]
    total, algorithm = chosen(group, count, operations)
    rate = count * plain(*group) / statistics.median(products.seconds[group][warm_up:])
    return {
        "shape": list(group),
        "count": count,
        "algorithm": algorithm,
        "flops": total,
        "plain_flops": count * plain(*group),
        "gram_flops": count * gram(*group),
        "rate_gflops_per_second": rate / 1e9,
        "seconds": total / rate,
    }
