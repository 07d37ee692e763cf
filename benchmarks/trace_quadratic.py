"""The DeVA authors' trace-quadratic problem: does the canonical basis descend as well as the published one?

f(X) = ½ tr(Xᵀ H X) + tr(Bᵀ X) over 9×9 matrices, H of three 3×3 blocks, batches of 3 rows of the equivalent least
squares, 400 steps, constant and then linearly decaying learning rate, β₁ = 0, β₂ = 0.99 (arXiv 2602.06880, Figure 2;
our own code, in float64). Prints the geometric mean over seeds of the final suboptimality and, against the published
basis, the mean log ratio with its standard error over the same seeds.

    python -m benchmarks.trace_quadratic [--seeds 20] [--lrs 0.1 0.2] [--out FILE.json]
"""

import argparse
import json
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from deva_core import DeVA, Muon, Rule
from deva_numpy import Optimizer

SPECTRA = {
    "heterogeneous": [[1, 2, 3], [99, 100, 101], [4998, 4999, 5000]],
    "homogeneous": [[1, 99, 4998], [2, 100, 4999], [3, 101, 5000]],
}
STEPS, BATCH, N = 400, 3, 9
RULES: dict[str, Callable[[Callable], Rule]] = {
    "Muon": lambda lr: Muon(lr=lr, momentum=0.0, scale="rms"),
    "DeVA, published basis": lambda lr: DeVA(lr=lr, beta1=0.0, beta2=0.99, weight_decay=0.0, basis="eigh"),
    "DeVA, canonical basis": lambda lr: DeVA(lr=lr, beta1=0.0, beta2=0.99, weight_decay=0.0),
}


class Problem:
    """One random instance."""

    def __init__(self, kind: str, seed: int) -> None:
        r = np.random.default_rng(seed)
        self.H = np.zeros((N, N))
        for k, eigenvalues in enumerate(SPECTRA[kind]):
            Q, _ = np.linalg.qr(r.normal(size=(3, 3)))
            self.H[3 * k : 3 * k + 3, 3 * k : 3 * k + 3] = Q @ np.diag(eigenvalues) @ Q.T
        self.B, self.start = r.normal(size=(N, N)), r.normal(size=(N, N))
        eigenvalues, Q = np.linalg.eigh(self.H)
        self.A = Q @ np.diag(np.sqrt(eigenvalues)) @ Q.T
        self.Y = -np.linalg.solve(self.A.T, self.B)
        self.minimum = self.value(np.linalg.solve(self.H, -self.B))

    def value(self, X: np.ndarray) -> float:
        """f(X)."""
        return 0.5 * float(np.sum(X * (self.H @ X))) + float(np.sum(self.B * X))

    def gradient(self, X: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Of the authors' batch loss ½ (n / batch) ‖A X - Y‖ over some rows (a norm, not its square)."""
        residual = self.A[rows] @ X - self.Y[rows]
        return 0.5 * N / BATCH * self.A[rows].T @ residual / np.linalg.norm(residual)


def schedule(lr: float) -> Callable[[int], float]:
    """Constant for the first half, then linear to zero."""
    return lambda count: lr * min(1.0, 2 - 2 * count / STEPS)


def suboptimality(rule: Callable[[Callable], Rule], kind: str, seed: int, lr: float) -> float:
    """After 400 steps."""
    problem, r = Problem(kind, seed), np.random.default_rng(seed + 12345)
    optimizer = Optimizer(rule(schedule(lr)))
    params = {"X": problem.start}
    state = optimizer.init(params)
    for _ in range(STEPS):
        G = problem.gradient(params["X"], r.integers(0, N, BATCH))
        params, state = optimizer.step(params, {"X": G}, state)
    return problem.value(params["X"]) - problem.minimum


def results(seeds: int, lrs: list[float], advance: Callable[[], None] = lambda: None) -> dict:
    """Log suboptimality by kind, lr and rule, over seeds."""
    out: dict = {}
    for kind in SPECTRA:
        for lr in lrs:
            for name, rule in RULES.items():
                values = []
                for seed in range(seeds):
                    values.append(float(np.log(suboptimality(rule, kind, seed, lr))))
                    advance()
                out.setdefault(f"{kind}, lr {lr:g}", {})[name] = values
    return out


def table(logs: dict) -> Table:
    """Geometric means, and the paired comparison."""
    view = Table("problem", *RULES, "log(canonical / published)", caption="mean over seeds, ± standard error")
    for problem, rules in logs.items():
        difference = np.subtract(rules["DeVA, canonical basis"], rules["DeVA, published basis"])
        error = difference.std(ddof=1) / len(difference) ** 0.5 if len(difference) > 1 else float("nan")
        means = [f"{np.exp(np.mean(values)):.3g}" for values in rules.values()]
        view.add_row(problem, *means, f"{difference.mean():+.2f} ± {error:.2f}")
    return view


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--lrs", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.4])
    parser.add_argument("--out", type=Path, help="also write every value as JSON")
    args = parser.parse_args()
    with Progress(transient=True) as progress:
        task = progress.add_task("trace quadratic", total=args.seeds * len(args.lrs) * len(SPECTRA) * len(RULES))
        logs = results(args.seeds, args.lrs, lambda: progress.advance(task))
    Console(width=120).print(table(logs))
    if args.out:
        versions = {"numpy": np.__version__, "python": platform.python_version()}
        args.out.write_text(json.dumps({"log_suboptimality": logs, "versions": versions}, indent=1) + "\n")


if __name__ == "__main__":
    main()
