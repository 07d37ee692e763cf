"""The portable checkpoint for CuPy: what travels is on the host."""

from collections.abc import Mapping
from typing import Any

import cupy  # pyright: ignore[reportMissingImports]
import numpy as np
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize

from deva_core import Optimizer, OptimizerState, checkpoint
from deva_core.checkpoint import Entry, Rename
from deva_core.eager import Slot
from deva_core.parameter import Parameter, fields
from deva_core.tree import named_leaves


def entries(parameters: Mapping[str, Parameter], state: OptimizerState) -> dict[str, Entry]:
    """The state in plain terms, copied to the host."""
    return {
        name: Entry(
            parameters[name].rule,
            str(parameters[name].layout or "vector"),
            slot.step,
            {field: np.array(cupy.asnumpy(x), order="C") for field, x in fields(slot.state).items()},
        )
        for name, slot in state.slots.items()
    }


def save(path: Any, optimizer: Optimizer, params: Any, state: OptimizerState) -> None:
    """Write an optimizer's state (not the parameters) as one portable file, whole or not at all. Waits for the device.

    Example:
        >>> import cupy  # an array needs a GPU  # doctest: +SKIP
        >>> from deva_core import Muon
        >>> from deva_cupy import Optimizer, load, save  # doctest: +SKIP
        >>> optimizer, params = Optimizer(Muon()), {"W": cupy.ones((2, 3))}  # doctest: +SKIP
        >>> save("state.safetensors", optimizer, params, optimizer.init(params))  # doctest: +SKIP
        >>> load("state.safetensors", optimizer, params).slots["W"].step  # doctest: +SKIP
        0
    """
    parameters = optimizer.assignment(named_leaves(params))
    checkpoint.save(path, entries(parameters, state), state.count, serialize)


def load(path: Any, optimizer: Optimizer, params: Any, rename: Rename = None) -> OptimizerState:
    """The state of a file that any backend wrote, for this optimizer and these parameters, on the current device.

    Raises:
        CheckpointError: the file is corrupt or belongs to another optimizer; the message says what differs.

    Example:
        >>> from deva_cupy import load  # an array needs a GPU  # doctest: +SKIP
        >>> state = load("state.safetensors", optimizer, params, rename={"fc": "head"})  # doctest: +SKIP
    """
    parameters = optimizer.assignment(named_leaves(params))
    live = entries(parameters, optimizer.init(params))
    count, loaded = checkpoint.load(path, live, deserialize, rename)
    slots = {}
    for name, entry in loaded.items():
        flat = {field: cupy.asarray(x) for field, x in entry.fields.items()}
        slots[name] = Slot(entry.step, parameters[name].from_fields(flat))
    return OptimizerState(count, slots)
