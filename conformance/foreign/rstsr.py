"""RSTSR (faer) by its namespace `rstsr_faer.api`, which takes lists."""

import numpy as np
from rstsr_faer import api as xp

from deva_conformance import NamespaceStart
from deva_core import Backend
from deva_core.capabilities import Capabilities


def array(x):
    """From NumPy's; `asarray` takes lists."""
    return xp.asarray(x.tolist(), dtype=getattr(xp, x.dtype.name))


start = NamespaceStart(
    Backend(xp=xp),
    array,
    lambda x: np.array(x.tolist(), dtype=str(x.dtype)),
    Capabilities(dtypes=("float64", "float32"), compiled=False),
)
