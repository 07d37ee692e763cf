"""unyt: dimensionless quantities, a subclass of NumPy's arrays."""

import array_api_compat.numpy as xp
from unyt import unyt_array

from deva_conformance import NamespaceStart
from deva_core import Backend

start = NamespaceStart(Backend(xp=xp), lambda x: unyt_array(x, "dimensionless"))
