"""The command `python -m deva_conformance`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from typer.core import TyperGroup

from deva_conformance.check import chosen, judged
from deva_conformance.driver import NAMESPACE, CannotRun, installed, load
from deva_conformance.identity import decode
from deva_conformance.laws import law
from deva_conformance.plan import PROFILES
from deva_conformance.report import Report, Result, describe
from deva_conformance.runner import Watched, verdict
from deva_conformance.workers import Plan, check_all, in_order, tasks_for
from deva_core import RULES, Rule

COULD_NOT_RUN = 2
COLOURS = {
    "pass": "green",
    "fail": "red",
    "error": "red",
    "expected": "yellow",
    "not_supported": "dim",
    "not_run": "dim",
}


class Checked(TyperGroup):
    """Commands, of which `check` need not be named: what follows may be backends or options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """With `check` in front where no command is."""
        return super().parse_args(ctx, args if args and args[0] in self.commands else ["check", *args])


app = typer.Typer(add_completion=False, cls=Checked)


def named(backends: list[str], namespaces: list[str]) -> list[str]:
    """What to test: the named, or everything installed."""
    names = backends or ([] if namespaces else installed())
    if not names and not namespaces:
        raise CannotRun("no backend is installed; name one as module:callable, or --namespace MODULE")
    return list(dict.fromkeys((*names, *(module + NAMESPACE for module in namespaces))))


@dataclass(frozen=True)
class Asked:
    """What to run. `absent`: None where backends were named; else why an installed one was left out, as it turns out."""

    names: list[str]
    rules: list[type[Rule]]
    plan: Plan
    jobs: int | None
    absent: dict[str, str] | None


def run_all(console: Console, asked: Asked) -> Report:
    """Run every law, with live progress; an interrupt keeps what was found."""
    columns = TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    results: list[Result] = []
    known: dict[str, dict[str, str]] = {}
    interrupted = False
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def seen(result: Result) -> None:
            results.append(result)
            progress.update(task, advance=1, description=f"{result.backend} {result.rule} {result.law}")
            progress.update(task, total=sum(len(w.laws) for w in work if w.backend not in (asked.absent or {})))
            if result.broken:
                progress.console.print(f"[red]✗[/] {escape(result.law)} {escape(result.backend)} {result.rule}")

        work = tasks_for(asked.names, asked.rules)
        try:
            check_all(work, asked.plan, seen, asked.jobs, known, asked.absent)
        except KeyboardInterrupt:
            interrupted = True
    return collected(results, known, asked, interrupted)


def collected(results: list[Result], known: dict[str, dict[str, str]], asked: Asked, interrupted: bool) -> Report:
    """The report; a run in which every backend was left out is none."""
    if asked.absent and len(asked.absent) == len(asked.names):
        raise CannotRun("no backend: " + "; ".join(asked.absent.values()))
    made: list[Result] = []
    for name in asked.names:
        made += judged([r for r in in_order(results, asked.names) if r.backend == name], known.get(name, {}))
    return Report(tuple(made), asked.plan.profile, asked.plan.seed, interrupted=interrupted)


def reproduce(id: str, names: Sequence[str] = (), rules: Sequence[type[Rule]] = RULES) -> int:
    """Run one case again. An id comes from anybody: the backend in it is imported only if it is installed or named too."""
    try:
        identity = decode(id, rules)
    except ValueError as error:
        raise CannotRun(str(error)) from None
    if identity.backend not in (*installed(), *names):
        raise CannotRun(
            f"the id is of the backend {identity.backend!r}, which is not installed: name it too, to import it"
        )
    subject = load(identity.backend)
    watched = Watched(law(identity.law), subject)
    status, cause, _ = verdict(watched, lambda: watched(identity.case))
    rule = type(identity.case.rule).__name__
    if status in ("fail", "error"):
        print(f"BROKEN {identity.law} {identity.backend} {rule} {cause} [{describe(identity.case)}]")
        return 1
    print(f"{status} {identity.law} {identity.backend} {rule} [{describe(identity.case)}]")
    return 0


def grid(report: Report) -> Table:
    """Law by rule for each backend: the worst ratio or the status."""
    table = Table(title="worst error in units of the expected rounding error (0: exact)", title_justify="left")
    columns = list(dict.fromkeys((r.backend, r.rule) for r in report.results))
    table.add_column("law")
    for backend, rule in columns:
        table.add_column(f"{backend}\n{rule}", justify="right")
    found = {(r.law, r.backend, r.rule): r for r in report.results}
    for id in dict.fromkeys(r.law for r in report.results):
        table.add_row(id, *(shown(found.get((id, *column))) for column in columns))
    return table


def shown(result: Result | None) -> str:
    """A cell."""
    if result is None:
        return ""
    text = f"{result.ratio:.2g}" if result.status == "pass" else result.status.replace("_", " ")
    return f"[{COLOURS[result.status]}]{text}[/]"


def conclude(console: Console, report: Report, absent: dict[str, str]) -> None:
    """The grid, the counts, what was left out, and as the last lines every broken law."""
    for backend in dict.fromkeys(r.backend for r in report.results):
        console.print(grid(Report(tuple(r for r in report.results if r.backend == backend))))
    seconds = {b: sum(r.seconds for r in report.results if r.backend == b) for b in {r.backend for r in report.results}}
    counts = ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in report.counts().items())
    times = ", ".join(f"{backend} {s:.0f} s" for backend, s in sorted(seconds.items()))
    console.print(f"{report.executed} cases; {counts}; {times}")
    for precision in report.precisions:
        console.print(escape(precision.words), highlight=False, soft_wrap=True)
    for reason in absent.values():
        console.print(escape(f"left out: {reason}"), highlight=False, soft_wrap=True)
    if report.interrupted:
        print("INTERRUPTED: these results are incomplete")
    for result in report.broken:
        if result.identity:
            print(f"--reproduce {result.identity}")
    for result in report.broken:
        print(result.line)


@app.command("check", epilog="Test vectors for other languages: python -m deva_conformance vectors --help")
def main(
    backend: Annotated[list[str] | None, typer.Argument(help="Entry-point names, or module:callable.")] = None,
    namespace: Annotated[
        list[str] | None, typer.Option(help="An Array API namespace: module, or module@device.")
    ] = None,
    rules: Annotated[str | None, typer.Option(help="Comma-separated rules; all by default.")] = None,
    profile: Annotated[str, typer.Option(help="quick (a minute at most), full, or smoke.")] = "quick",
    seed: Annotated[int, typer.Option(help="Seed of the random cases.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Write report.json, .xml, .html and badge.svg here.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds for a check; 60, for full 600.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes; 2 by default.")] = None,
    reproduce_id: Annotated[str | None, typer.Option("--reproduce", help="Run one broken case again.")] = None,
) -> None:
    """Prove a backend right. Exit status 0: it conforms; 1: it does not; 2: it could not be run.

    Without a name: every backend that is installed. One whose framework or device is missing is left out, and said so.
    """
    console: Any = Console()
    try:
        if reproduce_id:
            own = named(backend or [], namespace or []) if backend or namespace else []
            raise typer.Exit(reproduce(reproduce_id, own))
        if profile not in PROFILES:
            raise CannotRun(f"no such profile: {profile}; there are {', '.join(PROFILES)}")
        seconds = time_limit or (600.0 if profile == "full" else 60.0)
        names, absent = named(backend or [], namespace or []), None if backend or namespace else {}
        asked = Asked(names, chosen(rules), Plan(profile, seed, seconds), jobs, absent)
        result = run_all(console, asked)
    except CannotRun as reason:
        print(f"COULD NOT RUN {reason}")
        raise typer.Exit(COULD_NOT_RUN) from None
    if report:
        result.write(report)
    conclude(console, result, absent or {})
    raise typer.Exit(result.exit_status)


@app.command()
def vectors(
    out: Annotated[Path, typer.Option(help="The folder to write them into.")],
    rules: Annotated[str | None, typer.Option(help="Comma-separated rules; all by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of the gradients.")] = 0,
) -> None:
    """Write test vectors, to check an implementation in any language: docs/vectors.md."""
    from deva_conformance.vectors import write

    try:
        index = write(out, chosen(rules), seed)
    except (CannotRun, ImportError, OSError) as reason:
        print(f"COULD NOT RUN {reason}")
        raise typer.Exit(COULD_NOT_RUN) from None
    print(f"{len(index['files'])} vectors in {out}")


if __name__ == "__main__":
    app()
