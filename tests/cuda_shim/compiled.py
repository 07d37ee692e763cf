"""Kernels compiled for GPUs that need not be there: by NVRTC through CuPy, in CuPy's own wrapping, or by nvcc in a plain one.

CuPy has no public way to generate or compile a kernel without a device, so private names are used: pinned by the
skip in `nvrtc_missing`, not by luck.
"""

import io
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.cuda_shim import C_TYPES, parameters

ARCHITECTURES = (80, 90)
CUPY = "14.2."
"""The CuPy whose private names are used."""

ARRAY, INDEXER, SCALAR = 1, 2, 3
"""CuPy's `_ArgKind`."""

CUDA_TYPES = C_TYPES | {"float16": "__half", "bfloat16": "__nv_bfloat16"}


@dataclass(frozen=True)
class Compiled:
    """What ptxas says of a kernel."""

    cubin: bytes
    registers: int
    spilled: int
    shared: int


def read_ptxas(log: str) -> list[tuple[int, int, int]]:
    """(registers, spilled bytes, shared bytes) of each kernel in ptxas's verbose log."""
    spills = [sum(map(int, pair)) for pair in re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", log)]
    used = re.findall(r"Used (\d+) registers.*", log)
    shared = [
        int(found.group(1)) if (found := re.search(r"(\d+) bytes smem", line)) else 0
        for line in log.splitlines()
        if "Used " in line
    ]
    return list(zip(map(int, used), spills, shared, strict=True))


def nvrtc_missing() -> str | None:
    """Why NVRTC cannot be used through CuPy; None where it can."""
    try:
        import cupy
        from cupy.cuda import nvrtc

        nvrtc.getVersion()
    except ImportError as error:
        return f"no CuPy here: {error}"
    except Exception as error:  # CuPy's own, where the library is absent
        return f"CuPy finds no NVRTC: {type(error).__name__}"
    return (
        None if cupy.__version__.startswith(CUPY) else f"CuPy {cupy.__version__}: private names are known for {CUPY}x"
    )


def cupy_source(source: Any, dtype: np.dtype, ndim: int, contiguous: bool) -> str:
    """The program that CuPy hands to NVRTC for a kernel on arrays of a dtype and layout."""
    import cupy
    from cupy._core import _kernel, _scalar
    from cupy._core._carray import Indexer
    from cupy._core.core import _cupy_header_list

    kernel = cupy.ElementwiseKernel(source.inputs, source.outputs, source.operation, source.name)
    array = _kernel._ArgInfo(ARRAY, cupy.ndarray, dtype, ndim, contiguous, True)
    arguments = [
        array if p.dtype is None else _kernel._ArgInfo(SCALAR, _scalar.CScalar, np.dtype(p.dtype), 0, True, True)
        for p in (*kernel.in_params, *kernel.out_params)
    ]
    indexer = _kernel._ArgInfo(INDEXER, Indexer, None, ndim, True, True)
    code = _kernel._get_elementwise_kernel_code(
        (*arguments, indexer),
        _kernel._TypeMap((("T", dtype),)),
        kernel.params,
        kernel.operation,
        kernel.name,
        kernel.preamble,
    )
    return "".join(f"#include <{header}>\n" for header in _cupy_header_list) + code


def by_nvrtc(code: str, architecture: int) -> Compiled:
    """One kernel compiled by NVRTC with the options that CuPy uses."""
    from cupy._core.core import assemble_cupy_compiler_options
    from cupy.cuda.compiler import _NVRTCProgram

    options = (
        *assemble_cupy_compiler_options(()),
        "-ftz=true",
        "--device-as-default-execution-space",
        f"-arch=sm_{architecture}",
        "--ptxas-options=-v",
    )
    log = io.StringIO()
    cubin, _ = _NVRTCProgram(code, "kernel.cu", method="cubin").compile(options, log)
    ((registers, spilled, shared),) = read_ptxas(log.getvalue())
    return Compiled(cubin, registers, spilled, shared)


def plain_source(sources: Any) -> str:
    """Every kernel for every dtype in one CUDA file: the text in a plain grid-stride loop over contiguous arrays."""
    kernels = []
    for source in sources:
        inputs, outputs = parameters(source.inputs), parameters(source.outputs)
        for dtype in source.dtypes:
            arguments, lines = [], [f"typedef {CUDA_TYPES[dtype]} T;"]
            for kind, name in (*inputs, *outputs):
                const = "const " if (kind, name) in inputs else ""
                if kind == "T":
                    arguments.append(f"{const}{CUDA_TYPES[dtype]} *_{name}")
                    lines.append(f"{const}T &{name} = _{name}[_i];")
                else:
                    arguments.append(f"{const}{CUDA_TYPES[kind]} {name}")
            loop = "for (size_t _i = blockIdx.x * blockDim.x + threadIdx.x; _i < n; _i += blockDim.x * gridDim.x)"
            body = " ".join([*lines, source.operation])
            header = f'extern "C" __global__ void {source.name}_{dtype}({", ".join(arguments)}, size_t n)'
            kernels.append(f"{header} {{ {loop} {{ {body} }} }}")
    return "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n" + "\n".join(kernels) + "\n"


def by_nvcc(code: str, architecture: int, folder: Path) -> tuple[bytes, list[tuple[int, int, int]]]:
    """A file's cubin, and what ptxas says of each of its kernels."""
    (folder / "kernels.cu").write_text(code, encoding="utf-8")
    options = ["-cubin", f"-arch=sm_{architecture}", "-ftz=true", "-Xptxas", "-v", "-o", "kernels.cubin"]
    command = [shutil.which("nvcc"), *options, "kernels.cu"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return (folder / "kernels.cubin").read_bytes(), read_ptxas(done.stderr)
