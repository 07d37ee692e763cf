"""The machine a run is on, and how many of its cores take part."""

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.speed import sides

ISA = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "avx512_fp16", "sve", "asimd")
"""The instruction sets that decide how fast bfloat16 and float32 products are."""
LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def use(device: str, threads: int) -> str | None:
    """Use a CPU with so many threads, or a GPU; what keeps this machine from it, or None."""
    if device == "cpu":
        return use_threads(threads)
    if device != "cuda":
        return 'there are "cpu" and "cuda"'
    import torch

    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no CUDA device"
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    sides.DEVICE = device
    return None


def use_threads(threads: int) -> None:
    """As many threads in every library, on as many cores; to be called before torch and JAX are imported."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ.update({name: str(threads) for name in LIBRARIES})
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own notes would tear the progress bar
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    threadpool_limits(threads, user_api="blas")
    set_torch_threads(threads)


def set_torch_threads(threads: int) -> None:
    """torch's own pool."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(threads)


def cpuinfo(key: str) -> str:
    """The first value of a key of /proc/cpuinfo; empty where there is none."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")


def load_average() -> list[float]:
    """Over one, five and fifteen minutes; empty where the system has none."""
    return [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else []


def machine(threads: int) -> dict[str, Any]:
    """CPU, cores, threads, instruction sets, system."""
    flags = set(cpuinfo("flags").split())
    return {
        "device": device_name(),
        "cpu": cpuinfo("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "instructions": [name for name in ISA if name in flags],
        "system": platform.platform(),
        "blas_of_numpy": blas(),
    }


def device_name() -> str:
    """The GPU's, or "cpu"."""
    if sides.DEVICE == "cpu":
        return sides.DEVICE
    import torch

    return torch.cuda.get_device_name()


def blas() -> str:
    """The name and version of NumPy's BLAS."""
    config: Any = np.show_config(mode="dicts")
    found = config["Build Dependencies"]["blas"]
    return f"{found['name']} {found['version']}"
