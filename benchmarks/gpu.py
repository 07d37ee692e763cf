"""`make gpu`: the conformance kit and timings on torch-CUDA, JAX-CUDA and CuPy, wherever this machine has a device.

    python -m benchmarks.gpu [--profile quick|full] [--report out/gpu.json] [--steps 50]

Writes one JSON report with device, driver and versions. Without a device it says so, writes nothing and ends with
status 0; with one, status 1 if a law is broken. Timings are medians over steps; `enqueue_ms` is how long the call held
the host, `step_ms` until the device was done.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from deva_core import AdaGO, DeVA, Muon, Rule
from deva_core.capabilities import Capabilities
from deva_core.parameter import stacks_of_out_in

ROOT = Path(__file__).parent.parent
TORCH_DEVICE = "cuda"
PACKAGES = (
    "deva-optim",
    "numpy",
    "torch",
    "jax",
    "jaxlib",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "array-api-compat",
    "ml-dtypes",
)
SHAPES = ((1024, 1024), (1024, 4096), (64, 128, 512), (4, 1024, 1024))
RULES = (Muon(), AdaGO(), DeVA())
Stepper = tuple[Callable[[], None], Callable[[], Any]]
"""One step, and the wait for all that was enqueued."""


# --- what is here ---------------------------------------------------------------------------------------------------


def torch_device() -> str:
    """The name of torch's device."""
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError(f"torch {torch.__version__} finds no CUDA device")
    return torch.cuda.get_device_name(0)


def jax_device() -> str:
    """The name of JAX's device."""
    import jax

    if jax.default_backend() != "gpu":
        raise RuntimeError(f"jax {jax.__version__} computes on {jax.default_backend()}")
    return jax.devices()[0].device_kind


def cupy_device() -> str:
    """The name of CuPy's device."""
    import cupy  # pyright: ignore[reportMissingImports]

    if not cupy.is_available():
        raise RuntimeError(f"cupy {cupy.__version__} finds no CUDA device")
    return cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()


DEVICES = {"torch": torch_device, "jax": jax_device, "cupy": cupy_device}


def found_devices() -> tuple[dict[str, str], dict[str, str]]:
    """The devices by library, and why others have none."""
    devices, reasons = {}, {}
    for library, device in DEVICES.items():
        try:
            devices[library] = device()
        except ImportError:
            reasons[library] = "not installed"
        except Exception as error:  # whatever a library raises without a driver
            reasons[library] = f"{type(error).__name__}: {error}"
    return devices, reasons


def driver() -> str:
    """Each device with its driver, in the words of nvidia-smi."""
    if shutil.which("nvidia-smi") is None:
        return "unknown: no nvidia-smi"
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True).stdout.strip()


def versions() -> Iterator[tuple[str, str]]:
    """The versions of what takes part."""
    yield "python", platform.python_version()
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


# --- the kit --------------------------------------------------------------------------------------------------------


def torch_start(rule: Rule, params: Any, *, compiled: Any = None, replacements: bool = True, **options: Any) -> Any:
    """`deva_torch.start` on the GPU, computed in the arrays' dtypes."""
    from deva_torch import _start

    def on_device(x: np.ndarray, convert: Any = _start.to_torch) -> Any:
        return convert(x).to(TORCH_DEVICE)

    moving = partial(patch.object, _start, "to_torch", on_device)

    class Run(_start.Run):
        def step(self, grads: Any) -> None:
            with moving():
                super().step(grads)

    kind = _start._StackOptimizer if replacements else _start._PlainStackOptimizer
    with moving():
        return Run(partial(kind, compute_dtype="float32"), params, rule, **options)


def jax_start(rule: Rule, params: Any, *, compiled: Any = None, **options: Any) -> Any:
    """`deva_jax.start` on JAX's default device, computed in the arrays' dtypes."""
    from deva_jax import _start, transform

    optimizer = transform(rule, default_layout=stacks_of_out_in, compute_dtype="float32", **options)
    return _start.Run(optimizer, params, compiled=compiled is not False)


torch_start.capabilities = Capabilities(compiled=False)  # pyright: ignore[reportFunctionMemberAccess]
STARTS = {"torch": "benchmarks.gpu:torch_start", "jax": "benchmarks.gpu:jax_start", "cupy": "deva_cupy:start"}


def run_kit(start: str, profile: str) -> dict[str, Any]:
    """The kit's verdict on a `start`, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "deva_conformance", start, "--profile", profile, "--report", folder]
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, capture_output=True, text=True
        )
        file = Path(folder) / "report.json"
        report = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    kept = {key: report.get(key) for key in ("conforms", "profile", "seed", "threshold", "counts", "executed")}
    broken = [line for line in done.stdout.splitlines() if line.startswith(("BROKEN", "COULD NOT RUN"))]
    return {"start": start, "exit_status": done.returncode, **kept, "broken": broken, "stderr": done.stderr[-2000:]}


# --- timings --------------------------------------------------------------------------------------------------------


def torch_stepper(rule: Rule, W: np.ndarray, G: np.ndarray, compute_dtype: str, replacements: bool) -> Stepper:
    """A step of `deva_torch` on one parameter."""
    import torch

    from deva_torch import RuleOptimizer

    p = torch.nn.Parameter(torch.tensor(W, device=TORCH_DEVICE))
    p.grad = torch.tensor(G, device=TORCH_DEVICE)
    optimizer = RuleOptimizer([("w", p)], rule, layout="... out in", compute_dtype=compute_dtype)
    optimizer.replacements = replacements
    return optimizer.step, getattr(torch, TORCH_DEVICE).synchronize


def jax_stepper(rule: Rule, W: np.ndarray, G: np.ndarray, compute_dtype: str, replacements: bool) -> Stepper:
    """A compiled step of `deva_jax` on one parameter."""
    import jax
    import optax

    from deva_jax import transform

    optimizer = transform(rule, layout="... out in", compute_dtype=compute_dtype, replacements=replacements)
    live = {"params": {"w": jax.numpy.array(W)}}
    live["state"], grads = optimizer.init(live["params"]), {"w": jax.numpy.array(G)}

    @jax.jit
    def advanced(params: Any, state: Any) -> Any:
        updates, state = optimizer.update(grads, state, params)
        return {"params": optax.apply_updates(params, updates), "state": state}

    return lambda: live.update(advanced(**live)), lambda: jax.block_until_ready(live)


def cupy_stepper(rule: Rule, W: np.ndarray, G: np.ndarray, compute_dtype: str, replacements: bool) -> Stepper:
    """A step of `deva_cupy` on one parameter."""
    import cupy  # pyright: ignore[reportMissingImports]

    from deva_cupy import Optimizer

    optimizer = Optimizer(rule, None, "... out in", compute_dtype=compute_dtype, replacements=replacements)
    live: dict[str, Any] = {"params": {"w": cupy.asarray(W)}}
    live["state"], grads = optimizer.init(live["params"]), {"w": cupy.asarray(G)}

    def step() -> None:
        live["params"], live["state"] = optimizer.step(live["params"], grads, live["state"])

    return step, cupy.cuda.Device().synchronize


def reads_back(rule: Rule) -> str:
    """Whether CuPy itself notices a wait for the device in the second step of `deva_cupy`; it does not see cuSOLVER's."""
    import cupyx  # pyright: ignore[reportMissingImports]

    W = np.random.default_rng(0).normal(size=(64, 96)).astype(np.float32)
    step, wait = cupy_stepper(rule, W, W, "auto", True)
    step()
    wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CuPy may remove this check one day, and says so
        with cupyx.allow_synchronize(False):
            try:
                step()
            except cupyx.DeviceSynchronized as error:
                return f"yes: {error}"
    return "none seen"


STEPPERS = {"torch": torch_stepper, "jax": jax_stepper, "cupy": cupy_stepper}


def timed(stepper: Stepper, steps: int) -> dict[str, float]:
    """Medians over steps, after three that warm up (compilation, memory pools, DeVA's first bases)."""
    step, wait = stepper
    held, whole = [], []
    for k in range(steps + 3):
        wait()
        begun = time.perf_counter()
        step()
        enqueued = time.perf_counter()
        wait()
        if k >= 3:
            held.append(enqueued - begun)
            whole.append(time.perf_counter() - begun)
    return {"enqueue_ms": 1e3 * statistics.median(held), "step_ms": 1e3 * statistics.median(whole), "steps": steps}


def timings(library: str, steps: int, shapes: Any = SHAPES) -> Iterator[dict[str, Any]]:
    """Every rule and shape in float32, with float32 and automatic products, with and without replacements."""
    r = np.random.default_rng(0)
    for rule in RULES:
        for shape in shapes:
            W, G = (r.normal(size=shape).astype(np.float32) for _ in range(2))
            for compute_dtype in ("float32", "auto"):
                for replacements in (True, False):
                    case = {"rule": type(rule).__name__, "shape": shape, "compute_dtype": compute_dtype}
                    try:
                        figures = timed(STEPPERS[library](rule, W, G, compute_dtype, replacements), steps)
                    except Exception as error:  # one combination that fails must not hide the others
                        figures = {"error": f"{type(error).__name__}: {error}"}
                    yield {**case, "replacements": replacements, **figures}


# --- the program ----------------------------------------------------------------------------------------------------


def report(devices: dict[str, str], reasons: dict[str, str], profile: str, steps: int) -> dict[str, Any]:
    """Everything that was run, and what was not."""
    backends: dict[str, Any] = {library: {"not_run": reason} for library, reason in reasons.items()}
    for library, device in devices.items():
        print(f"{library} on {device}: the kit, profile {profile} …", flush=True)
        kit = run_kit(STARTS[library], profile)
        print(f"{library} on {device}: {kit['counts']}; timing …", flush=True)
        backends[library] = {"device": device, "kit": kit, "timing": list(timings(library, steps))}
        if library == "cupy":
            backends[library]["reads_back"] = {type(rule).__name__: reads_back(rule) for rule in RULES}
    return {
        "program": "benchmarks/gpu.py",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "driver": driver(),
        "versions": dict(versions()),
        "backends": backends,
    }


def main(arguments: list[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--report", type=Path, default=ROOT / "out" / "gpu.json")
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args(arguments)
    devices, reasons = found_devices()
    for library, reason in reasons.items():
        print(f"{library}: not run: {reason}")
    if not devices:
        print(
            "NOTHING WAS RUN: no library here finds a GPU. No report is written; this is neither a pass nor a failure."
        )
        return 0
    result = report(devices, reasons, options.profile, options.steps)
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written: {options.report}")
    broken = [library for library in devices if result["backends"][library]["kit"]["exit_status"]]
    print("\n".join(line for library in broken for line in result["backends"][library]["kit"]["broken"]))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
