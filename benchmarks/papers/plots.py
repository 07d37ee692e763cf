"""The pictures of docs/evidence.md, from results alone, in the style of `benchmarks.speed.plots`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.papers import trace_report
from benchmarks.papers.report import Result, by_lr, chosen, finals, level, methods
from benchmarks.papers.trace_problem import SPECTRA
from benchmarks.speed.plots import STYLE, WIDTH, plt

COLOURS = {
    "Muon": "#3949ab",
    "DeVA": "#d81b60",
    "DeVA S∞": "#d81b60",
    "DeVA S∞, eigh": "#d81b60",
    "DeVA S∞, published": "#d81b60",
    "AdaGO": "#00897b",
    "DeVA ℓ∞": "#8e24aa",
    "DeVA ℓ∞, published": "#8e24aa",
    "SOAP": "#f0913a",
    "AdaMuon": "#00897b",
    "AdamW": "#6d4c41",
    "Adam": "#6d4c41",
    "SignSGD": "#9aa0a6",
    "SGD": "#9aa0a6",
    "GD": "#c0c5ca",
}
DASHES = {"DeVA S∞, eigh": ":", "DeVA S∞, published": "--", "DeVA ℓ∞, published": "--", "SGD": "--"}
GRID: Any = {"color": "#e3e5e8"}


def look(method: str) -> dict[str, Any]:
    """Colour and dashes of a method."""
    return {"color": COLOURS[method], "linestyle": DASHES.get(method, "-"), "label": method}


def panels(height: float = 3.9) -> tuple[Any, Any]:
    """Two beside each other."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, height))
    for one in axes:
        one.grid(**GRID)
    return figure, axes


def legend_below(figure: Any, axes: Any, columns: int) -> None:
    """One for both panels."""
    handles, labels = axes.get_legend_handles_labels()
    rows = -(-len(labels) // columns)
    figure.tight_layout(rect=(0, 0.055 * rows + 0.02, 1, 1))
    figure.legend(handles, labels, loc="lower center", ncols=columns, frameon=False, fontsize=8.5)


def trace_curves(result: Result) -> Any:
    """At the authors' learning rate: geometric means, with a standard deviation of the logarithm around some."""
    figure, axes = panels(4.6)
    for one, kind in zip(axes, SPECTRA, strict=True):
        for method in methods(result):
            steps, mean, deviation = np.array(trace_report.published(result, kind, method)["curve"]).T
            one.plot(steps, np.exp(mean), linewidth=1.5, **look(method))
            if method in ("Muon", "DeVA S∞"):
                band = np.exp(mean - deviation), np.exp(mean + deviation)
                one.fill_between(steps, *band, color=COLOURS[method], alpha=0.12, linewidth=0)
        one.set_yscale("log")
        one.set_title(f"{kind.capitalize()} blocks")
        one.set_xlabel("step")
    axes[0].set_ylabel("f, the minimum being 0")
    legend_below(figure, axes[0], 4)
    return figure


def trace_lrs(result: Result) -> Any:
    """The end of every run against its learning rate."""
    figure, axes = panels(4.6)
    for one, kind in zip(axes, SPECTRA, strict=True):
        for method in methods(result):
            found = trace_report.runs(result, kind, method)
            ends = [float(np.exp(np.mean(run["final"]))) for run in found]
            one.plot([run["lr"] for run in found], ends, marker="o", markersize=3, linewidth=1.3, **look(method))
        one.set_xscale("log")
        one.set_yscale("log")
        one.set_title(f"{kind.capitalize()} blocks")
        one.set_xlabel("learning rate")
    axes[0].set_ylabel("f after the last step")
    legend_below(figure, axes[0], 4)
    return figure


def trace_sums(result: Result) -> Any:
    """Σ H∘γ over Σ H."""
    figure, axes = panels(3.8)
    for one, kind in zip(axes, SPECTRA, strict=True):
        for method in methods(result):
            run = trace_report.published(result, kind, method)
            if "sums" in run:
                steps = [row[0] for row in run["curve"]]
                one.plot(steps, np.array(run["sums"]) / result["settings"]["sum_of_H"][kind], **look(method))
        one.axhline(1, color="#333333", linewidth=0.8)
        one.set_title(f"{kind.capitalize()} blocks")
        one.set_xlabel("step")
    axes[0].set_ylabel("Σ H∘γ over Σ H, medians")
    legend_below(figure, axes[0], 3)
    return figure


def language_curves(result: Result) -> Any:
    """Held-out loss, against tokens and against processor time; thin lines are seeds."""
    figure, axes = panels()
    settings = result["settings"]
    a_step = settings["batch"] * settings["context"] / 1e3
    for method in methods(result):
        curves = [np.array(run["curve"]) for run in finals(result, method).values()]
        if curves:
            mean = np.mean(curves, axis=0)
            for one, column, unit in ((axes[0], 0, a_step), (axes[1], 1, 1.0)):
                for curve in curves:
                    one.plot(curve[:, column] * unit, curve[:, 2], color=COLOURS[method], linewidth=0.5, alpha=0.5)
                one.plot(mean[:, column] * unit, mean[:, 2], linewidth=1.8, **look(method))
    axes[0].set_xlabel("thousand tokens (bytes)")
    axes[1].set_xlabel("processor seconds of training, one thread")
    axes[0].set_ylabel("held-out loss, nats a byte")
    axes[1].legend(frameon=False)
    return figure


def adago_lrs(result: Result) -> Any:
    """Last loss over the grid of learning rates; lines between the least and the largest of the seeds."""
    figure, axes = panels()
    for one, task in zip(axes, ("regression", "digits"), strict=True):
        for method in methods(result):
            found = by_lr(result, task, method)
            ends = [[run["curve"][-1][2] for run in runs] for runs in found.values()]
            one.plot(list(found), [level(runs) for runs in found.values()], marker="o", markersize=4, **look(method))
            one.vlines(list(found), [min(e) for e in ends], [max(e) for e in ends], color=COLOURS[method], linewidth=1)
        one.set_xscale("log")
        one.set_yscale("log")
        one.set_title(task.capitalize())
        one.set_xlabel("learning rate")
    axes[0].set_ylabel("held-out loss at the end")
    axes[0].legend(frameon=False)
    return figure


def handover_curves(result: Result) -> Any:
    """The run that changes frameworks, over the one that does not."""
    figure, axes = plt.subplots(figsize=(WIDTH, 3.6))
    axes.grid(**GRID)
    for k, run in enumerate(chosen(result, dtype="float32")):
        losses, half = run["handed_over"], len(run["handed_over"]) // 2
        labels = ("all in torch", "begun in torch", "finished in JAX") if k == 0 else (None,) * 3
        axes.plot(range(1, len(losses) + 1), run["whole"], color="#d5d8dc", linewidth=5, label=labels[0])
        axes.plot(range(1, half + 1), losses[:half], color="#f0913a", linewidth=1.3, label=labels[1])
        axes.plot(range(half + 1, len(losses) + 1), losses[half:], color="#3949ab", linewidth=1.3, label=labels[2])
        place = {"xytext": (4, 8 * (1 - k)), "textcoords": "offset points", "fontsize": 8}  # apart where curves meet
        axes.annotate(run["rule"], (len(losses), losses[-1]), **place)
    axes.set_xlabel("step")
    axes.set_ylabel("training loss, nats a byte")
    axes.legend(frameon=False)
    return figure


PICTURES: dict[str, tuple[str, Callable[[Result], Any]]] = {
    "trace.svg": ("trace", trace_curves),
    "trace-lr.svg": ("trace", trace_lrs),
    "trace-sums.svg": ("trace", trace_sums),
    "language.svg": ("language", language_curves),
    "adago.svg": ("adago", adago_lrs),
    "handover.svg": ("handover", handover_curves),
}
"""By file: the experiment, and how it is drawn."""


def draw(results: dict[str, Result], folder: Path) -> list[Path]:
    """Draw what there are results for."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with plt.rc_context(STYLE):
        for name, (experiment, picture) in PICTURES.items():
            if experiment in results:
                figure = picture(results[experiment])
                if not figure.legends:
                    figure.tight_layout()
                figure.savefig(folder / name, metadata={"Date": None})
                plt.close(figure)
                written.append(folder / name)
    return written
