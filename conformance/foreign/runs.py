"""Running a library in its own environment: installing, the kit, the findings. Everything comes back as plain data."""

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from foreign.libraries import ALL, Finding, Library, Run

ROOT = Path(__file__).parent.parent.parent
PROJECT = ("-c", "constraints.txt", "-e", ".[conformance]")
PATIENCE = ("--time-limit", "600")
"""Seconds for a law: a library that compiles, on a busy machine, is slow and not wrong."""
TOLD = "from importlib.metadata import version as v; import sys; print(*(v(name) for name in sys.argv[1:]))"
WITH = ("numpy", "array-api-compat", "hypothesis")
"""Packages whose versions matter beside the library's own."""


class Environment:
    """A library's interpreter, made when first asked for, and whenever its packages change.

    Raises:
        subprocess.CalledProcessError: its packages cannot be installed here.
    """

    def __init__(self, library: Library, home: Path) -> None:
        self.library, self.home = library, home
        self.python = home / "bin" / "python"
        wanted, done = " ".join((*PROJECT, *library.packages)), home / ".done"
        if done.exists() and done.read_text() == wanted:
            return
        if not self.python.exists():
            venv.create(home, with_pip=True)
        self.call("-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted.split(), check=True)
        done.write_text(wanted)

    def call(self, *arguments: str, check: bool = False) -> subprocess.CompletedProcess:
        """Run its Python in the project's root, with the adapters to be imported."""
        own = {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": str(ROOT / "conformance"),
        }
        environment = {**os.environ, **own, **self.library.environment}
        command = [self.python, *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=check)

    def versions(self) -> dict[str, str]:
        """Of Python, the library's packages, and what takes part beside them."""
        names = [package.partition("==")[0].partition("[")[0] for package in self.library.packages]
        names += [name for name in WITH if name not in names]
        found = self.call("-c", TOLD, *names, check=True).stdout.split()
        return {"python": ".".join(map(str, sys.version_info[:3])), **dict(zip(names, found, strict=True))}


def of_rule(results: list[dict[str, Any]]) -> dict[str, Any]:
    """One rule's results in a few figures."""
    broken = [r["law"] for r in results if r["status"] in ("fail", "error")]
    held = [r for r in results if r["status"] == "pass"]
    return {
        "kept": len(held),
        "broken": broken,
        "not_supported": sum(r["status"] == "not_supported" for r in results),
        "not_run": sum(r["status"] == "not_run" for r in results),
        "worst": max((r["ratio"] for r in held), default=0.0),
    }


def causes(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The distinct causes, the most frequent first: which laws name them, and an id that shows one again."""
    found: dict[str, list[dict[str, Any]]] = {}
    for r in results:
        if r["status"] in ("fail", "error"):
            found.setdefault(r["cause"], []).append(r)
    return [
        {"cause": cause, "laws": [f"{r['law']}/{r['rule']}" for r in rs], "reproduce": rs[0]["reproduce"]}
        for cause, rs in sorted(found.items(), key=lambda item: -len(item[1]))
    ]


def verdict(run: Run, environment: Environment) -> dict[str, Any]:
    """What the kit says of a backend."""
    named = ["--namespace", run.backend.removesuffix("(namespace)")] if "(" in run.backend else [run.backend]
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = environment.call(
            "-m", "deva_conformance", *named, "--profile", run.profile, *PATIENCE, "--report", folder
        )
        file = Path(folder) / "report.json"
        if not file.exists():
            return {"backend": run.backend, "could_not_run": (done.stdout + done.stderr)[-2000:]}
        report = json.loads(file.read_text(encoding="utf-8"))
    results = report["results"]
    return {
        "backend": run.backend,
        "profile": run.profile,
        "seconds": round(time.perf_counter() - begun),
        "rules": {rule: of_rule([r for r in results if r["rule"] == rule]) for rule in ALL},
        "causes": causes(results),
        "precision": report["precision"],
    }


def conforming(result: dict[str, Any]) -> tuple[str, ...]:
    """The rules that kept every law, and kept some. An unfinished rule does not conform."""
    rules = result.get("rules", {})
    return tuple(name for name, r in rules.items() if r["kept"] and not r["broken"] and not r["not_run"])


def surprises(run: Run, result: dict[str, Any]) -> list[str]:
    """Where a verdict is not the expected one."""
    if "could_not_run" in result:
        return [f"{run.backend} could not be run: {result['could_not_run']}"]
    found = []
    if conforming(result) != run.conforms:
        words = [", ".join(rules) or "no rule" for rules in (run.conforms, conforming(result))]
        found.append(f"{run.backend}: expected to conform: {words[0]}; conform: {words[1]}")
    broken = {law for r in result["rules"].values() for law in r["broken"]}
    found += [f"{run.backend}: expected to break {law}, which holds" for law in run.breaks if law not in broken]
    return found


def shown(finding: Finding, environment: Environment) -> dict[str, str]:
    """A finding, with the last line that its code prints."""
    done = environment.call("-c", finding.code)
    lines = (done.stdout + done.stderr).strip().splitlines() or [""]
    return {"about": finding.about, "code": finding.code, "prints": lines[-1]}
