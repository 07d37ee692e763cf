"""Dask's arrays over NumPy, in one chunk each, computed after every step, as its users do."""

import array_api_compat.dask.array as xp
import dask

from deva_conformance import NamespaceStart
from deva_core import Backend
from deva_core.capabilities import Capabilities

dask.config.set(scheduler="synchronous")  # threads for such matrices only cost time

start = NamespaceStart(
    Backend(xp=xp),
    xp.asarray,
    lambda x: x.compute(),
    Capabilities(dtypes=("float64", "float32"), linalg=False, compiled=False),
    lambda arrays: dask.persist(*arrays),
)
