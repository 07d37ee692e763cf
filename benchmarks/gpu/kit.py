"""The conformance kit on each library's GPU, computed in the arrays' dtypes."""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.gpu import devices
from deva_core import Rule
from deva_core.capabilities import Capabilities, Operations
from deva_core.parameter import stacks_of_out_in

ROOT = Path(__file__).parent.parent.parent


def torch_start(rule: Rule, params: Any, *, compiled: Any = None, replacements: bool = True, **options: Any) -> Any:
    """`deva_torch.start` on the GPU, computed in the arrays' dtypes."""
    from deva_torch import _start

    def on_device(x: np.ndarray, convert: Any = _start.to_torch) -> Any:
        return convert(x).to(devices.TORCH_DEVICE)

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


def torch_operations() -> Operations:
    """What `torch_start` computes with."""
    import torch

    from deva_torch._backend import backend
    from deva_torch._convert import to_numpy, to_torch

    return Operations(
        backend=backend(devices.TORCH_DEVICE, torch.float32),
        asarray=lambda x: to_torch(x).to(devices.TORCH_DEVICE),
        asnumpy=to_numpy,
    )


def jax_operations() -> Operations:
    """What `jax_start` computes with."""
    import jax

    from deva_jax import _start
    from deva_jax._backend import backend

    chosen = backend(jax.numpy.dtype("float32"), platform=jax.default_backend())
    return replace(_start.operations(), backend=chosen)


torch_start.capabilities = Capabilities(compiled=False)  # pyright: ignore[reportFunctionMemberAccess]
torch_start.operations = torch_operations  # pyright: ignore[reportFunctionMemberAccess]
jax_start.operations = jax_operations  # pyright: ignore[reportFunctionMemberAccess]
STARTS = {"torch": "benchmarks.gpu.kit:torch_start", "jax": "benchmarks.gpu.kit:jax_start", "cupy": "deva_cupy:start"}


def run_kit(start: str, profile: str, jobs: int = 2) -> dict[str, Any]:
    """The kit's verdict on a `start`, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "deva_conformance", start, "--profile", profile, "--report", folder]
        done = subprocess.run(
            [*command, "--jobs", str(jobs)], cwd=ROOT, env=environment(), capture_output=True, text=True
        )
        file = Path(folder) / "report.json"
        report = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    kept = {key: report.get(key) for key in ("conforms", "profile", "seed", "threshold", "counts", "executed")}
    broken = [line for line in done.stdout.splitlines() if line.startswith(("BROKEN", "COULD NOT RUN"))]
    return {"start": start, "exit_status": done.returncode, **kept, "broken": broken, "stderr": done.stderr[-2000:]}


def environment() -> dict[str, str]:
    """Of a kit's process: this repository, and no process that takes the whole memory of the GPU."""
    paths = [str(ROOT), *(str(ROOT / x) for x in ("backends", "conformance")), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def run_kits(libraries: list[str], profile: str, jobs: int) -> dict[str, dict[str, Any]]:
    """All of them at once: nothing is timed."""
    with ThreadPoolExecutor(len(libraries)) as pool:
        return dict(zip(libraries, pool.map(lambda x: run_kit(STARTS[x], profile, jobs), libraries), strict=True))
