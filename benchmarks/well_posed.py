"""How far a relative change of 1e-12 in the gradients moves DeVA: with its canonical basis, and with the published one.

For each shape the largest distance over gradient families and seeds, relative to the distance walked, after 23 steps
in float64 with a refresh every 5.

    python -m benchmarks.well_posed
"""

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from deva_core import DeVA
from tests.gradients import generator, walked
from tests.test_well_posed import FAMILIES, SHAPES, STEPS, relative, stream, trajectory_end

VARIANTS = {
    "plain": {},
    "factored": {"factored": True},
    "sign-stabilised": {"sign_stabilization": True},
}


def moved(rule: DeVA, family: str, shape: tuple[int, int], seed: int) -> float:
    r = generator("perturbation", shape, seed)
    W, gradients = r.normal(size=shape), stream(family, shape, STEPS, seed)
    end = trajectory_end(rule, gradients, W)
    return float(np.linalg.norm(trajectory_end(rule, [relative(r, G) for G in gradients], W) - end)) / walked(W, end)


def worst(basis: str, variant: dict, shape: tuple[int, int], advance) -> float:
    rule = DeVA(basis=basis, precondition_frequency=5, **variant)
    values = []
    for family in FAMILIES:
        values += [moved(rule, family, shape, seed) for seed in range(2)]
        advance()
    return max(values)


def main() -> None:
    view = Table("DeVA", "basis", *(f"{m}×{n}" for m, n in SHAPES))
    with Progress(transient=True) as progress:
        task = progress.add_task("perturbed runs", total=len(VARIANTS) * 2 * len(SHAPES) * len(FAMILIES))
        for name, variant in VARIANTS.items():
            for basis in ("canonical", "eigh"):
                cells = [worst(basis, variant, shape, lambda: progress.advance(task)) for shape in SHAPES]
                view.add_row(name, "canonical" if basis == "canonical" else "published", *(f"{x:.0e}" for x in cells))
    Console(width=100).print(view)


if __name__ == "__main__":
    main()
