"""Moving in and out: import the state of optax transformations, and export it to them."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from deva_core.messages import brief
from deva_core.migrate import Peer, export_fields, import_fields
from deva_core.parameter import fields
from deva_jax._checkpoint import transform_of
from deva_jax._transform import Params, RuleState, Slot, Transform, check_kind, lean, slots_by_name
from deva_jax._tree import named

HELD = {"optax": ("mu", "nu", "count"), "adamw": ("exp_avg", "exp_avg_sq", "step")}
"""Core's names for the fields `mu`, `nu` and `count` of optax's states, in `optax.contrib.muon` and in `optax.adamw`."""


def import_state(
    optimizer: optax.GradientTransformation,
    params: Params,
    peer_state: Any,
    source: str = "optax",
    *,
    beta1: float | None = None,
) -> RuleState:
    """Import optax's state: returns the state with which a transformation of this package continues.

    Leaves are matched by path. A leaf without state in the peer starts with a new state. No argument is changed.
    docs/moving.md says what each import preserves.

    Args:
        optimizer: a transformation of this package. For a chain, the inner one.
        params: the parameters, as both transformations see them.
        peer_state: the state of `optax.contrib.muon` or of `optax.adamw` (or `adam`), alone or inside a chain.
        source: the peer: `"optax"` for `optax.contrib.muon`, `"adamw"` for `optax.adamw`.
        beta1: AdamW's β₁, which its state does not hold. It is needed to convert AdamW's average to Muon's.

    Raises:
        ValueError: leaves, fields, shapes or meanings differ; the message says which.
        TypeError: `optimizer` is not a transformation of this package.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from deva_core import Muon
        >>> from deva_jax import import_state, transform
        >>> params = {"kernel": jnp.ones((3, 4))}
        >>> peer = optax.contrib.muon(0.02)
        >>> _, peer_state = peer.update(params, peer.init(params), params)
        >>> optimizer = transform(Muon.dialect("optax", lr=0.02))
        >>> import_state(optimizer, params, peer_state).slots["kernel"].step.item()
        1
    """
    leaves, structure = named(params)
    if isinstance(peer_state, RuleState):
        raise ValueError("peer_state is already a state of deva_jax: give it to update or save")
    owner, held = transform_of(optimizer), held_by(peer_state, source, beta1)
    stray = sorted(held.keys() - {name for name, W in leaves.items() if W is not None})
    if stray:
        raise ValueError(f"the peer has state of {stray}, which are not parameters here: there are {list(leaves)[:8]}")
    parameters, live = owner.assignment(leaves), owner.init(params)
    slots: list[Slot | None] = structure.flatten_up_to(live.slots)
    for k, name in enumerate(leaves):
        if name in held:
            p = parameters[name]
            step, flat = import_fields(source, held[name], p, p.rule, jnp.asarray(leaves[name]), owner.b)
            slots[k] = Slot(jnp.asarray(step, jnp.int32), lean(p.from_fields(flat)))
    count = max(slot.step for slot in slots if slot is not None)
    return RuleState(jnp.asarray(count, jnp.int32), structure.unflatten(slots))


def export_state(
    optimizer: optax.GradientTransformation, params: Params, state: RuleState, peer_state: Any, target: str = "optax"
) -> Any:
    """Export a state to optax: returns the state with which an optax transformation continues.

    No argument is changed. docs/moving.md says what each export preserves.

    Args:
        optimizer: a transformation of this package. For a chain, the inner one.
        params: its parameters.
        state: its state.
        peer_state: the optax transformation's own state, as its `init(params)` returns it.
        target: the peer: `"optax"` for `optax.contrib.muon`, `"adamw"` for `optax.adamw`.

    Raises:
        ValueError: leaves differ, the format cannot hold the state, or leaves have made different numbers of steps (optax
            keeps one count for all).
        TypeError: `optimizer` or `state` is not of this package.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from deva_jax import export_state, muon
        >>> params, optimizer, peer = {"kernel": jnp.ones((3, 4))}, muon(0.02), optax.contrib.muon(0.02)
        >>> _, state = optimizer.update(params, optimizer.init(params), params)
        >>> state = export_state(optimizer, params, state, peer.init(params))
        >>> updates, state = peer.update(params, state, params)
    """
    owner, (leaves, structure) = transform_of(optimizer), named(params)
    check_kind(state)
    slots = slots_by_name(leaves, structure, state)
    if not any(map(is_counted, jax.tree.leaves(peer_state, is_leaf=is_counted))):
        raise ValueError(
            f"peer_state must be the peer's own state, as its init(params) gives it, got {brief(peer_state)}"
        )

    def filled(node: Any) -> Any:
        if is_moments(node):
            return filled_moments(node, owner, leaves, slots, target)
        return node._replace(count=jnp.asarray(state.count, node.count.dtype)) if is_counted(node) else node

    return jax.tree.map(filled, peer_state, is_leaf=is_counted)


def is_counted(node: Any) -> bool:
    """Whether a part of an optax state counts updates: moments do, and schedules."""
    return "count" in getattr(node, "_fields", ())


def is_moments(node: Any) -> bool:
    """Whether a part of an optax state holds moments."""
    return is_counted(node) and "mu" in node._fields


def moments_of(node: Any, source: str) -> Iterable[tuple[str, str, Any]]:
    """`(leaf, field, value)` of each moment in a part of an optax state; masked leaves have none."""
    if source not in HELD:
        raise ValueError(f"source must be one of {', '.join(map(repr, HELD))}, got {source!r}")
    mu, nu, _ = HELD[source]
    for kind, field in (("mu", mu), ("nu", nu)):
        leaves, _ = named(getattr(node, kind, None))
        yield from ((name, field, x) for name, x in leaves.items() if x is not None)


def held_by(peer_state: Any, source: str, beta1: float | None) -> dict[str, Peer]:
    """What an optax state holds for each leaf.

    Raises:
        ValueError: it holds no moments, or those of a leaf twice.
    """
    found: dict[str, dict[str, Any]] = {}
    for node in filter(is_moments, jax.tree.leaves(peer_state, is_leaf=is_counted)):
        for name, field, x in moments_of(node, source):
            if field in found.setdefault(name, {}):
                raise ValueError(f"the peer's state has {field} of {name!r} twice: pass the part to take over")
            found[name] |= {field: x, HELD[source][2]: node.count}
    if not found:
        raise ValueError(
            "the peer's state holds no moments: expected that of optax.contrib.muon or optax.adamw, as init(params) gives it"
        )
    settings = {} if beta1 is None else {"betas": (beta1, None)}
    return {name: Peer(fields, settings) for name, fields in found.items()}


def filled_moments(node: Any, owner: Transform, leaves: dict[str, Any], slots: dict[str, Any], target: str) -> Any:
    """A part of an optax state, with the moments and the count that leaves have here."""
    parameters, new = owner.assignment(leaves), {}
    for name, field, _ in moments_of(node, target):
        if slots.get(name) is None:
            raise ValueError(f"the peer's state has {field} of {name!r}, which is not a parameter here")
        p = parameters[name]
        slot = owner.filled(p, leaves[name], slots[name])
        new[name] = export_fields(target, p, p.rule, int(slot.step), fields(slot.state), {}, owner.b)
        if field not in new[name]:
            raise ValueError(f"the peer keeps {field} of {name!r}, but {type(p.rule).__name__} does not")
    mu, nu, count = HELD[target]
    counts = {out[count] for out in new.values()}
    if len(counts) > 1:
        raise ValueError(f"the peer keeps one count for all leaves, but here they made {sorted(counts)} steps")
    trees = {
        kind: with_leaves(getattr(node, kind), {name: out[field] for name, out in new.items()})
        for kind, field in (("mu", mu), ("nu", nu))
        if hasattr(node, kind)
    }
    return node._replace(count=jnp.asarray(max(counts, default=0), node.count.dtype), **trees)


def with_leaves(tree: Any, new: dict[str, Any]) -> Any:
    """A tree of moments with other values, each in the dtype of the old one."""
    leaves, structure = named(tree)
    return structure.unflatten([x if x is None else new[name].astype(x.dtype) for name, x in leaves.items()])
