"""Running the board: an environment for each peer that needs one, and every entry judged in its own."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.scoreboard.probes import PROBES
from benchmarks.scoreboard.table import ENTRIES, Entry

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENTS = ROOT / "out" / "scoreboard"
PIP = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", "constraints.txt")


def python(entry: Entry) -> str:
    """The interpreter that has the peer; made when first asked for."""
    if not entry.environment:
        return sys.executable
    folder = ENVIRONMENTS / entry.environment
    executable = str(folder / "bin" / "python")
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([executable, *PIP, "-e", ".[conformance]", *entry.requirements], check=True, cwd=ROOT)
        (folder / "done").touch()
    return executable


def judged(entry: Entry, profile: str) -> dict[str, Any]:
    """What an entry's own process finds."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        command = [python(entry), "-m", "benchmarks.scoreboard.judge", entry.key, str(out), profile]
        subprocess.run(command, check=True, cwd=ROOT)
        return json.loads(out.read_text(encoding="utf-8"))


def probed(entry: Entry) -> list[str]:
    """What the probes of an entry print."""
    programs = [probe.program for probe in PROBES if probe.entry == entry.key]
    done = (subprocess.run([python(entry), "-c", p], cwd=ROOT, capture_output=True, text=True) for p in programs)
    return [run.stdout.strip() or run.stderr.strip().splitlines()[-1] for run in done]


def board(keys: list[str] | None, profile: str, say: Callable[[str], None]) -> dict[str, Any]:
    """All entries, or those of these keys. One that cannot be installed or run is *not run*, with the reason."""
    found = {}
    for entry in ENTRIES:
        if keys and entry.key not in keys:
            continue
        say(entry.key)
        try:
            found[entry.key] = {**judged(entry, profile), "probes": probed(entry)}
        except subprocess.CalledProcessError as error:
            words = " ".join(map(str, error.cmd[1:3]))
            found[entry.key] = {"key": entry.key, "not_run": f"python {words} ended with status {error.returncode}"}
    return {"profile": profile, "entries": found}
