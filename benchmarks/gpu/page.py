"""docs/gpu.md: the words of page.md with the tables of what was run on a GPU.

python -m benchmarks.gpu.page

Nothing is measured: the results are read from benchmarks/results/gpu/.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.gpu import chosen
from benchmarks.gpu.kit import ROOT
from benchmarks.records import day
from benchmarks.speed import page as of_speed
from benchmarks.speed import report
from benchmarks.speed.memory import PEAK_BOUND
from benchmarks.speed.page import table
from benchmarks.speed.pairs import PAIRS
from benchmarks.speed.report import Rows
from benchmarks.speed.result import read

TEMPLATE = Path(__file__).with_name("page.md")
PUBLISHED = ROOT / "docs" / "gpu.md"
RESULTS = ROOT / "benchmarks" / "results" / "gpu"
SPEEDS = ("speed-torch", "speed-jax")
LIBRARIES = {"torch": "PyTorch", "jax": "JAX", "cupy": "CuPy"}
Found = dict[str, Any]
"""By file: `kit`, `checks`, `speed-torch`, `speed-jax`."""


def results() -> Found:
    """What was published."""
    of_gpu = {name: json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in ("kit", "checks")}
    return of_gpu | {name: read(RESULTS / f"{name}.json") for name in SPEEDS}


def together(found: Found) -> Any:
    """The pairs of every library as one result."""
    keys = ("pairs", "dispatches", "skipped")
    sets = {name: words for file in SPEEDS for name, words in found[file]["sets"].items()}
    return {key: [row for file in SPEEDS for row in found[file].get(key, [])] for key in keys} | {"sets": sets}


def without_targets(head: list[str], rows: Rows, columns: int) -> tuple[list[str], Rows]:
    """Both without their last columns: the targets were set for a CPU."""
    return head[:-columns], [row[:-columns] for row in rows]


# --- what was run -----------------------------------------------------------------------------------------------------


def machine(found: Found) -> str:
    """The device, the machine around it, and the versions."""
    device, driver, memory = found["kit"]["driver"].split(", ")
    around = found["speed-torch"]["machine"]
    versions = dict(found["kit"]["versions"])
    versions |= {name: v for name, v in found["speed-torch"]["versions"].items() if name.endswith("-authors")}
    rows = [
        ["GPU", f"{device}, {memory}, driver {driver}"],
        ["CPU", f"{around['cpu']}, {around['cores']} cores"],
        ["versions", ", ".join(f"{name} {v}" for name, v in versions.items())],
    ]
    return table(["", ""], rows)


def runs(found: Found) -> str:
    """When each run ended, how long it took, and how busy the machine had been."""
    rows = []
    for name, result in sorted(found.items(), key=lambda item: item[1]["date"]):
        ended = datetime.fromisoformat(result["date"]).strftime("%H:%M:%S")
        load = " · ".join(map(str, result["load_average"]["begin"])) if "load_average" in result else "–"
        rows.append([f"`{name}.json`", ended, f"{result['minutes']:.1f}" if "minutes" in result else "–", load])
    return table(["result", "ended, UTC", "minutes", "load average at its beginning"], rows)


def commands(found: Found) -> str:
    """By what the pairs were run."""
    return "\n".join(f"- `{found[file]['command']}`" for file in SPEEDS)


KIT_HEAD = ["library", "laws kept", "broken", "errors", "not supported", "not run", "cases", "conforms"]


def kit(found: Found) -> str:
    """The kit's verdicts."""
    rows = []
    for library, entry in found["kit"]["backends"].items():
        verdict = entry["kit"]
        counts = [str(verdict["counts"][status]) for status in ("pass", "fail", "error", "not_supported", "not_run")]
        rows.append([LIBRARIES[library], *counts, str(verdict["executed"]), "yes" if verdict["conforms"] else "no"])
    return table(KIT_HEAD, rows)


# --- torch's checks ---------------------------------------------------------------------------------------------------


def scientific(x: float) -> str:
    """A distance.

    Example:
        >>> scientific(0.0), scientific(3.38058e-07)
        ('0', '3.4e-07')
    """
    return f"{x:.1e}" if x else "0"


def graphs(found: Found) -> str:
    """How far replays of a captured step end from Python's."""
    errors = found["checks"]["backends"]["torch"]["checks"]["graph_errors"]
    return table(["rule", "distance, of the distance walked"], [[rule, scientific(x)] for rule, x in errors.items()])


GRAPH_HEAD = ["set", "by Python, ms", "by Python, `capturable`, ms", "captured, ms", "by Python / captured"]


def graph_times(found: Found) -> str:
    """A step of Muon in three ways."""
    rows = []
    for name, ms in found["checks"]["backends"]["torch"]["checks"]["graph_ms"].items():
        times = [report.milliseconds(ms[way] / 1e3) for way in ("plain", "capturable", "graph")]
        rows.append([name, *times, f"{ms['plain'] / ms['graph']:.1f}"])
    return table(GRAPH_HEAD, rows)


def waits(found: Found) -> str:
    """What torch and CuPy noticed."""
    of_torch, of_cupy = (found["checks"]["backends"][library]["checks"] for library in ("torch", "cupy"))
    rows = []
    for rule, seen in of_torch["waits"].items():
        said = "; ".join(f"{count} × {where}" for where, count in seen.items()) or "none seen"
        rows.append([rule, said, of_cupy.get(rule, "–")])
    return table(["rule", "PyTorch, twelve steps", "CuPy, the second step"], rows)


def peaks(found: Found) -> str:
    """Bytes of a step, beside torch.optim.Muon's."""
    measured = found["checks"]["backends"]["torch"]["checks"]["peak_bytes"]
    rows: Any = [{"set": name, "theirs": row["torch.optim.Muon"], **row} for name, row in measured.items()]
    return table(report.PEAK_HEAD, report.peak_rows({"peaks": rows}))


# --- beside the peers -------------------------------------------------------------------------------------------------


def quicker(ratio: Any) -> str:
    """Whose step is shorter, where the interval says so.

    Example:
        >>> quicker({"low": 0.8, "high": 0.9}), quicker({"low": 1.1, "high": 1.2}), quicker({"low": 0.8, "high": 1.1})
        ('ours', 'theirs', 'not certain')
    """
    return "ours" if ratio["high"] < 1 else "theirs" if ratio["low"] > 1 else "not certain"


def pairs(result: Any) -> str:
    """Every pair, and who is quicker."""
    head, rows = without_targets(report.PAIR_HEAD, report.pair_rows(result), columns=2)
    said = [quicker(row["ratio"]) for row in result["pairs"]]
    return table([*head, "quicker"], [[*row, word] for row, word in zip(rows, said, strict=True)])


def missing(result: Any) -> str:
    """The pairs that say something on a GPU, and the sets on which they were not run."""
    run = {(row["pair"], row["set"]) for row in result["pairs"]}
    rows = []
    for pair in PAIRS:
        left = [name for name in pair.sets if (pair.name, name) not in run]
        if left and "cuda" in pair.devices:
            rows.append([pair.title, ", ".join(left)])
    return table(["pair", "sets not run"], rows)


# --- thresholds -------------------------------------------------------------------------------------------------------


def choices(found: Found, question: str) -> str:
    """What was tried, which was quicker, and what is chosen since."""
    tried = list(of(found, question))
    names = chosen.TRIED[question]
    rows = []
    for row in tried:
        times = [report.milliseconds(row[name] / 1e3) for name in names]
        said = [chosen.quicker(row), chosen.chosen(question, tuple(row["shape"]))]
        rows.append(["×".join(map(str, row["shape"])), *times, *said])
    return table([f"{tried[0]['count']} of", *(f"{name}, ms" for name in names), "quicker", "chosen"], rows)


def of(found: Found, question: str) -> Iterable[dict[str, Any]]:
    """The rows of a question, of whichever library."""
    for entry in found["checks"]["backends"].values():
        yield from (row for row in entry.get("choices", []) if row["question"] == question)


def worst(found: Found) -> float:
    """How much longer the chosen takes than the quicker, at most."""
    return max(chosen.excess(row) for question in chosen.TRIED for row in of(found, question))


# --- the page ---------------------------------------------------------------------------------------------------------


def parts(found: Found) -> dict[str, str]:
    """By name in the template."""
    result = together(found)
    return {
        "device": found["kit"]["backends"]["torch"]["device"],
        "day": day(found["kit"]["date"]),
        "machine": machine(found),
        "runs": runs(found),
        "commands": commands(found),
        "kit": kit(found),
        "graphs": graphs(found),
        "graph_times": graph_times(found),
        "waits": waits(found),
        "peaks": peaks(found),
        "peak_bound": str(PEAK_BOUND),
        "dispatches": table(report.DISPATCH_HEAD, report.dispatch_rows(result)),
        "sets": of_speed.sets(result),
        "pairs": pairs(result),
        "settings": of_speed.settings(result),
        "compile": table(*without_targets(report.COMPILE_HEAD, report.compile_rows(result), columns=2)),
        "floors": table(*without_targets(report.FLOOR_HEAD, report.floor_rows(result), columns=1)),
        "xla": table(*without_targets(report.XLA_HEAD, report.xla_rows(result), columns=1)),
        "missing": missing(result),
        **{question: choices(found, question) for question in chosen.TRIED},
        "worst": f"{worst(found):.0%}",
    }


def text(found: Found) -> str:
    """The page."""
    page = TEMPLATE.read_text(encoding="utf-8")
    for name, part in parts(found).items():
        page = page.replace(f"{{{name}}}", part)
    return page


if __name__ == "__main__":
    PUBLISHED.write_text(text(results()), encoding="utf-8")
    print(f"written: {PUBLISHED}")
