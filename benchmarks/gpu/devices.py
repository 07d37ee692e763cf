"""What is here: devices by library, driver, versions."""

import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

TORCH_DEVICE = "cuda"

PACKAGES = (
    "deva-optim",
    "numpy",
    "torch",
    "triton",
    "jax",
    "jaxlib",
    "optax",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "pytorch_optimizer",
    "array-api-compat",
    "ml-dtypes",
)


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
