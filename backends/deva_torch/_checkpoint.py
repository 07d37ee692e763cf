"""The portable checkpoint for torch optimizers."""

from collections import deque
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize

from deva_core import checkpoint
from deva_core.checkpoint import Entry, Rename
from deva_torch._checks import check_own
from deva_torch._convert import to_numpy, to_torch
from deva_torch._optimizer import RuleOptimizer
from deva_torch._precision import computed_with


def entries(optimizer: RuleOptimizer, values: bool = True) -> dict[str, Entry]:
    """The state as checkpoint entries; missing states are created. All ranks must call.

    Args:
        optimizer: the optimizer.
        values: False if shapes and dtypes are enough.
    """
    optimizer.init_state()
    out = {}
    for (_, parameter, rule), state in zip(optimizer.live_rules(), optimizer.whole_states(values), strict=True):
        if parameter.name in out:
            raise ValueError(f"two parameters are named {parameter.name!r}: a checkpoint needs distinct names")
        slot = computed_with(state)
        tensors = {name: host(slot[name]) for name in parameter.field_names}
        out[parameter.name] = Entry(rule, str(parameter.layout or "vector"), int(slot["step"]), tensors)
    return out


def host(x: torch.Tensor) -> np.ndarray:
    """A tensor as a NumPy array; one without data (device `meta`) costs no memory."""
    if x.device.type == "meta":
        return np.broadcast_to(to_numpy(torch.zeros((), dtype=x.dtype, device="cpu")), tuple(x.shape))
    return to_numpy(x)


def save(path: Any, optimizer: RuleOptimizer) -> None:
    """Write an optimizer's state (without the parameters) to one portable file, completely or not at all.

    Construct the optimizer from named parameters: the file uses their names. With parameters on several ranks, all ranks
    must call and the first one writes. docs/checkpoints.md describes the format.

    Args:
        path: the file, in an existing folder; an existing file is replaced.
        optimizer: an optimizer of this package.

    Raises:
        TypeError: `optimizer` is not an optimizer of this package.
        ValueError: two parameters have the same name.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile, torch
        >>> from deva_torch import Muon, load, save
        >>> model = torch.nn.Linear(3, 4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/state.safetensors", Muon(model.named_parameters()))
        ...     load(f"{folder}/state.safetensors", Muon(model.named_parameters()))
    """
    check_own("save(path, optimizer)", optimizer, RuleOptimizer)
    count = max(int(group["count"]) for group in optimizer.param_groups)
    if optimizer.ranks and not optimizer.ranks.is_first:
        optimizer.init_state()
        deque(optimizer.whole_states(), maxlen=0)  # the first rank needs this rank's parts
    else:
        checkpoint.save(path, entries(optimizer), count, serialize)
    if optimizer.ranks:
        optimizer.ranks.wait()


def load(path: Any, optimizer: RuleOptimizer, rename: Rename = None) -> None:
    """Load an optimizer's state from a portable file that any backend wrote. On an error the optimizer keeps its state.

    Args:
        path: the file.
        optimizer: an optimizer of this package, with the rules, shapes and layouts of the saved one.
        rename: a mapping or a function from parameter names in the file to names here.

    Raises:
        CheckpointError: the file is corrupt or belongs to another optimizer; the message says what differs.
        TypeError: `optimizer` or `rename` has the wrong type.
        OSError: the file cannot be read.

    Example:
        >>> import tempfile, torch
        >>> from deva_torch import Muon, load, save
        >>> old, new = (Muon([(name, torch.nn.Parameter(torch.zeros(4, 3)))]) for name in ("fc", "head"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/state.safetensors", old)
        ...     load(f"{folder}/state.safetensors", new, rename={"fc": "head"})
    """
    check_own("load(path, optimizer)", optimizer, RuleOptimizer)
    count, loaded = checkpoint.load(path, entries(optimizer, values=False), deserialize, rename)
    states: dict[torch.Tensor, dict[str, Any]] = {}
    for p, parameter, _ in optimizer.live_rules():
        entry = loaded[parameter.name]
        fields = {name: to_torch(x).to(p.device) for name, x in entry.fields.items()}
        states[p] = {"step": entry.step, **fields}
    optimizer.put_states(states)
    for group in optimizer.param_groups:
        group["count"] = count
    optimizer.settle_counts()
