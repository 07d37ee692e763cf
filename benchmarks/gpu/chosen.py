"""What the backends choose where `choices` tried both: their thresholds, read from their sources.

CuPy is not imported without a device, and importing torch or JAX for three numbers takes seconds.
"""

import ast
from functools import cache
from math import prod
from typing import Any

from benchmarks.gpu.kit import ROOT
from deva_core.coefficients import JORDAN, schedule
from deva_core.costs import Costs

TRIED = {
    "stacked_rows": ("stacks", "alone"),
    "form": ("plain", "gram"),
    "loops": ("batched", "loop"),
    "WORTH_A_LAUNCH": ("widened", "one by one"),
}
"""By question, what was tried."""


@cache
def constant(backend: str, name: str) -> Any:
    """The value that a backend's `_backend.py` gives a name."""
    text = (ROOT / "backends" / backend / "_backend.py").read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return eval(ast.unparse(node.value), {})
    raise LookupError(f"{backend} has no {name}")


def chosen(question: str, shape: tuple[int, ...]) -> str:
    """What runs on a GPU for a matrix of this shape."""
    if question == "loops":
        return "batched"  # Stacking.loops: on a CPU alone
    if question == "WORTH_A_LAUNCH":
        many = prod(shape) * shape[-1] >= constant("deva_cupy", "WORTH_A_LAUNCH")
        return "one by one" if many else "widened"
    rows, gram = (constant("deva_torch", name) for name in ("ON_ACCELERATORS", "GRAM_ON_ACCELERATORS"))
    costs = Costs(form="auto", stacked_rows=rows, **gram)
    if question == "stacked_rows":
        return "stacks" if costs.stacks(shape) else "alone"
    return "gram" if costs.prefers_gram(shape, schedule(JORDAN, 5)) else "plain"


def quicker(row: dict[str, Any]) -> str:
    """The quicker of what was tried."""
    return min(TRIED[row["question"]], key=lambda name: row[name])


def excess(row: dict[str, Any]) -> float:
    """By what part the chosen takes longer than the quicker."""
    return row[chosen(row["question"], tuple(row["shape"]))] / row[quicker(row)] - 1
