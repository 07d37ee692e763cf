"""Finished runs in a JSON file: an experiment that was interrupted goes on where it stopped."""

import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import records
from benchmarks.speed.machine import cpuinfo

SCHEMA = 1
Run = dict[str, Any]


class Journal:
    """The runs of one experiment.

    Args:
        path: the file; None keeps nothing.
        settings: what all runs share. A file with others is refused.
        packages: whose versions are noted.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any], packages: Iterable[str] = ()) -> None:
        self.path, settings = path, json.loads(json.dumps(settings))
        found = read(path) if path and path.exists() else new(settings, packages)
        if records.rounded(found["settings"]) != records.rounded(settings):  # a sum's last digits are the machine's
            raise ValueError(f"{path} holds runs with other settings: move it away to run anew")
        self.result: dict[str, Any] = found
        self.session = session(packages) if found["runs"] else None

    @property
    def runs(self) -> list[Run]:
        """In the order in which they finished."""
        return self.result["runs"]

    def run(self, key: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> Run:
        """The run of this key: as found, or measured and written down with its processor seconds."""
        for run in self.runs:
            if all(run[name] == value for name, value in key.items()):
                return run
        if self.session:  # runs of another day, and perhaps of another machine
            self.result.setdefault("continued", []).append({**self.session, "after": len(self.runs)})
            self.session = None
        begun = time.process_time()
        values = measure()
        self.runs.append(records.rounded({**key, **values, "seconds": time.process_time() - begun}))
        self.write()
        return self.runs[-1]

    def write(self) -> None:
        """All runs so far, or, if that fails, the file as it was."""
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part = self.path.with_suffix(".part")
            part.write_text(dumped(self.result), encoding="utf-8")
            os.replace(part, self.path)


def new(settings: dict[str, Any], packages: Iterable[str]) -> dict[str, Any]:
    """A result without runs."""
    return {"schema": SCHEMA, **session(packages), "settings": settings, "runs": []}


def session(packages: Iterable[str]) -> dict[str, Any]:
    """When, where and with what runs are made."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpuinfo("model name") or platform.machine(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def dumped(result: dict[str, Any]) -> str:
    """JSON with one line a run."""
    head = json.dumps({**result, "runs": []}, indent=1, ensure_ascii=False)
    lines = ",\n  ".join(json.dumps(run, ensure_ascii=False) for run in result["runs"])
    return head.replace('"runs": []', f'"runs": [\n  {lines}\n ]') + "\n"


def read(path: Path) -> dict[str, Any]:
    """What `write` wrote; a file of another schema is refused."""
    return records.read(path, SCHEMA)
