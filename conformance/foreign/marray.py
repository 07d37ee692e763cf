"""MArray over NumPy, with nothing masked."""

from marray import numpy as xp

from deva_conformance import NamespaceStart
from deva_core import Backend
from deva_core.capabilities import Capabilities

start = NamespaceStart(
    Backend(xp=xp),
    xp.asarray,
    lambda x: x.data,
    Capabilities(dtypes=("float64", "float32"), linalg=False, compiled=False),
)
