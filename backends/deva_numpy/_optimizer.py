"""The functional host on NumPy."""

from collections.abc import Mapping
from typing import Any

import array_api_compat.numpy as xp

from deva_core import Backend
from deva_core import Optimizer as CoreOptimizer
from deva_core.costs import Costs
from deva_numpy._replacements import REPLACEMENTS

BACKEND = Backend(xp=xp, replacements=REPLACEMENTS, costs=Costs(form="auto", stacked_rows=64))
PLAIN = Backend(xp=xp)
"""NumPy's backend without fast paths."""


class Optimizer(CoreOptimizer):
    """`deva_core.Optimizer` for NumPy arrays, with fast paths. It takes the same arguments and raises the same errors.

    Example:
        >>> import numpy as np
        >>> from deva_core import Muon
        >>> from deva_numpy import Optimizer
        >>> optimizer = Optimizer(Muon(lr=0.1))
        >>> params = {"weight": np.ones((4, 3))}
        >>> params, state = optimizer.step(params, {"weight": np.ones((4, 3))}, optimizer.init(params))
        >>> state.slots["weight"].step
        1
    """

    def backend_of(self, leaves: Mapping[str, Any]) -> Backend:
        """The `backend` argument, or NumPy's with its fast paths."""
        return self.backend or BACKEND
