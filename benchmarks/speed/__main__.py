"""The command line.

    python -m benchmarks.speed [--set nano …] [--pair NAME …] [--part pairs …] [--rounds N] [--threads 2] [--out FILE]
    python -m benchmarks.speed plots [FILE]
    python -m benchmarks.speed page [FILE]

`--publish` writes benchmarks/results/speed.json and then plots and page from it.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

ROOT = Path(__file__).parent.parent.parent
PUBLISHED = ROOT / "benchmarks" / "results" / "speed.json"
app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@app.callback(invoke_without_command=True)
def measure(
    context: typer.Context,
    sets: Annotated[list[str] | None, typer.Option("--set", help="nano, many, tall, vector; all without one")] = None,
    pairs: Annotated[list[str] | None, typer.Option("--pair", help="by name (benchmarks/speed/pairs.py)")] = None,
    parts: Annotated[
        list[str] | None, typer.Option("--part", help="pairs, compiled, growth, memory, dispatches")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="counted rounds of a pair, more or less")] = 15,
    threads: Annotated[int, typer.Option(min=1, help="of every library")] = 2,
    device: Annotated[str, typer.Option(help='"cpu", or "cuda": pairs and dispatches')] = "cpu",
    whole: Annotated[bool, typer.Option(help="DeVA on whole sets, not on a block of each: minutes more")] = False,
    deva_authors: Annotated[Path | None, typer.Option(help="checkout of Tsedao/Decoupled-Variance-Adaptation")] = None,
    soap_authors: Annotated[Path | None, typer.Option(help="checkout of nikhilvyas/SOAP")] = None,
    out: Annotated[Path, typer.Option(help="the JSON")] = ROOT / "out" / "speed.json",
    publish: Annotated[bool, typer.Option(help="write the published JSON, its plots and its page")] = False,
) -> None:
    """Time our optimizers against the peers', alternating in one process; print tables, write JSON."""
    if context.invoked_subcommand is not None:
        return
    from benchmarks.speed import machine, peers, report, result
    from benchmarks.speed.run import PARTS, Plan

    if problem := machine.use(device, threads):
        raise typer.BadParameter(f"--device {device}: {problem}")
    given = {"deva-authors": deva_authors, "soap-authors": soap_authors}
    peers.CHECKOUTS.update({name: path for name, path in given.items() if path})
    everything = not (sets or pairs or parts or device != "cpu")
    if publish and not everything:
        raise typer.BadParameter(
            "what is published is a whole run on a CPU: leave --set, --pair, --part and --device out"
        )
    kept = tuple(parts or (PARTS if everything else ("pairs",)))
    plan = Plan(pairs=pairs, sets=sets, parts=kept, rounds=rounds, threads=threads, whole=whole)
    found = with_progress(plan)
    report.show(found)
    target = PUBLISHED if publish else out
    result.write(target, found)
    print(f"written: {target}")
    if publish:
        plots(target)
        page(target)


def with_progress(plan: Any) -> Any:
    """Run a plan behind a progress bar."""
    from benchmarks.speed.run import run

    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("speed", total=plan.ticks())

        def say(text: str) -> None:
            progress.update(task, description=text)
            if not console.is_terminal:
                print(f"{text} …", file=sys.stderr, flush=True)

        return run(plan, tick=lambda: progress.advance(task), say=say)


@app.command()
def plots(file: Annotated[Path, typer.Argument(help="of a run")] = PUBLISHED) -> None:
    """Draw docs/assets/performance from a result."""
    from benchmarks.speed import plots as drawing
    from benchmarks.speed.result import read

    for path in drawing.draw(read(file), ROOT / "docs" / "assets" / "performance"):
        print(f"written: {path}")


@app.command()
def page(file: Annotated[Path, typer.Argument(help="of a run")] = PUBLISHED) -> None:
    """Write docs/performance.md from a result."""
    from benchmarks.speed import page as writing
    from benchmarks.speed.result import read

    path = ROOT / "docs" / "performance.md"
    path.write_text(writing.text(read(file)), encoding="utf-8")
    print(f"written: {path}")


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.speed")
