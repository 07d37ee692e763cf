"""Elementwise CUDA sources, compiled by g++ and run on the CPU: the same text, one loop round where a GPU has threads.

It shows what the arithmetic of a kernel's text does. It shows nothing about launches, memory or a GPU's rounding (CuPy
compiles with `-ftz=true` and lets NVRTC fuse multiplications and additions; here neither happens).
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
SOURCES = HERE.parent.parent / "backends" / "deva_cupy" / "_sources.py"

C_TYPES = {"float32": "float", "float64": "double", "float16": "float16", "bfloat16": "bfloat16"}


def compiler() -> str | None:
    """g++, where it is installed."""
    return shutil.which("g++")


def sources() -> Any:
    """`deva_cupy._sources`, loaded as text from its file: importing the package needs CuPy."""
    spec = spec_from_file_location("deva_cupy_sources", SOURCES)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parameters(text: str) -> list[tuple[str, str]]:
    """`"T x, float32 p"` as [("T", "x"), ("float32", "p")]."""
    return [tuple(part.split()) for part in text.split(",")]


def program(inputs: str, outputs: str, operation: str, types: tuple[tuple[str, str], ...]) -> str:
    """The C++ program of a kernel; `types` gives a dtype to each placeholder."""
    named = dict(types)
    lines = []
    for k, (kind, name) in enumerate([*parameters(inputs), *parameters(outputs)]):
        const = "const " if k < len(parameters(inputs)) else ""
        ctype = C_TYPES[named.get(kind, kind)]
        lines.append(f"    {const}{ctype} &{name} = static_cast<{const}{ctype} *>(a[{k}])[_i];")
    loop = "  for (std::ptrdiff_t _i = 0; _i < n; ++_i) {\n" + "\n".join(lines) + f"\n    {operation}\n  }}\n"
    return '#include "shim.h"\nextern "C" void run(std::ptrdiff_t n, void **a) {\n' + loop + "}\n"


@lru_cache
def library(code: str) -> ctypes.CDLL:
    """A program, compiled; kept under the temporary directory by its hash."""
    key = hashlib.sha256((code + (HERE / "shim.h").read_text()).encode()).hexdigest()[:24]
    folder = Path(tempfile.gettempdir()) / f"deva-cuda-shim-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    built = folder / f"{key}.so"
    if not built.exists():
        partial = folder / f"{key}.{os.getpid()}.so"
        command = [compiler(), "-x", "c++", "-", "-shared", "-fPIC", "-O1", "-ffp-contract=off", f"-I{HERE}"]
        done = subprocess.run([*command, "-o", partial], input=code, text=True, capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        os.replace(partial, built)
    return ctypes.CDLL(str(built))


def run(inputs: str, outputs: str, operation: str, arguments: list[Any]) -> np.ndarray:
    """Run a kernel with one output over NumPy arrays and numbers, broadcast against each other, as CuPy would.

    Raises:
        TypeError: arrays of different dtypes where the kernel has one.
    """
    types: dict[str, np.dtype] = {}
    for (kind, name), value in zip(parameters(inputs), arguments, strict=True):
        if isinstance(value, np.ndarray) and types.setdefault(kind, value.dtype) != value.dtype:
            raise TypeError(f"Type is mismatched. {name} {value.dtype} {types[kind]} {kind}")
        if kind in C_TYPES and types.get(kind, np.dtype(kind)) != np.dtype(kind):
            raise TypeError(f"Type is mismatched. {name} {types[kind]} {kind}")
    dtypes = [types.get(kind) or np.dtype(kind) for kind, _ in [*parameters(inputs), *parameters(outputs)]]
    shape = np.broadcast_shapes(*(np.shape(value) for value in arguments))
    *arrays, out = [np.empty(shape, dtype) for dtype in dtypes]
    for array, value in zip(arrays, arguments, strict=True):
        array[...] = value
    names = tuple(sorted((kind, dtype.name) for kind, dtype in types.items() if kind not in C_TYPES))
    pointers = (ctypes.c_void_p * (len(arrays) + 1))(*(array.ctypes.data for array in (*arrays, out)))
    library(program(inputs, outputs, operation, names)).run(ctypes.c_ssize_t(out.size), pointers)
    return out
