"""docs/defaults.md: the words of page.md with the tables of the results."""

from pathlib import Path
from typing import Any

from benchmarks.defaults import published, tables, verdicts
from benchmarks.defaults.judged import BEFORE_WORD, REASONS
from benchmarks.defaults.runs import HORIZONS
from benchmarks.defaults.sides import RULES
from benchmarks.papers.page import runs
from benchmarks.speed.page import table

TEMPLATE = Path(__file__).parent / "page.md"
Result = dict[str, Any]


def searches(tuning: Result, defaults: dict[str, dict[str, float]]) -> dict[str, str]:
    """A table a rule, its chosen pair in bold."""
    head, found = tables.tuning_head(tuning), {}
    for name in RULES:
        lr = defaults[name]["matrices"]
        pair = lr, float(f"{defaults[name]['others'] / lr:.6g}")
        found[f"tuning_{name}"] = table(head, tables.tuning_rows(tuning, name, pair))
    return found


def counts(judged: Result, tuning: Result) -> dict[str, str]:
    """Single numbers and lists that the words use."""
    said = {"steps": judged["settings"]["steps"], "bound": verdicts.BOUND, "enough": verdicts.ENOUGH}
    seeds = {"seeds": judged["settings"]["seeds"], "tuning_seeds": tuning["settings"]["seeds"]}
    return {key: f"{x}" for key, x in said.items()} | {key: ", ".join(map(str, x)) for key, x in seeds.items()}


def tasks(result: Result) -> str:
    """In words."""
    return table(["task", "what"], [[f"`{name}`", words] for name, words in result["settings"]["tasks"].items()])


def parts(judged: Result, tuning: Result) -> dict[str, str]:
    """By name in the template."""
    defaults = judged["settings"]["defaults"]
    now = {h: table(tables.RATIO_HEAD, tables.ratio_rows(judged, h)) for h in HORIZONS}
    before = {f"before_{h}": table(tables.RATIO_HEAD, tables.ratio_rows(judged, h, BEFORE_WORD)) for h in HORIZONS}
    return {
        **counts(judged, tuning),
        **now,
        **before,
        **searches(tuning, defaults),
        "summary": table(tables.SUMMARY_HEAD, tables.summary_rows(judged)),
        "reasons": table(tables.RATIO_HEAD, tables.reason_rows(judged, "early", REASONS)),
        "judged_tasks": tasks(judged),
        "tuning_tasks": tasks(tuning),
        "published": table(published.HEAD, published.rows(defaults)),
        "runs": runs({"judged": judged, "tuning": tuning}),
    }


def text(judged: Result, tuning: Result) -> str:
    """The page."""
    page = TEMPLATE.read_text(encoding="utf-8")
    for name, part in parts(judged, tuning).items():
        page = page.replace(f"{{{name}}}", part)
    return page
