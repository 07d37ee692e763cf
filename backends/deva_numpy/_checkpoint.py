"""The portable checkpoint for NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize

from deva_core import Optimizer, OptimizerState, checkpoint
from deva_core.checkpoint import Entry, Rename
from deva_core.checks import check_state
from deva_core.eager import Slot, check_kind
from deva_core.messages import brief
from deva_core.parameter import Parameter, fields
from deva_core.tree import named_leaves


def check_own(optimizer: Any) -> None:
    """Raise unless `optimizer` is a `deva_core.Optimizer`."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an optimizer such as deva_numpy.Optimizer(Muon()), got {brief(optimizer)}")


def entries(parameters: Mapping[str, Parameter], state: OptimizerState) -> dict[str, Entry]:
    """The state as checkpoint entries."""
    check_kind(state)
    for name, slot in state.slots.items():
        if name not in parameters:
            raise ValueError(f"the state has a slot for {name!r}, but no parameter has that name; call init again")
        check_state(parameters[name], fields(slot.state), "save the state of this optimizer and these parameters")
    return {
        name: Entry(
            parameters[name].rule,
            str(parameters[name].layout or "vector"),
            slot.step,
            {field: np.array(x, order="C") for field, x in fields(slot.state).items()},
        )
        for name, slot in state.slots.items()
    }


def save(path: Any, optimizer: Optimizer, params: Any, state: OptimizerState) -> None:
    """Write an optimizer's state (without the parameters) to one portable file, completely or not at all.

    Arrays of other libraries work too, if `numpy.array` can read them. docs/checkpoints.md describes the format.

    Args:
        path: the file, in an existing folder; an existing file is replaced.
        optimizer: a `deva_numpy.Optimizer` or `deva_core.Optimizer`.
        params: the parameters that the state belongs to.
        state: the optimizer's state.

    Raises:
        TypeError: `optimizer` or `state` has the wrong type.
        ValueError: the state belongs to other parameters or to another rule.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile, numpy as np
        >>> from deva_core import Muon
        >>> from deva_numpy import Optimizer, load, save
        >>> optimizer, params = Optimizer(Muon()), {"W": np.ones((2, 3))}
        >>> params, state = optimizer.step(params, params, optimizer.init(params))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/state.safetensors", optimizer, params, state)
        ...     load(f"{folder}/state.safetensors", optimizer, params).slots["W"].step
        1
    """
    check_own(optimizer)
    parameters = optimizer.assignment(named_leaves(params))
    checkpoint.save(path, entries(parameters, state), state.count, serialize)


def load(path: Any, optimizer: Optimizer, params: Any, rename: Rename = None) -> OptimizerState:
    """Read a state from a portable file that any backend wrote, for this optimizer and these parameters.

    The state's arrays are NumPy arrays.

    Args:
        path: the file.
        optimizer: a `deva_numpy.Optimizer` or `deva_core.Optimizer`, with the rules and layouts of the saved one.
        params: the parameters, with the shapes of the saved ones.
        rename: a mapping or a function from parameter names in the file to names here.

    Raises:
        CheckpointError: the file is corrupt or belongs to another optimizer; the message says what differs.
        TypeError: `optimizer` or `rename` has the wrong type.
        OSError: the file cannot be read.

    Example:
        >>> import tempfile, numpy as np
        >>> from deva_core import Muon
        >>> from deva_numpy import Optimizer, load, save
        >>> optimizer, old, new = Optimizer(Muon()), {"fc": np.ones((2, 3))}, {"head": np.ones((2, 3))}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/state.safetensors", optimizer, old, optimizer.init(old))
        ...     list(load(f"{folder}/state.safetensors", optimizer, new, rename={"fc": "head"}).slots)
        ['head']
    """
    check_own(optimizer)
    parameters = optimizer.assignment(named_leaves(params))
    live = entries(parameters, optimizer.init(params))
    count, loaded = checkpoint.load(path, live, deserialize, rename)
    slots = {name: Slot(entry.step, parameters[name].from_fields(entry.fields)) for name, entry in loaded.items()}
    return OptimizerState(count, slots)
