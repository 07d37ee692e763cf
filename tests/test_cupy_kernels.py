"""Simulated: the kernels' text, compiled by g++ and run on the CPU against NumPy. NO GPU CODE IS RUN here."""

import numpy as np
import pytest

from tests import cuda_shim

pytestmark = pytest.mark.skipif(cuda_shim.compiler() is None, reason="no g++ to compile the kernels' text with")
SOURCES = cuda_shim.sources()
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 3.0]


def dtype_of(name: str) -> np.dtype:
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else name)


def run(source, *arguments):
    return cuda_shim.run(source.inputs, source.outputs, source.operation, list(arguments))


def sample(dtype, *shape, seed=0):
    x = np.random.default_rng(seed).normal(size=(*shape, 64)).astype(dtype)
    x[..., : len(SPECIAL)] = np.asarray(SPECIAL).astype(dtype)
    return x


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", [*SOURCES.COMBINE_FLOAT.dtypes, *SOURCES.COMBINE_DOUBLE.dtypes])
def test_combine_is_a_weighted_sum_rounded_once(name):
    dtype, wide = dtype_of(name), np.float64 if name == "float64" else np.float32
    source = SOURCES.COMBINE_DOUBLE if name == "float64" else SOURCES.COMBINE_FLOAT
    x, y = sample(dtype, 3), sample(dtype, 3, seed=1)
    for p, q in ((0.95, 1 - 0.95), (3.4445, 1.0), (-4.775, 2.0315)):
        expected = (wide(p) * x.astype(wide) + wide(q) * y.astype(wide)).astype(dtype)
        found = run(source, x, y, p, q)
        assert found.dtype == dtype
        assert np.array_equal(found.astype(np.float64), expected.astype(np.float64), equal_nan=True)


def test_combine_takes_weights_that_are_arrays_without_axes():
    x, y = np.ones((2, 3), np.float32), np.full((2, 3), 2, np.float32)
    beta = np.asarray(0.25, np.float32)
    assert np.array_equal(run(SOURCES.COMBINE_FLOAT, x, y, beta, 1 - beta), np.full((2, 3), 1.75))


@pytest.mark.parametrize("name", SOURCES.FLIP_NEGATIVE.dtypes)
def test_flip_negative_is_multiplication_by_the_sign_that_core_takes(name):
    Q, d = sample(name, 4), sample(name, 1, seed=2)
    signs = np.where(d < 0, -np.ones_like(d), np.ones_like(d))
    assert np.array_equal(run(SOURCES.FLIP_NEGATIVE, Q, d), Q * signs, equal_nan=True)


def test_dtypes_do_not_mix():
    with pytest.raises(TypeError, match="mismatched"):
        run(SOURCES.COMBINE_FLOAT, np.ones(2, np.float32), np.ones(2, np.float64), 1.0, 1.0)


def test_a_mistake_in_a_kernel_is_reported():
    with pytest.raises(RuntimeError, match="undeclared"):
        cuda_shim.run("T x", "T z", "z = undeclared;", [np.ones(2)])
