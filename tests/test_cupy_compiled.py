"""Compiled: the kernels' text becomes cubins for sm_80 and sm_90. Nothing is run, on a GPU or anywhere."""

import shutil

import numpy as np
import pytest

from tests import cuda_shim
from tests.cuda_shim.compiled import ARCHITECTURES, by_nvcc, by_nvrtc, cupy_source, nvrtc_missing, plain_source

SOURCES = cuda_shim.sources().SOURCES
KERNELS = [(source, dtype) for source in SOURCES for dtype in source.dtypes]
REGISTERS = 32
"""65536 registers over 2048 threads: up to here they do not limit how many threads an SM of sm_80 or sm_90 holds."""


def numpy_dtype(name: str) -> np.dtype:
    if name != "bfloat16":
        return np.dtype(name)
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)


@pytest.fixture
def nvrtc():
    reason = nvrtc_missing()
    if reason:
        pytest.skip(f"not compiled by NVRTC: {reason}")


@pytest.fixture
def nvcc():
    if shutil.which("nvcc") is None:
        pytest.skip("not compiled by nvcc: there is none here")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("ndim", "contiguous"), [(1, True), (2, False), (4, False)])
@pytest.mark.parametrize(("source", "dtype"), KERNELS, ids=lambda part: getattr(part, "name", part))
def test_what_cupy_would_compile_compiles_without_spills(source, dtype, ndim, contiguous, architecture, nvrtc):
    """CuPy's own generated program, its headers and options; contiguous arrays become one axis, others keep theirs."""
    compiled = by_nvrtc(cupy_source(source, numpy_dtype(dtype), ndim, contiguous), architecture)
    assert compiled.cubin.startswith(b"\x7fELF") and source.name.encode() in compiled.cubin
    assert (compiled.spilled, compiled.shared) == (0, 0) and compiled.registers <= REGISTERS, compiled


def test_a_mistake_in_a_kernel_is_reported_by_nvrtc(nvrtc):
    from cupy.cuda.compiler import CompileException

    wrong = SOURCES[0]._replace(operation="z = p * undeclared;")
    with pytest.raises(CompileException, match="undeclared"):
        by_nvrtc(cupy_source(wrong, np.dtype("float32"), 1, True), 80)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_text_compiles_with_nvcc_without_spills(architecture, nvcc, tmp_path):
    """Each kernel for each dtype in a plain loop, which is not CuPy's."""
    cubin, found = by_nvcc(plain_source(SOURCES), architecture, tmp_path)
    assert cubin.startswith(b"\x7fELF") and len(found) == len(KERNELS)
    assert all(f"{source.name}_{dtype}".encode() in cubin for source, dtype in KERNELS)
    assert all(registers <= REGISTERS and (spilled, shared) == (0, 0) for registers, spilled, shared in found), found


def test_a_mistake_in_a_kernel_is_reported_by_nvcc(nvcc, tmp_path):
    with pytest.raises(RuntimeError, match="undeclared"):
        by_nvcc(plain_source([SOURCES[0]._replace(operation="z = p * undeclared;")]), 80, tmp_path)
