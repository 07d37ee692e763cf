"""The functional host on NumPy."""

from typing import Any

import array_api_compat.numpy as xp

from deva_core import Backend, Rule
from deva_core import Optimizer as CoreOptimizer
from deva_core.costs import Costs
from deva_core.messages import answered
from deva_numpy._replacements import REPLACEMENTS

BACKEND = Backend(xp=xp, replacements=REPLACEMENTS, costs=Costs(form="auto", stacked_rows=64))
PLAIN = Backend(xp=xp)
"""Without fast paths."""


class Optimizer(CoreOptimizer):
    """`deva_core.Optimizer` for NumPy arrays.

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

    @answered("deva_numpy.Optimizer")
    def __init__(
        self,
        rule: Rule,
        vector_rule: Rule | None = None,
        layout: Any = None,
        backend: Backend = BACKEND,
        *,
        weight_decay_mask: Any = None,
    ) -> None:
        super().__init__(rule, vector_rule, layout, backend, weight_decay_mask=weight_decay_mask)
