"""A step of an optimizer: equal parameters together, so that the number of operations is that of kinds of parameters."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from deva_core import Backend, Rule
from deva_core.parameter import fields, finished
from deva_core.stacks import Step
from deva_core.stacks import advance as advance_step
from deva_core.telemetry import watched
from deva_torch import _foreach as foreach
from deva_torch._alike import Work, advance_alike, sorted_out
from deva_torch._blocks import blocks, keep_freed_memory, worth_blocks
from deva_torch._capturable import is_captured
from deva_torch._device import is_host
from deva_torch._precision import Precision, Store, move
from deva_torch._workers import WORTH_A_THREAD, share


def advance(
    work: Sequence[Work],
    slots: Sequence[dict[str, Any]],
    backend_of: Callable[[torch.Tensor], Backend],
    precision: Precision,
) -> None:
    """Move each parameter by its rule, device by device."""
    keep_freed_memory()
    stores = precision.stores([item.p for item in work], slots)
    devices = list(dict.fromkeys([item.p.device for item in work]))
    for device in devices:
        here = [k for k, item in enumerate(work) if len(devices) == 1 or item.p.device == device]
        b = watched(backend_of(work[here[0]].p))
        alike, others = sorted_out(here, work, slots, b)
        for members in alike:
            advance_alike([work[k] for k in members], [slots[k] for k in members], [stores[k] for k in members], b)
        alone = {k: cost(work[k]) for k in others if is_host(device.type) and stands_alone(work[k], b)}
        share(lambda k, b=b: advance_on_one_device({k: work[k]}, slots, stores, b), alone)
        if rest := {k: work[k] for k in others if k not in alone}:
            advance_on_one_device(rest, slots, stores, b)


def stands_alone(item: Work, b: Backend) -> bool:
    """Whether a parameter is worth a thread: large, and in no stack."""
    large = item.p.numel() >= WORTH_A_THREAD
    return bool(b.replacements) and large and not any(map(b.costs.stacks, item.parameter.part_shapes))


def cost(item: Work) -> float:
    """About how much work a parameter is: its entries times its matrices' shorter side, under a matrix rule."""
    shapes = item.parameter.part_shapes
    return float(sum(math.prod(shape) * (min(shape[-2:]) if item.rule.matrix else 1) for shape in shapes))


def advance_on_one_device(
    work: dict[int, Work], slots: Sequence[dict[str, Any]], stores: Sequence[Store], b: Backend
) -> None:
    """Move parameters that share a device."""
    times, steps = begun([slots[k] for k in work]), {}
    for (k, (p, parameter, G, rule)), t in zip(work.items(), times, strict=True):
        state = parameter.from_fields(slots[k])
        if rule.elementwise and b.replacements and b.observer is None and worth_blocks(p, G, *state):
            advance_in_blocks(p, G, state, t, rule, stores[k], b)
        else:
            steps[k] = parameter, parameter.steps(G, state, p, t, rule, b)
    for done in finished(steps, b):
        move([work[k].p for k in done], [delta for delta, _ in done.values()], [stores[k] for k in done])
        remember([slots[k] for k in done], [fields(state) for _, state in done.values()])
    for k, t in zip(work, times, strict=True):
        slots[k]["step"] = t


def begun(slots: list[dict[str, Any]]) -> list[Any]:
    """The number of each step. Tensors are counted on their device, all in one operation, and are the numbers."""
    tensors = [slot["step"] for slot in slots if is_captured(slot)]
    if tensors:
        foreach.add_(tensors, 1)
    return [slot["step"] if is_captured(slot) else slot["step"] + 1 for slot in slots]


def advance_in_blocks(
    p: torch.Tensor, G: torch.Tensor, state: Any, t: Any, rule: Rule, store: Store, b: Backend
) -> None:
    """A large parameter of an elementwise rule, in parts that a cache holds from the first operation to the last."""
    kept = () if store.compensation is None else (store.compensation,)
    for W, g, *rest in blocks(p, G, *kept, *state):
        parts = rest[len(kept) :]
        delta, new, _ = advance_step(Step(rule, g, type(state)(*parts), W, t), b)
        move([W], [delta], [store._replace(compensation=rest[0]) if kept else store])
        for old, x in zip(parts, new, strict=True):
            if x is not old:
                old.copy_(x)


class Part(NamedTuple):
    """A part of a state, and what it replaces."""

    slot: dict[str, Any]
    name: str
    old: torch.Tensor
    new: torch.Tensor


def remember(slots: list[dict[str, Any]], states: list[dict[str, torch.Tensor]]) -> None:
    """Put new states into their slots; those that a graph writes are copied: it finds them where they were."""
    if len(slots) > 1 or is_captured(slots[0]):
        changed = [
            Part(slot, name, old, x)
            for slot, state in zip(slots, states, strict=True)
            for name, x in state.items()
            if x is not (old := slot[name]) and not in_place(x, old)
        ]
        if changed and is_captured(slots[0]):
            copied(changed)
        elif changed:
            remember_stacked(changed)
        return
    # LAPACK's factors come in column order; a resumed run has rows, and products differ in the last bit.
    slot, state = slots[0], states[0]
    kept = {name: x if x.dtype == slot[name].dtype else x.to(slot[name].dtype) for name, x in state.items()}
    slot |= {name: x.contiguous() for name, x in kept.items()}


def in_place(x: torch.Tensor, old: torch.Tensor) -> bool:
    """Whether x is the same part of the same stack."""
    return x._base is not None and x._base is old._base


def remember_stacked(parts: list[Part]) -> None:
    """Put parts of stacks into their slots: themselves where none was a part before, so that `donated_stack` finds them.

    Afterwards they are copied: a view keeps all of its stack alive, so that a slot takes one only once, and together
    with all others.
    """
    stacks: dict[int, list[Part]] = {}
    for part in parts:
        stacks.setdefault(id(part.new._base), []).append(part)
    for together in stacks.values():
        if all(old._base is None and old.dtype == x.dtype and x.is_contiguous() for _, _, old, x in together):
            for slot, name, _, x in together:
                slot[name] = x
        else:
            copied(together)


def copied(parts: list[Part]) -> None:
    """Put numbers where the old ones were."""
    foreach.copy_([part.old for part in parts], [part.new for part in parts])
