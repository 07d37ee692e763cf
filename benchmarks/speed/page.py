"""docs/performance.md: the words of page.md with the tables of a result."""

from pathlib import Path
from typing import Any

from benchmarks.records import day
from benchmarks.speed import report
from benchmarks.speed.memory import PEAK_BOUND
from benchmarks.speed.result import Result

TEMPLATE = Path(__file__).parent / "page.md"


def table(head: list[str], rows: list[list[str]]) -> str:
    """In Markdown; without rows, words that say so."""
    if not rows:
        return "*Not measured in this run.*"
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def machine(result: Result) -> str:
    """Where, when, with what, and how busy the machine was."""
    found, load = result["machine"], result["load_average"]
    installed = {name: v for name, v in result["versions"].items() if v != "not installed"}
    rows = [
        ["CPU", f"{found['cpu']}; {', '.join(found['instructions'])}"],
        ["cores, threads used", f"{found['cores']}, {found['threads']}"],
        ["load average at the beginning", " · ".join(map(str, load["begin"])) + busy(load["begin"])],
        [
            "versions",
            ", ".join(f"{name} {v}" for name, v in installed.items()) + f"; NumPy's BLAS {found['blas_of_numpy']}",
        ],
        ["system", found["system"]],
        [
            "run",
            f"{day(result['date'])}, {result['minutes']:.0f} minutes, {result['rounds']} rounds: `{result['command']}`",
        ],
    ]
    return table(["", ""], rows)


def busy(load: list[float]) -> str:
    """A warning where others were at work."""
    return ": **others were at work, read these figures as indications**" if load and load[0] > 1 else ""


def sets(result: Result) -> str:
    """What the sets are."""
    return table(["set", "parameters"], [[f"`{name}`", words] for name, words in result["sets"].items()])


def settings(result: Result) -> str:
    """Each pair's sides in words, once."""
    once = {row["title"]: [row["title"], row["ours"]["settings"], row["theirs"]["settings"]] for row in result["pairs"]}
    return table(["pair", "ours", "theirs"], list(once.values()))


def growth(result: Result) -> str:
    """Both curves as one table."""
    rows = [row for curve in ("by_parameters", "by_number") for row in report.growth_rows(result, curve)]
    return table(report.GROWTH_HEAD, rows)


def skipped(result: Result) -> str:
    """What could not take part."""
    if not result["skipped"]:
        return ""
    return "Left out of this run:\n\n" + table(["pair", "why"], [[s["pair"], s["reason"]] for s in result["skipped"]])


def text(result: Result) -> str:
    """The page."""
    parts: dict[str, Any] = {
        "machine": machine(result),
        "sets": sets(result),
        "pairs": table(report.PAIR_HEAD, report.pair_rows(result)),
        "settings": settings(result),
        "compile": table(report.COMPILE_HEAD, report.compile_rows(result)),
        "compiled": table(report.COMPILED_HEAD, report.compiled_rows(result)),
        "floors": table(report.FLOOR_HEAD, report.floor_rows(result)),
        "xla": table(report.XLA_HEAD, report.xla_rows(result)),
        "growth": growth(result),
        "states": table(report.STATE_HEAD, report.state_rows(result)),
        "peak_bound": str(PEAK_BOUND),
        "peaks": table(report.PEAK_HEAD, report.peak_rows(result)),
        "dispatches": table(report.DISPATCH_HEAD, report.dispatch_rows(result)),
        "skipped": skipped(result),
    }
    page = TEMPLATE.read_text(encoding="utf-8")
    for name, part in parts.items():
        page = page.replace(f"{{{name}}}", part)
    return page
