"""The portable checkpoint for JAX transformations."""

from types import FunctionType
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize

from deva_core import checkpoint
from deva_core.checkpoint import Entry, Rename
from deva_core.messages import brief
from deva_core.parameter import fields
from deva_jax._shardings import Placed
from deva_jax._transform import Params, RuleState, Slot, Transform, check_kind, lean, slots_by_name
from deva_jax._tree import named


def transform_of(optimizer: optax.GradientTransformation) -> Transform:
    """The rules of a transformation of this package."""
    owner = getattr(getattr(optimizer, "update", None), "__self__", None)
    if not isinstance(owner, Placed):
        call = f": call it, {optimizer.__name__}()" if isinstance(optimizer, FunctionType) else ""
        raise TypeError(
            f"the optimizer must be a transformation made by deva_jax, got {kind_of(optimizer)}{call}; for a chain, pass the "
            "inner one with its own state"
        )
    return owner.plain


def kind_of(value: Any) -> str:
    """A value as errors show it."""
    return "one of optax" if isinstance(value, optax.GradientTransformation) else brief(value)


def entries(optimizer: optax.GradientTransformation, params: Params, state: RuleState) -> dict[str, Entry]:
    """The state as checkpoint entries."""
    owner = transform_of(optimizer)
    check_kind(state)
    leaves, structure = named(params)
    parameters, out = owner.assignment(leaves), {}
    for (name, W), slot in zip(leaves.items(), slots_by_name(leaves, structure, state).values(), strict=True):
        if slot is None:
            continue
        p = parameters[name]
        arrays = {field: np.array(x, order="C") for field, x in fields(owner.filled(p, W, slot).state).items()}
        out[name] = Entry(p.rule, str(p.layout or "vector"), int(slot.step), arrays)
    return out


def save(path: Any, optimizer: optax.GradientTransformation, params: Params, state: RuleState) -> None:
    """Write a transformation's state (without the parameters) to one portable file, completely or not at all.

    docs/checkpoints.md describes the format.

    Args:
        path: the file, in an existing folder; an existing file is replaced.
        optimizer: a transformation of this package. For a chain, pass the inner one and its own state.
        params: the parameters that the state belongs to.
        state: the transformation's state.

    Raises:
        TypeError: `optimizer` or `state` is not of this package.
        ValueError: the state belongs to other parameters or to another rule.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> from deva_jax import load, muon, save
        >>> optimizer, params = muon(), {"kernel": jnp.ones((3, 4))}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/state.safetensors", optimizer, params, optimizer.init(params))
        ...     load(f"{folder}/state.safetensors", optimizer, params).slots["kernel"].step.item()
        0
    """
    checkpoint.save(path, entries(optimizer, params, state), int(state.count), serialize)


def load(path: Any, optimizer: optax.GradientTransformation, params: Params, rename: Rename = None) -> RuleState:
    """Read a state from a portable file that any backend wrote, for this transformation and these parameters.

    Args:
        path: the file.
        optimizer: a transformation of this package, with the rules and layouts of the saved one. For a chain, the inner one.
        params: the parameters, with the shapes of the saved ones.
        rename: a mapping or a function from parameter names in the file to names here.

    Raises:
        CheckpointError: the file is corrupt or belongs to another optimizer; the message says what differs.
        TypeError: `optimizer` or `rename` has the wrong type.
        OSError: the file cannot be read.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> from deva_jax import load, muon, save
        >>> optimizer, old, new = muon(), {"fc": jnp.ones((3, 4))}, {"head": jnp.ones((3, 4))}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/state.safetensors", optimizer, old, optimizer.init(old))
        ...     list(load(f"{folder}/state.safetensors", optimizer, new, rename={"fc": "head"}).slots)
        ['head']
    """
    owner = transform_of(optimizer)
    leaves, structure = named(params)
    parameters = owner.assignment(leaves)
    live = entries(optimizer, params, optimizer.init(params))  # pyright: ignore[reportArgumentType]
    count, loaded = checkpoint.load(path, live, deserialize, rename)
    slots: list[Slot | None] = []
    for name in leaves:
        entry = loaded.get(name)
        slots.append(
            None
            if entry is None
            else Slot(
                jnp.asarray(entry.step, jnp.int32),
                lean(parameters[name].from_fields({field: jnp.asarray(x) for field, x in entry.fields.items()})),
            )
        )
    return RuleState(jnp.asarray(count, jnp.int32), structure.unflatten(slots))
