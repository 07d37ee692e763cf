"""What each backend's replacements gain: the same optimizer with and without them, alternating, in one process.

A replacement stays only while it gains here. Median milliseconds a step, and the ratio with / without.

    python -m benchmarks.replacements [--steps 5] [--threads 1]
"""

import argparse
import statistics
import time
from unittest import mock

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import deva_torch
from deva_core import Muon, Rule
from deva_torch import _qr

SETS = {
    "nano": [(1152, 384), (384, 384), (1536, 384), (384, 1536)] * 6,
    "many": [(64, 64)] * 128 + [(32, 128)] * 64,
    "tall": [(256, 4096)] * 4,
}

RULES = (Muon(),)
REFLECTED = (1536, 4096)
"""Sides of matrices whose orthogonal factor is computed with reflections in panels, and by LAPACK."""


class Plain(deva_torch.RuleOptimizer):
    """Without replacements."""

    replacements = False


def optimizer(kind: type, rule: Rule, shapes: list[tuple[int, int]], dtype: str) -> deva_torch.RuleOptimizer:
    generator = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator)
    return kind(params, rule, compute_dtype=dtype)


def medians(pair: list, steps: int) -> list[float]:
    """Median milliseconds of each, steps taken in turn; the first two are not counted."""
    times: list[list[float]] = [[], []]
    for _ in range(steps + 2):
        for k, opt in enumerate(pair):
            start = time.perf_counter()
            opt.step()
            times[k].append(1e3 * (time.perf_counter() - start))
    return [statistics.median(t[2:]) for t in times]


def reflected(n: int, steps: int) -> list[float]:
    """Median milliseconds of an orthogonal factor, reflections in panels and as LAPACK multiplies them, in turn."""
    A, times = torch.randn(n, n, generator=torch.Generator().manual_seed(0)), ([], [])
    for _ in range(steps + 1):
        for found, worth in zip(times, (1, n + 1), strict=True):
            with mock.patch.object(_qr, "WORTH_PANELS", worth):
                start = time.perf_counter()
                _qr.householder(A)
                found.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(found[1:]) for found in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    view = Table("set", "rule", "products", "with, ms", "without, ms", "ratio", title=f"torch {torch.__version__}")
    with Progress(transient=True) as progress:
        task = progress.add_task("timing", total=len(SETS) * len(RULES) * 2 + len(REFLECTED))
        for name, shapes in SETS.items():
            for rule in RULES:
                for dtype in ("bfloat16", "float32"):
                    pair = [optimizer(kind, rule, shapes, dtype) for kind in (deva_torch.RuleOptimizer, Plain)]
                    fast, plain = medians(pair, args.steps)
                    row = (f"{fast:.1f}", f"{plain:.1f}", f"{fast / plain:.2f}")
                    view.add_row(name, type(rule).__name__, dtype, *row)
                    progress.advance(task)
        for n in REFLECTED:
            fast, plain = reflected(n, args.steps)
            view.add_row(f"QR {n}×{n}", "-", "float32", f"{fast:.0f}", f"{plain:.0f}", f"{fast / plain:.2f}")
            progress.advance(task)
    Console(width=100).print(view)


if __name__ == "__main__":
    main()
