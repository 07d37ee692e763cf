"""The stand-in's array: a NumPy array that behaves as one on a device."""

import operator
from contextlib import contextmanager
from typing import Any

import numpy as np


class Synchronised(RuntimeError):
    """A device value was read where nothing may wait for the device."""


class Guard:
    """Whether reads of device values raise; and how many there were."""

    def __init__(self) -> None:
        self.forbidden, self.reads = False, 0

    @contextmanager
    def on(self):
        """Every read of a device value raises."""
        before, self.forbidden = self.forbidden, True
        try:
            yield
        finally:
            self.forbidden = before

    def read(self, what: str) -> None:
        """A device value is about to be read."""
        self.reads += 1
        if self.forbidden:
            raise Synchronised(f"{what} waits for the device")


guard = Guard()


class Device:
    """The one device there is."""

    capability = "90"

    def __init__(self, device: Any = None) -> None:
        self.id = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception: Any) -> None:
        return None

    def synchronize(self) -> None:
        guard.read("synchronize()")

    @property
    def compute_capability(self) -> str:
        return self.capability


class ndarray:
    """A device array. Its `_host` is what a GPU's memory would hold."""

    __array_ufunc__ = None
    __hash__ = None

    def __init__(self, host: np.ndarray) -> None:
        self._host = host

    dtype = property(lambda self: self._host.dtype)
    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    T = property(lambda self: ndarray(self._host.T))
    device = property(lambda self: Device())

    def get(self) -> np.ndarray:
        guard.read("get()")
        return np.array(self._host)

    def item(self) -> Any:
        guard.read("item()")
        return self._host.item()

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def __bool__(self) -> bool:
        guard.read("bool()")
        return bool(self._host)

    def __float__(self) -> float:
        guard.read("float()")
        return float(self._host)

    def __int__(self) -> int:
        guard.read("int()")
        return int(self._host)

    def __index__(self) -> int:
        guard.read("index()")
        return operator.index(self._host)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self):
        return (ndarray(part) for part in self._host)

    def __getitem__(self, key: Any) -> "ndarray":
        return lift(self._host[index(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._host[index(key)] = lower(value)

    def astype(self, dtype: Any, copy: bool = True) -> "ndarray":
        return ndarray(self._host.astype(dtype, copy=copy))

    def reshape(self, *shape: Any) -> "ndarray":
        return ndarray(self._host.reshape(*shape))

    def copy(self) -> "ndarray":
        return ndarray(self._host.copy())

    def __matmul__(self, other: Any) -> "ndarray":
        return matmul(self, other)


def index(key: Any) -> Any:
    """An index on the host; a boolean mask makes CuPy count its chosen elements, which it reads back."""
    parts = key if isinstance(key, tuple) else (key,)
    for part in parts:
        if isinstance(part, ndarray) and part.dtype == np.bool_:
            guard.read("indexing by a mask")
    return tuple(lower(part) for part in parts) if isinstance(key, tuple) else lower(key)


def lower(x: Any) -> Any:
    """What NumPy computes with: arrays unwrapped, also inside of lists and tuples; host arrays are refused, as by CuPy."""
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    return type(x)(map(lower, x)) if type(x) in (list, tuple) else x


def lift(x: Any) -> Any:
    """NumPy's result as a device array: a scalar becomes a 0-d array, as reductions of CuPy are."""
    if isinstance(x, np.ndarray | np.generic):
        return ndarray(np.asarray(x))
    return tuple(map(lift, x)) if isinstance(x, tuple) else x


def computed(x: Any) -> Any:
    """An elementwise result as a device array: CuPy's lie in rows, NumPy's in the order of their operands."""
    return tuple(map(computed, x)) if isinstance(x, tuple) else ndarray(np.asarray(x, order="C"))


def matmul(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray:
    """CuPy 14.2's product: 16-bit factors accumulate in float32; stacks of bfloat16 raise (cupy/cupy#10317)."""
    A, B = lower(a), lower(b)
    if A.dtype.name == "bfloat16" and max(A.ndim, B.ndim) > 2:
        raise TypeError("CuPy 14.2 has no product of stacks of bfloat16")
    narrow = A.dtype.itemsize == 2
    product = np.matmul(A.astype(np.float32), B.astype(np.float32)).astype(A.dtype) if narrow else np.matmul(A, B)
    if out is None:
        return ndarray(product)
    out._host[...] = product
    return out


def _binary(function: Any, reflected: bool) -> Any:
    def method(self: ndarray, other: Any) -> ndarray:
        x, y = self._host, lower(other)
        return computed(function(y, x) if reflected else function(x, y))

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(ndarray, f"__{_name}__", _binary(getattr(operator, _name), False))
    setattr(ndarray, f"__r{_name}__", _binary(getattr(operator, _name), True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "and_", "or_", "xor"):
    setattr(ndarray, f"__{_name.strip('_')}__", _binary(getattr(operator, _name), False))
for _name in ("neg", "abs", "invert"):
    setattr(ndarray, f"__{_name}__", (lambda f: lambda self: computed(f(self._host)))(getattr(operator, _name)))
