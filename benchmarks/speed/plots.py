"""The pictures of docs/performance.md, from a result alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.speed.result import Result, Row

OURS, THEIRS, FAINT = "#3949ab", "#f0913a", "#9aa0a6"
STYLE: Any = {
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "svg.hashsalt": "deva-optim",  # the same result gives the same file
    "svg.fonttype": "path",
}
WIDTH = 9.0
SIDES = ("ours", "theirs")


def pair_label(row: Row) -> str:
    """A pair's title in two lines: what, and against what, with the set."""
    ours, _, theirs = row["title"].partition(" / ")
    return f"{ours}\nvs {theirs} · {row['set']}"


def time_a_step(result: Result) -> Any:
    """Bars by pair and set, logarithmic, with the ranges."""
    rows = result["pairs"][::-1]
    figure, axes = plt.subplots(figsize=(WIDTH, 1.2 + 0.52 * len(rows)))
    for k, (side, colour) in enumerate((("theirs", THEIRS), ("ours", OURS))):
        heights = [y + 0.38 * k - 0.19 for y in range(len(rows))]
        draw_bars(axes, heights, rows, colour, side)
    axes.set_yticks(range(len(rows)), [pair_label(row) for row in rows], fontsize=7.5)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    for y, row in enumerate(rows):
        note_ratio(axes, y, row)
    axes.set_xscale("log")
    axes.set_xlim(left=200 * min(row[side]["min"] for row in rows for side in SIDES), right=axes.get_xlim()[1] * 2)
    axes.set_xlabel("milliseconds a step, logarithmic; bars: median (mean where bases are refreshed), lines: range")
    axes.grid(axis="x", color="#e3e5e8")
    axes.set_title("Time a step (numbers: ours / theirs)")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="lower right", bbox_to_anchor=(1, 0.99), ncols=2, frameon=False)
    return figure


def draw_bars(axes: Any, heights: list[float], rows: list[Row], colour: str, side: str) -> None:
    """Medians, or means for rules with refreshes, and ranges as thin lines."""
    values = [1e3 * row[side][row["ratio"]["statistic"]] for row in rows]
    axes.barh(heights, values, height=0.36, color=colour, label=side)
    low, high = ([1e3 * row[side][key] for row in rows] for key in ("min", "max"))
    axes.hlines(heights, low, high, color="#333333", linewidth=1)


def note_ratio(axes: Any, y: int, row: Row) -> None:
    """The ratio beyond the longer range."""
    end = 1e3 * max(row["ours"]["max"], row["theirs"]["max"])
    axes.annotate(
        f"{row['ratio']['value']:.2f}", (end, y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8
    )


def share_of_rate(result: Result) -> Any:
    """Bars of the share of the products' rate."""
    rows = [row for row in result["pairs"] if "floor" in row][::-1]
    figure, axes = plt.subplots(figsize=(WIDTH, 1.2 + 0.5 * len(rows)))
    for k, (side, colour) in enumerate((("theirs", THEIRS), ("ours", OURS))):
        heights = [y + 0.38 * k - 0.19 for y in range(len(rows))]
        values = [100 * row.get("floor", {})[side]["share"] for row in rows]
        bars = axes.barh(heights, values, height=0.36, color=colour, label=side)
        axes.bar_label(bars, fmt="%.0f %%", padding=3, fontsize=7.5)
    axes.set_yticks(range(len(rows)), [pair_label(row) for row in rows], fontsize=7.5)
    axes.axvline(100, color=FAINT, linewidth=1)
    axes.set_xlabel("time of the step's matrix products at the measured rate of products alone, in % of the step")
    axes.set_title("Share of the matmul rate")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="lower right", bbox_to_anchor=(1, 0.99), ncols=2, frameon=False)
    axes.grid(axis="x", color="#e3e5e8")
    return figure


def growth(result: Result) -> Any:
    """Both curves, logarithmic on both axes."""
    found = result.get("growth", {})
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.8))
    curve(left, found["by_parameters"], "parameters", "Growing models: matrices of {}")
    curve(right, found["by_number"], "count", "More matrices of {}")
    left.set_xlabel("parameters")
    right.set_xlabel("matrices")
    left.set_ylabel("milliseconds a step")
    left.legend(frameon=False)
    return figure


def curve(axes: Any, found: Any, key: str, title: str) -> None:
    """Ours and theirs against one number."""
    for side, colour, label in (("ours", OURS, "ours"), ("theirs", THEIRS, "torch.optim.Muon")):
        x, y = [row[key] for row in found["rows"]], [1e3 * row[side] for row in found["rows"]]
        axes.plot(x, y, marker="o", markersize=4, color=colour, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(color="#e3e5e8")
    axes.set_title(title.format("×".join(map(str, found["shape"]))))


def memory(result: Result) -> Any:
    """Bytes of state by rule, and of a step's temporaries by set."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.8), gridspec_kw={"width_ratios": [3, 2]})
    states(left, result.get("states", []))
    temporaries(right, result.get("peaks", []))
    return figure


def states(axes: Any, rows: list[dict[str, Any]]) -> None:
    """A bar for each rule and shape."""
    rules = list(dict.fromkeys(row["rule"] for row in rows))[::-1]
    shapes = list(dict.fromkeys(tuple(row["shape"]) for row in rows))
    for k, (shape, colour) in enumerate(zip(shapes, (OURS, "#9fa8da"), strict=True)):
        by_rule = {row["rule"]: row["bytes_per_parameter"] for row in rows if tuple(row["shape"]) == shape}
        heights = [y + 0.19 - 0.38 * k for y in range(len(rules))]
        bars = axes.barh(
            heights, [by_rule[rule] for rule in rules], height=0.36, color=colour, label="×".join(map(str, shape))
        )
        axes.bar_label(bars, fmt="%.3g", padding=3, fontsize=7.5)
    axes.set_yticks(range(len(rules)), rules, fontsize=8)
    axes.set_title("State, bytes a parameter")
    axes.legend(frameon=False, loc="center right", fontsize=8)


def temporaries(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Two bars for each set."""
    for k, (side, colour, label) in enumerate((("ours", OURS, "ours"), ("theirs", THEIRS, "torch.optim.Muon"))):
        places = [x + 0.38 * k - 0.19 for x in range(len(rows))]
        bars = axes.bar(places, [row[side] / row["parameters"] for row in rows], width=0.36, color=colour, label=label)
        axes.bar_label(bars, fmt="%.2g", padding=2, fontsize=7.5)
    axes.set_xticks(range(len(rows)), [row["set"] for row in rows])
    axes.set_title("Temporaries, bytes a parameter")
    axes.margins(y=0.22)
    axes.legend(frameon=False, fontsize=8, loc="upper right")


PICTURES: dict[str, tuple[str, Callable[[Result], Any]]] = {
    "time.svg": ("pairs", time_a_step),
    "share.svg": ("pairs", share_of_rate),
    "growth.svg": ("growth", growth),
    "memory.svg": ("peaks", memory),
}
"""By file: the part of the result that it needs, and how it is drawn."""


def draw(result: Result, folder: Path) -> list[Path]:
    """Draw what the result has the figures for."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with plt.rc_context(STYLE):
        for name, (part, picture) in PICTURES.items():
            if result.get(part):
                figure = picture(result)
                figure.tight_layout()
                figure.savefig(folder / name, metadata={"Date": None})
                plt.close(figure)
                written.append(folder / name)
    return written
