"""The stand-in's modules: NumPy's functions on device arrays, under those of NumPy's names that CuPy 14.2 has too."""

from functools import wraps
from types import ModuleType
from typing import Any

import numpy as np

from tests.cuda_shim import run
from tests.fake_cupy._array import Device, computed, guard, lift, lower, matmul, ndarray

NAMES = (
    "False_ ScalarType True_ __array_namespace_info__ asmatrix block bmat busday_count busday_offset busdaycalendar"
    " bytes_ char character clongdouble complex256 core ctypeslib datetime64 datetime_as_string datetime_data dtypes"
    " einsum_path emath errstate f2py flexible float128 fromregex frompyfunc geomspace get_include getbufsize geterr"
    " geterrcall histogram_bin_edges info insert is_busday isnat little_endian longdouble ma matrix matvec memmap"
    " nanpercentile nanquantile ndenumerate nditer nested_iters object_ polyder polydiv polyint rec recarray record"
    " sctypeDict setbufsize seterr seterrcall show_runtime spacing str_ strings test timedelta64 typecodes unstack"
    " vecdot vecmat void"
)
MISSING = set(NAMES.split())
"""Names of NumPy's that CuPy 14.2 does not have."""

LINALG = ("cholesky", "det", "eigh", "eigvalsh", "inv", "lstsq", "norm", "pinv", "qr", "slogdet", "solve", "svd")
READS = ("nonzero", "argwhere", "flatnonzero", "unique", "array_equal", "allclose", "count_nonzero", "array_str")
"""Functions whose result needs a device value on the host."""


def lifted(function: Any, name: str) -> Any:
    """A NumPy function on device arrays."""
    give = computed if isinstance(function, np.ufunc) or name == "where" else lift

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if name in READS:
            guard.read(f"{name}()")
        result = function(*map(lower, args), **{key: lower(value) for key, value in kwargs.items()})
        return give(result)

    return call


def array(x: Any, dtype: Any = None, copy: bool = True, **options: Any) -> ndarray:
    """A device array from one on the host, a number or nested sequences of them; or from a device array."""
    source = x._host if isinstance(x, ndarray) else x
    return ndarray(np.array(source, dtype=dtype, copy=copy or None, **options))


def asarray(x: Any, dtype: Any = None, **options: Any) -> ndarray:
    """As `array`; a device array that fits is returned as it is."""
    fits = isinstance(x, ndarray) and np.asarray(x._host, dtype, **options) is x._host
    return x if fits else array(x, dtype, **options)


def asnumpy(x: ndarray) -> np.ndarray:
    """A device array's values on the host."""
    return x.get()


def in_columns(X: np.ndarray) -> ndarray:
    """Matrices on the device that lie there in column order."""
    return ndarray(np.swapaxes(np.swapaxes(X, -2, -1).copy(), -2, -1))


def qr(a: ndarray, mode: str = "reduced") -> tuple[ndarray, ndarray]:
    """Q as cuSOLVER leaves it, in columns; R in rows."""
    Q, R = np.linalg.qr(lower(a), mode)
    return in_columns(Q), ndarray(R)


def eigh(a: ndarray, UPLO: str = "L") -> tuple[ndarray, ndarray]:
    """Eigenvalues, and eigenvectors as cuSOLVER leaves them, in columns."""
    values, vectors = np.linalg.eigh(lower(a), UPLO)
    return ndarray(values), in_columns(vectors)


class ElementwiseKernel:
    """The text of a kernel, compiled by g++ and run on the CPU (tests/cuda_shim)."""

    def __init__(self, in_params: str, out_params: str, operation: str, name: str = "kernel") -> None:
        self.source, self.name = (in_params, out_params, operation), name

    def __call__(self, *args: Any) -> ndarray:
        return ndarray(run(*self.source, [lower(x) for x in args]))


def filled(name: str, source: Any, leave_out: set[str] = frozenset()) -> ModuleType:
    """A module with the functions of another, lifted, and its types and constants as they are."""
    module = ModuleType(name)
    for key in set(source) - leave_out:
        value = getattr(np.linalg if name.endswith("linalg") else np, key)
        plain = isinstance(value, type | ModuleType) or not callable(value)
        setattr(module, key, value if plain else lifted(value, key))
    return module


def modules(version: str, capability: str) -> dict[str, ModuleType]:
    """Everything that `array_api_compat.cupy` and `deva_cupy` import, by name."""
    cupy = filled("cupy", np.__all__, MISSING)
    cuda, device, fft = ModuleType("cupy.cuda"), ModuleType("cupy.cuda.device"), ModuleType("cupy.fft")
    Device.capability = capability
    cuda.Device = device.Device = Device
    cuda.device = device
    linalg = filled("cupy.linalg", LINALG)
    vars(linalg).update(qr=qr, eigh=eigh)
    own = {f.__name__: f for f in (array, asarray, asnumpy, matmul, ndarray, ElementwiseKernel)}
    more = {"generic": np.generic, "cuda": cuda, "linalg": linalg, "fft": fft, "is_available": lambda: True}
    vars(cupy).update(own, **more, __version__=version, __path__=[])
    return {"cupy": cupy, "cupy.linalg": linalg, "cupy.fft": fft, "cupy.cuda": cuda, "cupy.cuda.device": device}
