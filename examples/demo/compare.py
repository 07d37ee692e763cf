"""The comparisons: each rule in every framework, and what float32 does to it."""

from types import ModuleType
from typing import Any

import numpy as np

from demo.data import Weights, cast
from demo.progress import Progress
from demo.training import Problem, Run, largest_parting, parted, train

Networks = dict[str, ModuleType]
"""Framework by framework, the module that holds its network."""


def train_everywhere(rule: str, nets: Networks, problem: Problem, progress: Progress, **how: Any) -> list[Run]:
    """Train the network with one rule in every framework. `note` says what is special about it, `every` thins its path."""
    note = how.pop("note", "")
    return [
        train(
            name,
            net.network(cast(problem.weights, problem.dtype), rule),
            problem,
            f"{rule} in {net.name}{note}",
            progress,
            **how,
        )
        for name, net in nets.items()
    ]


def agreement(runs: list[Run], problem: Problem) -> dict[str, Any]:
    """How far the frameworks are apart, step by step, and on how many test images they say the same."""
    curve = largest_parting(runs, problem.start)
    said = np.array([run.scores.argmax(axis=1) for run in runs])
    return {
        "curve": curve.tolist(),
        "largest": float(curve.max()) if len(curve) else None,
        "same_predictions": int((said == said[0]).all(axis=0).sum()),
        "test_images": said.shape[1],
    }


def summary(rule: str, run: Run) -> dict[str, Any]:
    """A run's numbers."""
    return {
        "rule": rule,
        "framework": run.framework,
        "losses": run.losses,
        "train_loss": run.train_loss,
        "test_accuracy": run.accuracy,
        "ms_per_step": run.ms_per_step,
        "first_step_seconds": run.seconds[0],
        "jax_traces": run.traces,
    }


def predictions(run: Run, problem: Problem) -> list[dict[str, Any]]:
    """Some test images with what a run says: those that it gets wrong first, then others as they come."""
    d, said = problem.digits, run.scores.argmax(axis=1)
    likely = np.exp(run.scores - run.scores.max(axis=1, keepdims=True))
    sure = (likely / likely.sum(axis=1, keepdims=True)).max(axis=1)
    chosen = [*np.flatnonzero(said != d.test_y)[:8], *np.flatnonzero(said == d.test_y)][:28]
    return [
        {
            "pixels": (d.test_x[k] * 16).astype(int).tolist(),
            "said": int(said[k]),
            "label": int(d.test_y[k]),
            "sure": float(sure[k]),
        }
        for k in chosen
    ]


def layers(weights: Weights) -> list[dict[str, Any]]:
    """The trained network, for the page to run: four decimals do."""
    depth = len(weights) // 2
    return [
        {part: np.round(weights[f"{k}.{part}"].astype(np.float64), 4).tolist() for part in ("weight", "bias")}
        for k in range(1, depth + 1)
    ]


def compare_rules(rules: list[str], nets: Networks, problem: Problem, progress: Progress) -> dict[str, Any]:
    """The main comparison."""
    result: dict[str, Any] = {"runs": [], "agreement": {}}
    for rule in rules:
        runs = train_everywhere(rule, nets, problem, progress)
        result["runs"] += [summary(rule, run) for run in runs]
        result["agreement"][rule] = agreement(runs, problem)
        result.setdefault("predictions", {"rule": rule, "images": predictions(runs[0], problem)})
        result.setdefault("network", layers(runs[0].final))
    return result


def growth(steps: list[int], curve: np.ndarray) -> float | None:
    """By what factor a distance grows in 100 steps while it grows exponentially; None where it does not.

    The stretch taken: above ten times the median of the first quarter, below 5 % of the distance walked.
    """
    low = 10 * np.median(curve[: max(1, len(curve) // 4)])
    chosen = (curve > low) & (curve < 0.05) & (np.arange(len(curve)) >= len(curve) // 4)
    if chosen.sum() < 8:
        return None
    return float(np.exp(100 * np.polyfit(np.asarray(steps)[chosen], np.log(curve[chosen]), 1)[0]))


def float32_panel(rule: str, nets: Networks, seed: int, steps: int, progress: Progress) -> dict[str, Any]:
    """A longer run in float32; and in float64, from the start and from the start rounded to float32.

    The last has no float32 arithmetic in it: how it parts from the exact start is the problem's doing, not a program's.
    """
    exact, single = Problem.of(seed, steps), Problem.of(seed, steps, "float32")
    rounded = exact._replace(weights=cast(cast(exact.weights, "float32"), "float64"))
    every, one = max(1, steps // 110), dict(list(nets.items())[:1])
    doubles = train_everywhere(rule, nets, exact, progress, every=every, note=f", float64, {steps} steps")
    singles = train_everywhere(rule, nets, single, progress, every=every, note=f", float32, {steps} steps")
    (shaken,) = train_everywhere(rule, one, rounded, progress, every=every, note=", float64, from a rounded start")
    away = [parted(d.path, s.path, exact.start) for d, s in zip(doubles, singles, strict=True)]
    curves = {
        "float32, between frameworks": largest_parting(singles, single.start),
        "float32, from float64": np.max(away, axis=0),
        "float64, from a rounded start": parted(doubles[0].path, shaken.path, exact.start),
        "float64, between frameworks": largest_parting(doubles, exact.start),
    }
    curves = {name: curve for name, curve in curves.items() if len(curve)}
    return {
        "rule": rule,
        "steps": doubles[0].steps,
        "curves": {name: curve.tolist() for name, curve in curves.items()},
        "growth_per_100_steps": {name: growth(doubles[0].steps, curve) for name, curve in curves.items()},
        "losses": doubles[0].losses,
        "test_accuracy": {"float32": [r.accuracy for r in singles], "float64": [r.accuracy for r in doubles]},
        "train_loss": {"float32": [r.train_loss for r in singles], "float64": [r.train_loss for r in doubles]},
    }
