"""Rows of what was measured, for the terminal and for the page."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from benchmarks.defaults import verdicts
from benchmarks.defaults.runs import HORIZONS
from benchmarks.defaults.sides import REFERENCE, RULES
from benchmarks.defaults.verdicts import Ratio
from benchmarks.papers.report import Rows, chosen

Result = dict[str, Any]
YES = {True: "yes", False: "**no**"}
SUMMARY_HEAD = ["rule", "lr of matrices", "lr of the others", "tasks won, of 5", "lost", "enough"]
RATIO_HEAD = ["rule", "task", "mean log ratio", "95 % interval", "met", "our losses", "AdamW's losses"]
TUNING_HEAD = ["lr", "ratio"]


def listed(values: Iterable[float]) -> str:
    """To three digits."""
    return " · ".join(f"{value:.3g}" for value in values)


def summary_rows(result: Result) -> Rows:
    """One row a rule."""
    rows = []
    for side, won in verdicts.wins(result).items():
        lr, tasks = result["settings"]["defaults"][side], verdicts.won(result, side)
        lost = ", ".join(task for task in result["settings"]["tasks"] if task not in tasks)
        cells = [f"{lr['matrices']:g}", f"{lr['others']:g}", str(len(tasks)), lost or "–", YES[won]]
        rows.append([side, *cells])
    return rows


def ratio_row(found: Ratio) -> list[str]:
    """One rule on one task at one horizon."""
    span = f"{found.low:+.3f} to {found.high:+.3f}"
    cells = [f"{found.mean:+.3f}", span, YES[found.met], listed(found.ours), listed(found.theirs)]
    return [found.side, f"`{found.task}`", *cells]


def ratio_rows(result: Result, horizon: str, suffix: str = "") -> Rows:
    """Every rule on every task; with a suffix, other sides of the same rules."""
    found = [one for side in RULES for one in verdicts.ratios(result, side + suffix)]
    return [ratio_row(one) for one in found if one.horizon == horizon]


def reason_rows(result: Result, horizon: str, reasons: Mapping[str, Iterable[str]]) -> Rows:
    """Sides that ran on one task only."""
    found = [verdicts.ratio(result, side, task, horizon) for task, names in reasons.items() for side in names]
    return [ratio_row(one) for one in found]


def tuning_head(result: Result) -> list[str]:
    """Columns of a search."""
    columns = [f"{task}, {horizon}" for task in result["settings"]["tasks"] for horizon in HORIZONS]
    return [*TUNING_HEAD, *columns, "worst"]


def tuned(result: Result, side: str) -> dict[tuple[float, float], list[float]]:
    """At each pair of learning rate and ratio the mean log ratios to AdamW: task by task, horizon by horizon."""
    found: dict[tuple[float, float], list[float]] = {}
    for run in chosen(result, side=side):
        found.setdefault((run["lr"], run["ratio"]), [])
    for lr, ratio in found:
        for task in result["settings"]["tasks"]:
            ours, theirs = (
                chosen(result, task=task, **key)
                for key in ({"side": side, "lr": lr, "ratio": ratio}, {"side": REFERENCE})
            )
            for horizon in HORIZONS:
                logs = [np.log(a[horizon] / b[horizon]) for a, b in zip(ours, theirs, strict=True)]
                found[lr, ratio].append(float(np.mean(logs)))
    return found


def tuning_rows(result: Result, side: str, pair: tuple[float, float] | None = None) -> Rows:
    """A search's, the chosen pair in bold."""
    rows = []
    for (lr, ratio), means in tuned(result, side).items():
        cells = [f"{lr:g}", f"{ratio:g}", *(f"{x:+.3f}" for x in means), f"{max(means):+.3f}"]
        rows.append([f"**{cell}**" for cell in cells] if (lr, ratio) == pair else cells)
    return rows
