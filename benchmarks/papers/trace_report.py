"""What the runs of DeVA's Figure 2 say, in tables and verdicts."""

from typing import Any

import numpy as np

from benchmarks.papers.report import Result, Rows, chosen, judged, mean_and_error, methods, signed, yes
from benchmarks.papers.trace_methods import LR
from benchmarks.papers.trace_problem import SPECTRA

OURS, EIGH, PUBLISHED = "DeVA S∞", "DeVA S∞, eigh", "DeVA S∞, published"
RIVAL = "Muon"


def runs(result: Result, kind: str, method: str) -> list[dict[str, Any]]:
    """That did not diverge, by learning rate."""
    return sorted((r for r in chosen(result, kind=kind, method=method) if "final" in r), key=lambda r: r["lr"])


def published(result: Result, kind: str, method: str) -> dict[str, Any]:
    """The run at the authors' learning rate."""
    return next(r for r in runs(result, kind, method) if r["lr"] == result["settings"]["lr"][method])


def best(result: Result, kind: str, method: str) -> dict[str, Any]:
    """The run of the lowest mean of log f."""
    return min(runs(result, kind, method), key=lambda r: np.mean(r["final"]))


def paired(a: dict[str, Any], b: dict[str, Any]) -> tuple[float, float]:
    """The mean of log a - log b over seeds."""
    return mean_and_error(np.subtract(a["final"], b["final"]))


def typical(run: dict[str, Any]) -> str:
    """The geometric mean."""
    return f"{np.exp(np.mean(run['final'])):.3g}"


TRACE_HEAD = ["method", "f at the script's lr", "log to Muon", "best lr", "f there", "log to Muon's best"]


def trace_rows(result: Result, kind: str) -> Rows:
    """Each method at the figure's learning rate and at its best."""
    rows = []
    for method in methods(result):
        at, top = published(result, kind, method), best(result, kind, method)
        cells = [typical(at), signed(paired(at, published(result, kind, RIVAL)))]
        cells += [f"{top['lr']:.3g}", typical(top), signed(paired(top, best(result, kind, RIVAL)))]
        rows.append([method, *cells])
    return rows


def bases_head(result: Result) -> list[str]:
    """Learning rates."""
    lrs = [r["lr"] for r in runs(result, "heterogeneous", OURS)]
    return ["blocks", "log of ours over", *(f"lr {lr:g}" for lr in lrs), "all"]


def bases_rows(result: Result) -> Rows:
    """Ours against the published basis, and against the authors' dialect, at each learning rate."""
    rows = []
    for kind in SPECTRA:
        ours = runs(result, kind, OURS)
        for name, words in ((EIGH, 'basis="eigh"'), (PUBLISHED, "the authors' dialect")):
            pairs = [paired(a, b) for a, b in zip(ours, runs(result, kind, name), strict=True)]
            rows.append([kind, words, *map(signed, pairs), f"{np.mean([p[0] for p in pairs]):+.2f}"])
    return rows


SUMS_HEAD = ["blocks", "method", "Σ H", "Σ H∘γ, first", "in the middle", "last", "last over Σ H"]


def sums_rows(result: Result) -> Rows:
    """Medians over seeds, at the figure's learning rate."""
    rows = []
    for kind in SPECTRA:
        whole = result["settings"]["sum_of_H"][kind]
        for method in methods(result):
            sums = published(result, kind, method).get("sums")
            if sums:
                cells = [f"{x:.0f}" for x in (whole, sums[0], sums[len(sums) // 2], sums[-1])]
                rows.append([kind, method, *cells, f"{sums[-1] / whole:.2f}"])
    return rows


def trace_verdicts(result: Result) -> Rows:
    """DeVA below Muon; the sum below Σ H; and that ours loses nothing."""
    rows = []
    for kind in SPECTRA:
        for run, words in ((published, f"at lr {LR:g}"), (best, "each at its best lr")):
            pair = paired(run(result, kind, OURS), run(result, kind, RIVAL))
            rows.append(["DeVA", f"S∞ ends below Muon, {kind}, {words}", f"log ratio {signed(pair)}", judged(pair)])
    for row in sums_rows(result):
        if row[1] in ("DeVA ℓ∞", OURS):
            sums = f"{row[-1]} of Σ H at the end"
            rows.append(["DeVA", f"Σ H∘γ falls below Σ H, {row[1]}, {row[0]}", sums, yes(float(row[-1]) < 1)])
    for kind in SPECTRA:
        for name, words in ((EIGH, "the canonical basis"), (PUBLISHED, "basis, bias correction and eps of ours")):
            measured, verdict = nothing_lost(result, kind, name)
            rows.append(["ours", f"{words}: nothing lost over all lr, {kind}", measured, verdict])
    return rows


def nothing_lost(result: Result, kind: str, name: str) -> tuple[str, str]:
    """Over all learning rates together; and the one at which ours stands highest, in standard errors."""
    pairs = zip(runs(result, kind, OURS), runs(result, kind, name), strict=True)
    singly = {ours["lr"]: paired(ours, other) for ours, other in pairs}
    highest = max(singly, key=lambda lr: singly[lr][0] / singly[lr][1])
    pair = pooled(result, kind, name)
    measured = f"log ratio over all lr {signed(pair)}; highest at one, {highest:g}: {signed(singly[highest])}"
    return measured, "no" if judged(pair) == "no" else "yes"


def pooled(result: Result, kind: str, name: str) -> tuple[float, float]:
    """Ours against another, each seed's mean over the learning rates."""
    means = [{"final": np.mean([r["final"] for r in runs(result, kind, m)], axis=0)} for m in (OURS, name)]
    return paired(*means)
