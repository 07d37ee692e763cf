"""`python -m foreign`: the kit on every library. Exit status 1 if a verdict or a finding is not the expected one."""

import json
import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer

from foreign.libraries import HERE, LIBRARIES, Library
from foreign.page import page
from foreign.runs import ROOT, Environment, conforming, shown, surprises, verdict

RESULTS, PAGE = HERE / "results.json", ROOT / "docs" / "foreign.md"

app = typer.Typer(add_completion=False)


def say(text: str) -> None:
    """A line of progress, at once."""
    print(text, flush=True)


def of_library(library: Library, home: Path) -> tuple[dict[str, Any], list[str]]:
    """The results of a library, and what was not expected of it."""
    say(f"{library.name}: installing {' '.join(library.packages)} …")
    environment = Environment(library, home / library.name)
    runs, surprising = [], []
    for run in library.runs:
        say(f"{library.name}: {run.backend}, profile {run.profile} …")
        runs.append(verdict(run, environment))
        say(f"{library.name}: {', '.join(conforming(runs[-1])) or 'no rule'} conform, {runs[-1].get('seconds', 0)} s")
        surprising += surprises(run, runs[-1])
    found = [shown(finding, environment) for finding in library.findings]
    surprising += [
        f"{library.name}: the finding {finding.about!r} prints {now['prints']!r}"
        for finding, now in zip(library.findings, found, strict=True)
        if finding.shows not in now["prints"]
    ]
    return {"versions": environment.versions(), "runs": runs, "findings": found}, surprising


def write(made: dict[str, Any]) -> None:
    """The results and the page; libraries that were not run stay as they are."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results = {library.name: (known | made)[library.name] for library in LIBRARIES if library.name in known | made}
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(results), encoding="utf-8")


@app.command()
def main(
    names: Annotated[list[str] | None, typer.Argument(help="Libraries; all by default.")] = None,
    home: Annotated[Path, typer.Option(help="Where their environments are kept.")] = ROOT / "out" / "foreign",
) -> None:
    """Run the kit on libraries that nobody here wrote, write results.json and docs/foreign.md."""
    unknown = set(names or ()) - {library.name for library in LIBRARIES}
    if unknown:
        raise typer.BadParameter(f"no such library: {', '.join(sorted(unknown))}")
    results: dict[str, Any] = {}
    surprising: list[str] = []
    for library in LIBRARIES:
        if names and library.name not in names:
            continue
        try:
            made, unexpected = of_library(library, home.absolute())
        except subprocess.CalledProcessError as error:  # not for this machine: what was known of it stays
            unexpected = [f"{library.name}: could not be installed: {error.stderr[-500:]}"]
        else:
            results |= {library.name: made} if all("rules" in run for run in made["runs"]) else {}
        surprising += unexpected
    write(results)
    say("\n".join(f"UNEXPECTED {line}" for line in surprising) or "every verdict is the expected one")
    raise typer.Exit(bool(surprising))


if __name__ == "__main__":
    app()
