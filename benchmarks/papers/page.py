"""docs/evidence.md: the words of page.md with the tables and verdicts of the results."""

from pathlib import Path
from typing import Any

from benchmarks.papers import report, trace_report
from benchmarks.papers.report import Result
from benchmarks.papers.trace_problem import SPECTRA
from benchmarks.records import day
from benchmarks.speed.page import table

TEMPLATE = Path(__file__).parent / "page.md"
VERDICT_HEAD = ["of", "claim", "measured", "seen here"]
VERDICTS = {
    "trace": trace_report.trace_verdicts,
    "language": report.language_verdicts,
    "adago": report.adago_verdicts,
    "handover": report.handover_verdicts,
}
RUNS_HEAD = ["experiment", "begun", "CPU", "versions", "runs", "minutes of one core"]


def verdicts(results: dict[str, Result]) -> str:
    """Every claim that was looked at."""
    rows = [row for name, found in VERDICTS.items() if name in results for row in found(results[name])]
    return table(VERDICT_HEAD, rows)


def begun(result: Result) -> tuple[str, str]:
    """When and on which CPU, and how many runs were added when and where."""
    parts = [result, *result.get("continued", [])]
    ends = [part["after"] for part in parts[1:]] + [len(result["runs"])]
    added = [f", {end - part['after']} runs {day(part['date'])}" for part, end in zip(parts[1:], ends[1:], strict=True)]
    return day(result["date"]) + "".join(added), ", ".join(dict.fromkeys(part["cpu"] for part in parts))


def runs(results: dict[str, Result]) -> str:
    """Where, when, with what, for how long."""
    rows = []
    for name, result in results.items():
        versions = ", ".join(f"{package} {v}" for package, v in result["versions"].items())
        count = str(len(result["runs"]))
        rows.append([f"`{name}`", *begun(result), versions, count, report.minutes(result)])
    return table(RUNS_HEAD, rows)


def settings(results: dict[str, Result], name: str) -> str:
    """Each method in words."""
    return table(["method", "what runs"], [list(row) for row in results[name]["settings"]["methods"].items()])


def facts(results: dict[str, Result]) -> dict[str, str]:
    """Single numbers that the words use."""
    found: dict[str, str] = {}
    for name, result in results.items():
        for key, value in result["settings"].items():
            if isinstance(value, int):
                found[f"{name}_{key}"] = f"{value:,}".replace(",", " ")
            if key == "seeds" and isinstance(value, list):
                found[f"{name}_seeds"] = str(len(value))
    return found


def parts(results: dict[str, Result], forms: list[Result]) -> dict[str, Any]:
    """By name in the template; `forms` are the GPT's other sizes."""
    trace, language, adago, handover = (results[name] for name in ("trace", "language", "adago", "handover"))
    return {
        **facts(results),
        "verdicts": verdicts(results),
        "runs": runs(results),
        **{kind: table(trace_report.TRACE_HEAD, trace_report.trace_rows(trace, kind)) for kind in SPECTRA},
        "bases": table(trace_report.bases_head(trace), trace_report.bases_rows(trace)),
        "sums": table(trace_report.SUMS_HEAD, trace_report.sums_rows(trace)),
        "trace_methods": settings(results, "trace"),
        "forms": table(report.FORMS_HEAD, report.forms_rows([*forms, language])),
        "search": table(report.SEARCH_HEAD, report.search_rows(language)),
        "language": table(report.LANGUAGE_HEAD, report.language_rows(language)),
        "language_methods": settings(results, "language"),
        "adago": table(report.ADAGO_HEAD, report.adago_rows(adago)),
        "gamma": table(report.GAMMA_HEAD, report.gamma_rows(adago)),
        "adago_methods": settings(results, "adago"),
        "handover": table(report.HANDOVER_HEAD, report.handover_rows(handover)),
    }


def text(results: dict[str, Result], forms: list[Result]) -> str:
    """The page."""
    page = TEMPLATE.read_text(encoding="utf-8")
    for name, part in parts(results, forms).items():
        page = page.replace(f"{{{name}}}", part)
    return page
