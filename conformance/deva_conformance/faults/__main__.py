"""`python -m deva_conformance.faults`: the table, in Markdown. Exit status 1 if a fault lives or a legal variant dies."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deva_conformance.faults import FAULTS, LEGAL
from deva_conformance.faults.page import page
from deva_conformance.faults.table import Row, table

PROCESSES = 2

app = typer.Typer(add_completion=False)


def all_rows(console: Console, processes: int) -> tuple[list[Row], list[Row]]:
    """Faults and legal variants against every law, with live progress."""
    columns = TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(FAULTS) + len(LEGAL))

        def seen(row: Row) -> None:
            progress.update(task, advance=1, description=row.name)

        made = table([*FAULTS, *LEGAL], processes, seen)
    return [row for row in made if row.name in FAULTS], [row for row in made if row.name in LEGAL]


@app.command()
def main(
    write: Annotated[Path | None, typer.Option(help="Write the page here; to the terminal by default.")] = None,
    processes: Annotated[int, typer.Option(help="Processes.")] = PROCESSES,
) -> None:
    """Run every law on every fault and every legal variant."""
    console: Any = Console(stderr=True)
    rows, legal = all_rows(console, processes)
    text = page(rows, legal)
    if write:
        write.write_text(text, encoding="utf-8")
    else:
        print(text)
    living = [row.name for row in rows if row.fault.law not in row.killers]
    rejected = [row.name for row in legal if row.killers]
    console.print(f"{len(rows)} faults, living: {living or 'none'}; {len(legal)} legal, rejected: {rejected or 'none'}")
    raise typer.Exit(1 if living or rejected else 0)


if __name__ == "__main__":
    app()
