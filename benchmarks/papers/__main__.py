"""The command line.

    python -m benchmarks.papers run [trace language adago handover] [--short] [--out FOLDER]
    python -m benchmarks.papers form --width 64 --layers 2 --steps 400     # another size of the language experiment
    python -m benchmarks.papers page

Results are in benchmarks/results/papers; what a file there holds is not run again. The short form goes to out/papers; it, and
what any other folder holds, is shown beside the published verdicts, and the exit code is 1 where one differs.
"""

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.papers.journal import Journal, read

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "papers"
FORMS = RESULTS / "forms"
EXPERIMENTS = ("trace", "language", "adago", "handover")
app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


def forms() -> list[dict[str, Any]]:
    """The other sizes that were tried, by cost."""
    return sorted(map(read, FORMS.glob("*.json")), key=lambda found: sum(run["seconds"] for run in found["runs"]))


@app.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(help=f"of {', '.join(EXPERIMENTS)}; all without one")] = None,
    short: Annotated[bool, typer.Option(help="a smaller form, beside the published verdicts")] = False,
    out: Annotated[Path | None, typer.Option(help="a folder for the JSON")] = None,
) -> None:
    """Run experiments, or what is missing of them, and say what they show."""
    folder = out or (ROOT / "out" / "papers" if short else RESULTS)
    for name in names or EXPERIMENTS:
        if name not in EXPERIMENTS:
            raise typer.BadParameter(f"no experiment is named {name}: {', '.join(EXPERIMENTS)}")
    results = {name: measured(name, short, folder / f"{name}.json") for name in names or EXPERIMENTS}
    published = {} if folder.resolve() == RESULTS else {name: read(RESULTS / f"{name}.json") for name in results}
    if any([show(name, result, published.get(name)) for name, result in results.items()]):
        raise typer.Exit(1)


def measured(name: str, short: bool, path: Path) -> dict[str, Any]:
    """The result of one experiment, behind a progress bar."""
    module = importlib.import_module(f"benchmarks.papers.{name}")
    return done(name, module, module.SHORT if short else module.Task(), path)


def done(name: str, module: Any, task: Any, path: Path) -> dict[str, Any]:
    """The result of a task, as much of it as was missing run now."""
    journal = Journal(path, module.settings(task), module.PACKAGES)
    columns = TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        bar = progress.add_task(name, total=module.ticks(task))
        module.run(journal, task, lambda text: progress.update(bar, advance=1, description=text))
    return journal.result


def show(name: str, result: dict[str, Any], published: dict[str, Any] | None) -> list[str]:
    """The verdicts, beside the published ones where there are any; which claims differ."""
    from benchmarks.papers import page
    from benchmarks.papers.beside import HEAD, beside, differing

    rows = beside(name, result, published) if published else page.VERDICTS[name](result)
    view = Table(*(HEAD if published else page.VERDICT_HEAD), title=name)
    for row in rows:
        view.add_row(*row)
    Console().print(view)
    differ = differing(rows) if published else []
    if published:
        print(f"{name}: {', '.join(map(repr, differ)) + ' differ' if differ else 'the published verdicts'}")
    return differ


@app.command()
def form(width: int = 64, layers: int = 2, steps: int = 200) -> None:
    """Run DeVA and Muon at another size of the GPT, into the table of forms that were tried."""
    from benchmarks.papers import language

    task = language.form(width, layers, steps)
    found = done("language", language, task, FORMS / f"{width}x{layers}x{steps}.json")
    show("language", found, read(RESULTS / "language.json"))


@app.command()
def page() -> None:
    """Draw docs/assets/evidence and write docs/evidence.md from the results."""
    from benchmarks.papers import page, plots

    results = {name: read(RESULTS / f"{name}.json") for name in EXPERIMENTS}
    for path in plots.draw(results, ROOT / "docs" / "assets" / "evidence"):
        print(f"written: {path}")
    target = ROOT / "docs" / "evidence.md"
    target.write_text(page.text(results, forms()), encoding="utf-8")
    print(f"written: {target}")


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.papers")
