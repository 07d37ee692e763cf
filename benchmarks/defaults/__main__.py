"""The command line.

    python -m benchmarks.defaults              # five tasks, five seeds, no hyperparameter given; the earlier defaults
    python -m benchmarks.defaults --short      # without the earlier defaults: the same verdicts
    python -m benchmarks.defaults --tune       # the grids that the defaults were chosen from, on two other tasks
    python -m benchmarks.defaults --publish    # what is missing of the published runs, and docs/defaults.md

Without --publish runs go to out/defaults, where what a file holds is not run again. The exit code is 1 where a rule wins
too few tasks.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.defaults import judged, page, tables, tune, verdicts
from benchmarks.defaults.runs import HORIZONS
from benchmarks.defaults.sides import RULES
from benchmarks.papers.__main__ import ROOT, done

RESULTS = ROOT / "benchmarks" / "results" / "defaults"
PAGE = ROOT / "docs" / "defaults.md"
app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@app.command()
def main(
    short: Annotated[bool, typer.Option(help="without the earlier defaults and the reasons")] = False,
    search: Annotated[bool, typer.Option("--tune", help="the grids on the tuning tasks")] = False,
    publish: Annotated[bool, typer.Option(help="into the published results, and write their page")] = False,
    out: Annotated[Path, typer.Option(help="a folder for the JSON")] = ROOT / "out" / "defaults",
) -> None:
    """Run the defaults beside torch's, or the search for them, and say what came out."""
    if publish:
        short, out = False, RESULTS
    found = searched(out) if search or publish else None
    if search and not publish:
        return
    result = compared(out, short)
    if publish:
        PAGE.write_text(page.text(result, found), encoding="utf-8")
        print(f"written: {PAGE}")
    if not all(verdicts.wins(result).values()):
        raise typer.Exit(1)


def compared(folder: Path, short: bool) -> dict[str, Any]:
    """Every rule beside AdamW, shown."""
    form, name = (judged.SHORT, "short") if short else (judged.Form(), "judged")
    result = done(name, judged, form, folder / f"{name}.json")
    for horizon in HORIZONS:
        show(horizon, tables.RATIO_HEAD, tables.ratio_rows(result, horizon))
    show("in short", tables.SUMMARY_HEAD, tables.summary_rows(result))
    return result


def searched(folder: Path) -> dict[str, Any]:
    """The grids, shown."""
    result = done("tuning", tune, tune.Search(), folder / "tuning.json")
    for name in RULES:
        show(f"{name}: mean log ratios to AdamW", tables.tuning_head(result), tables.tuning_rows(result, name))
    return result


def show(title: str, head: list[str], rows: list[list[str]]) -> None:
    """A table in the terminal."""
    view = Table(*head, title=title)
    for row in rows:
        view.add_row(*(cell.strip("*`") for cell in row))
    Console().print(view)


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.defaults")
