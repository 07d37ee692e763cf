"""The entry point for conformance runs and portable state: NumPy arrays in and out, computed by torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from deva_core import Rule
from deva_core.capabilities import Capabilities, Operations
from deva_core.checkpoint import Rename
from deva_core.parameter import stacks_of_out_in
from deva_torch._backend import backend
from deva_torch._checkpoint import load, save
from deva_torch._convert import to_numpy, to_torch
from deva_torch._optimizer import RuleOptimizer


class _StackOptimizer(RuleOptimizer):
    default_layout = staticmethod(stacks_of_out_in)


class _PlainStackOptimizer(_StackOptimizer):
    replacements = False


class Run:
    """An optimizer with its parameters. It copies every array that it takes or returns."""

    def __init__(self, optimizer: type[RuleOptimizer], params: Mapping[str, np.ndarray], *args: Any, **kw: Any) -> None:
        self._params = {name: torch.nn.Parameter(to_torch(W)) for name, W in params.items()}
        self._optimizer = optimizer(list(self._params.items()), *args, **kw)
        self._optimizer.init_state()

    def step(self, grads: Mapping[str, np.ndarray | None]) -> None:
        """One step; a missing or None gradient leaves its parameter alone."""
        stray = next((name for name in grads if name not in self._params), None)
        if stray is not None:
            raise ValueError(f"a gradient is named {stray!r}, but no parameter is")
        for name, p in self._params.items():
            G = grads.get(name)
            p.grad = None if G is None else self._gradient(p, to_torch(G))
        self._optimizer.step()

    @staticmethod
    def _gradient(p: torch.nn.Parameter, G: torch.Tensor) -> torch.Tensor:
        """The gradient as it is, of another precision than its parameter if need be, where this torch allows that."""
        if not hasattr(p, "grad_dtype"):  # an older torch (2.6 is one) refuses such gradients
            return G.to(p.dtype)
        p.grad_dtype = None
        return G

    @property
    def params(self) -> dict[str, np.ndarray]:
        """The parameters, copied."""
        return {name: to_numpy(p) for name, p in self._params.items()}

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        """For each parameter its `step` and the fields of its rule's state, copied."""
        slots = {name: self._optimizer.state[p] for name, p in self._params.items()}
        return {
            name: {key: to_numpy(x) if isinstance(x, torch.Tensor) else x for key, x in slot.items()}
            for name, slot in slots.items()
        }

    def save(self, path: Any) -> None:
        """Write the state as a portable checkpoint."""
        save(path, self._optimizer)

    def load(self, path: Any, rename: Rename = None) -> None:
        """Continue from a portable checkpoint. On an error the run keeps its state."""
        load(path, self._optimizer, rename)


def start(
    rule: Rule,
    params: Mapping[str, np.ndarray],
    *,
    vector_rule: Rule | None = None,
    layout: Any = None,
    compiled: bool | None = None,
    replacements: bool = True,
) -> Run:
    """Start a run of a rule over named NumPy parameters, computed by torch on the CPU.

    Args:
        rule: the rule for matrices `(…, out, in)`; axes before the last two are batch axes.
        params: the initial parameters by name, float64, float32, bfloat16 or float16; they are copied and keep their dtype.
        vector_rule: the rule for everything else, as in `RuleOptimizer`.
        layout: as in `RuleOptimizer`.
        compiled: must be None or False, because this backend does not compile its step.
        replacements: False switches this backend's fast paths off.

    Raises:
        ValueError: `compiled` is True, or a parameter does not fit its layout.
        TypeError: `rule` or `vector_rule` is not a rule, or a parameter is not an array of real floats.

    Example:
        >>> import numpy as np
        >>> from deva_core import Muon
        >>> from deva_torch import start
        >>> run = start(Muon(), {"W": np.ones((2, 3), dtype=np.float32)})
        >>> run.step({"W": np.ones((2, 3), dtype=np.float32)})
        >>> run.params["W"].dtype
        dtype('float32')
    """
    if compiled:
        raise ValueError("compiled must be None or False: the torch backend does not compile its step")
    kind = _StackOptimizer if replacements else _PlainStackOptimizer
    return Run(kind, params, rule, vector_rule=vector_rule, layout=layout)


def operations() -> Operations:
    """The backend and conversions that runs use."""
    return Operations(backend=backend("cpu", None), asarray=to_torch, asnumpy=to_numpy)


start.capabilities = Capabilities(compiled=False)  # pyright: ignore[reportFunctionMemberAccess]
start.operations = operations  # pyright: ignore[reportFunctionMemberAccess]
