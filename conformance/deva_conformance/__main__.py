"""The command `python -m deva_conformance`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from deva_conformance.driver import CannotRun, Subject, from_namespace, installed, load
from deva_conformance.laws import LAWS
from deva_conformance.plan import PROFILES
from deva_conformance.report import Report, Result
from deva_conformance.runner import check_backend
from deva_core import RULES, Rule

COULD_NOT_RUN = 2
COLOURS = {"pass": "green", "fail": "red", "error": "red", "not_supported": "dim"}

app = typer.Typer(add_completion=False)


def subjects(backends: list[str], namespaces: list[str]) -> list[Subject]:
    """What to test: the named, or everything installed."""
    names = backends or ([] if namespaces else installed())
    if not names and not namespaces:
        raise CannotRun("no backend is installed; name one as module:callable, or --namespace MODULE")
    return [*map(load, names), *map(from_namespace, namespaces)]


def chosen(rules: str | None) -> list[type[Rule]]:
    """The rules of a comma-separated list."""
    known = {rule.__name__.lower(): rule for rule in RULES}
    names = [name.strip() for name in rules.split(",")] if rules else [rule.__name__ for rule in RULES]
    unknown = [name for name in names if name.lower() not in known]
    if unknown:
        raise CannotRun(f"no such rule: {', '.join(unknown)}; there are {', '.join(r.__name__ for r in RULES)}")
    return [known[name.lower()] for name in names]


def run_all(console: Console, tested: list[Subject], rules: list[type[Rule]], profile: str, seed: int) -> Report:
    """Run every law, with live progress; an interrupt keeps what was found."""
    total = len(tested) * sum(law.domain.applies(rule) for rule in rules for law in LAWS)
    columns = TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    results: list[Result] = []
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=total)

        def seen(result: Result) -> None:
            results.append(result)
            progress.update(task, advance=1, description=f"{result.backend} {result.rule} {result.law}")
            if result.broken:
                progress.console.print(f"[red]✗[/] {escape(result.law)} {escape(result.backend)} {result.rule}")

        try:
            for subject in tested:
                check_backend(subject, rules=rules, profile=profile, seed=seed, progress=seen)
        except KeyboardInterrupt:
            return Report(tuple(results), profile, seed, interrupted=True)
    return Report(tuple(results), profile, seed)


def grid(report: Report) -> Table:
    """Law by rule for each backend: the worst ratio or the status."""
    table = Table(title="worst error in units of the rounding error that is due (0: exact)", title_justify="left")
    columns = list(dict.fromkeys((r.backend, r.rule) for r in report.results))
    table.add_column("law")
    for backend, rule in columns:
        table.add_column(f"{backend}\n{rule}", justify="right")
    found = {(r.law, r.backend, r.rule): r for r in report.results}
    for law in dict.fromkeys(r.law for r in report.results):
        table.add_row(law, *(shown(found.get((law, *column))) for column in columns))
    return table


def shown(result: Result | None) -> str:
    """A cell."""
    if result is None:
        return ""
    text = f"{result.ratio:.2g}" if result.status == "pass" else result.status.replace("_", " ")
    return f"[{COLOURS[result.status]}]{text}[/]"


def conclude(console: Console, report: Report) -> None:
    """The grid, the counts, and as the last lines every broken law."""
    for backend in dict.fromkeys(r.backend for r in report.results):
        console.print(grid(Report(tuple(r for r in report.results if r.backend == backend))))
    seconds = {b: sum(r.seconds for r in report.results if r.backend == b) for b in {r.backend for r in report.results}}
    counts = ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in report.counts().items())
    times = ", ".join(f"{backend} {s:.0f} s" for backend, s in sorted(seconds.items()))
    console.print(f"{report.executed} cases; {counts}; {times}")
    if report.interrupted:
        print("INTERRUPTED what follows is not the whole verdict")
    for result in report.broken:
        print(result.line)


@app.command()
def main(
    backend: Annotated[list[str] | None, typer.Argument(help="Entry-point names, or module:callable.")] = None,
    namespace: Annotated[list[str] | None, typer.Option(help="An Array API namespace, by module.")] = None,
    rules: Annotated[str | None, typer.Option(help="Comma-separated rules; all by default.")] = None,
    profile: Annotated[str, typer.Option(help="quick (a minute at most), full, or smoke.")] = "quick",
    seed: Annotated[int, typer.Option(help="Of the drawn cases.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Write report.json and report.html here.")] = None,
) -> None:
    """Prove a backend right. Exit status 0: it conforms; 1: it does not; 2: it could not be run."""
    console: Any = Console()
    try:
        if profile not in PROFILES:
            raise CannotRun(f"no such profile: {profile}; there are {', '.join(PROFILES)}")
        result = run_all(console, subjects(backend or [], namespace or []), chosen(rules), profile, seed)
    except CannotRun as reason:
        print(f"COULD NOT RUN {reason}")
        raise typer.Exit(COULD_NOT_RUN) from None
    if report:
        result.write(report)
    conclude(console, result)
    raise typer.Exit(result.exit_status)


if __name__ == "__main__":
    app()
