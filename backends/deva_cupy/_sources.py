"""The CUDA source of the elementwise kernels: text only, so that it can be compiled where CuPy cannot be imported."""

from typing import NamedTuple


class Source(NamedTuple):
    """The arguments of `cupy.ElementwiseKernel`, and the dtypes that `T` stands for."""

    inputs: str
    outputs: str
    operation: str
    name: str
    dtypes: tuple[str, ...]


COMBINE_FLOAT = Source(
    inputs="T x, T y, float32 p, float32 q",
    outputs="T z",
    operation="z = p * static_cast<float>(x) + q * static_cast<float>(y);",
    name="deva_combine_float",
    dtypes=("float32", "float16", "bfloat16"),
)
"""`p x + q y` in float32, rounded once to T."""

COMBINE_DOUBLE = Source(
    inputs="T x, T y, float64 p, float64 q",
    outputs="T z",
    operation="z = p * x + q * y;",
    name="deva_combine_double",
    dtypes=("float64",),
)
"""`p x + q y` in float64."""

FLIP_NEGATIVE = Source(
    inputs="T x, T d",
    outputs="T z",
    operation="z = d < 0 ? -x : x;",
    name="deva_flip_negative",
    dtypes=("float32", "float64"),
)
"""`x`, with its sign changed where `d` is negative."""

SOURCES = (COMBINE_FLOAT, COMBINE_DOUBLE, FLIP_NEGATIVE)
"""Every kernel that this backend adds to CuPy's own."""
