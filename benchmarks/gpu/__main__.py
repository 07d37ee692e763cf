"""`make gpu`: what wants a GPU, on torch-CUDA, JAX-CUDA and CuPy, wherever this machine has a device.

    python -m benchmarks.gpu [--part kit|checks|choices|timings …] [--profile quick|full] [--report out/gpu.json]

kit: the conformance kit on each library. checks: CUDA graphs, waits for the device and peak memory, of torch. choices: the
thresholds of the cost models, each tried. timings: a step of each rule on one parameter. Against the peers:
`python -m benchmarks.speed --device cuda`. docs/gpu.md from published results: `python -m benchmarks.gpu.page`.

Writes one JSON report with device, driver and versions. Without a device it says so, writes nothing and ends with
status 0; with one, status 1 if a law is broken. Timings are medians over steps; `enqueue_ms` is how long the call held
the host, `step_ms` until the device was done.
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import records
from benchmarks.gpu import checks, choices, devices, kit, timings

PARTS = ("kit", "checks", "choices", "timings")


def report(found: dict[str, str], reasons: dict[str, str], options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was run, and what was not; a part that fails is noted, and the others go on."""
    backends: dict[str, Any] = {library: {"not_run": reason} for library, reason in reasons.items()}
    backends |= {library: {"device": device} for library, device in found.items()}
    if "kit" in options.part:
        print(f"the kit on {', '.join(found)}, profile {options.profile} …", flush=True)
        for library, verdict in kit.run_kits(list(found), options.profile, options.jobs).items():
            backends[library]["kit"] = verdict
            print(f"{library}: {verdict['counts']}", flush=True)
    for part, library, measure in measurements(options.steps):
        if part in options.part and library in found:
            print(f"{part} on {library} …", flush=True)
            backends[library][part] = checks.attempted(measure)
    return {
        "program": "benchmarks/gpu",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "driver": devices.driver(),
        "versions": dict(devices.versions()),
        "backends": backends,
    }


def measurements(steps: int) -> list[tuple[str, str, Callable[[], Any]]]:
    """Part, library and what is measured."""
    timed = [("timings", x, lambda x=x: list(timings.timings(x, steps))) for x in timings.STEPPERS]
    looked = [("checks", "torch", checks.of_torch), ("checks", "cupy", timings.all_reads_back)]
    chosen = [("choices", library, tried) for library, tried in choices.TRIED.items()]
    return [*looked, *chosen, *timed]


def main(arguments: list[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="all without one")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--jobs", type=int, default=2, help="processes of each kit")
    parser.add_argument("--report", type=Path, default=kit.ROOT / "out" / "gpu.json")
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args(arguments)
    options.part = options.part or PARTS
    found, reasons = devices.found_devices()
    for library, reason in reasons.items():
        print(f"{library}: not run: {reason}")
    if not found:
        print(
            "NOTHING WAS RUN: no library here finds a GPU. No report is written; this is neither a pass nor a failure."
        )
        return 0
    result = report(found, reasons, options)
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(json.dumps(records.rounded(result), indent=1) + "\n", encoding="utf-8")
    print(f"written: {options.report}")
    kits = [result["backends"][library].get("kit", {}) for library in found]
    print("\n".join(line for verdict in kits for line in verdict.get("broken", ())))
    return 1 if any(verdict.get("exit_status") for verdict in kits) else 0


if __name__ == "__main__":
    sys.exit(main())
