"""The command line.

python -m benchmarks.papers language [--short] [--out FILE]
"""

import importlib
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.papers.journal import Journal

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "papers"
EXPERIMENTS = ("trace", "language", "adago", "handover")
app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@app.command()
def run(
    names: Annotated[list[str], typer.Argument(help=f"of {', '.join(EXPERIMENTS)}")],
    short: Annotated[bool, typer.Option(help="a form of a minute or so")] = False,
    out: Annotated[Path | None, typer.Option(help="a folder for the JSON")] = None,
) -> None:
    """Run experiments, or what is missing of them."""
    for name in names:
        module = importlib.import_module(f"benchmarks.papers.{name}")
        task = module.SHORT if short else module.Task()
        folder = out or (ROOT / "out" / "papers" if short else RESULTS)
        journal = Journal(folder / f"{name}.json", module.settings(task), module.PACKAGES)
        columns = TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
            bar = progress.add_task(name, total=module.TICKS)
            module.run(journal, task, lambda text: progress.update(bar, advance=1, description=text))  # noqa: B023
        print(f"written: {journal.path}")


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.papers")
