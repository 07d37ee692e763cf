"""deva_numpy: the rules on NumPy arrays.

`Optimizer` is `deva_core.Optimizer` with NumPy's fast paths. `save` and `load` handle the portable checkpoint. `start` is the
entry point `deva.backends:numpy`.
"""

from deva_numpy._checkpoint import load as load
from deva_numpy._checkpoint import save as save
from deva_numpy._optimizer import Optimizer as Optimizer
from deva_numpy._start import start as start
