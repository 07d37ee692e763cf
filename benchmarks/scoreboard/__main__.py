"""The command line.

python -m benchmarks.scoreboard [--entry torch/TorchMuon …] [--profile quick] [--publish]
python -m benchmarks.scoreboard page
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.scoreboard import page as pages
from benchmarks.scoreboard.run import ROOT, board

PUBLISHED = ROOT / "benchmarks" / "results" / "scoreboard.json"
PAGE = ROOT / "docs" / "scoreboard.md"
app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@app.callback(invoke_without_command=True)
def judge(
    context: typer.Context,
    entry: Annotated[
        list[str] | None, typer.Option(help="by key (benchmarks/scoreboard/table.py); all without")
    ] = None,
    profile: Annotated[str, typer.Option(help="of the kit: quick or full")] = "quick",
    out: Annotated[Path, typer.Option(help="the JSON")] = ROOT / "out" / "scoreboard.json",
    publish: Annotated[bool, typer.Option(help="write these entries into the published JSON, and its page")] = False,
) -> None:
    """Run the kit on shipped optimizers, each in an environment of its own."""
    if context.invoked_subcommand is not None:
        return
    found = board(entry, profile, typer.echo)
    if publish:
        before = json.loads(PUBLISHED.read_text(encoding="utf-8"))["entries"] if entry and PUBLISHED.exists() else {}
        found["entries"] = {**before, **found["entries"]}
    target = PUBLISHED if publish else out
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    typer.echo(f"written: {target}")
    if publish:
        page()
    else:
        typer.echo(pages.of(found))


@app.command()
def page() -> None:
    """Write docs/scoreboard.md from the published JSON."""
    PAGE.write_text(pages.of(json.loads(PUBLISHED.read_text(encoding="utf-8"))), encoding="utf-8")
    typer.echo(f"written: {PAGE}")


if __name__ == "__main__":
    app()
