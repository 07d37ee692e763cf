"""Plain parameters that are alike step in one stack, without a Python step for each: of small ones that was most of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from deva_core import Backend, Rule
from deva_core.parameter import Parameter
from deva_core.stacks import Columns, together, unstacked
from deva_core.stacks import advance as advance_step
from deva_torch import _foreach as foreach
from deva_torch._blocks import worth_blocks
from deva_torch._precision import Store, move


class Work(NamedTuple):
    """A parameter, its gradient (already of the sign that descends) and its rule at this step."""

    p: torch.Tensor
    parameter: Parameter
    G: torch.Tensor
    rule: Rule


def sorted_out(
    here: Sequence[int], work: Sequence[Work], slots: Sequence[dict[str, Any]], b: Backend
) -> tuple[list[list[int]], list[int]]:
    """Of these indices: those that step in one stack, stack by stack, and the others."""
    if b.observer is not None:
        return [], list(here)
    found: dict[Any, list[int]] = {}
    for k in here:
        (p, parameter, G, rule), t = work[k], slots[k]["step"]
        plain = parameter.is_plain and type(t) is int
        found.setdefault((id(rule), plain, p.shape, p.dtype, G.dtype, t if plain else 0), []).append(k)
    alike, others = [], []
    for (_, plain, *_), members in found.items():
        most = stack_size(work[members[0]], b) if plain else 1
        for start in range(0, len(members), most):
            part = members[start : start + most]
            alike.append(part) if len(part) > 1 else others.extend(part)
    return alike, others


def stack_size(item: Work, b: Backend) -> int:
    """How many parameters like this one stack may hold; 1 where they are better stepped one by one."""
    shape, in_parts = item.p.shape, item.rule.elementwise and worth_blocks(item.p, item.G)
    return b.costs.stack_size(shape) if 0 not in shape and b.costs.stacks(shape) and not in_parts else 1


def advance_alike(work: list[Work], slots: list[dict[str, Any]], stores: Sequence[Store], b: Backend) -> None:
    """Move parameters of one kind, all at the same step."""
    rule, t = work[0].rule, slots[0]["step"] + 1
    params, vector = [item.p for item in work], work[0].p.ndim == 1
    state = {name: [slot[name] for slot in slots] for name in rule.State._fields}
    columns = Columns(rule, [item.G for item in work], list(state.values()), params)
    delta, S, _ = advance_step(together(columns, t, b), b)
    move(params, unstacked(delta, vector, b), stores)
    for (name, old), stack in zip(state.items(), S, strict=True):
        keep(slots, name, old, stack, vector, b)
    for slot in slots:
        slot["step"] = t


def keep(
    slots: list[dict[str, Any]], name: str, old: list[torch.Tensor], stack: torch.Tensor, vector: bool, b: Backend
) -> None:
    """Put the parts of a stack into their slots: themselves where none was a part before, so that `donated_stack` finds
    the stack, and nothing is to be done from the next step on.

    Otherwise they are copied: a view keeps all of its stack alive, so that a slot takes one only once, and together with
    all others.
    """
    base = old[0]._base
    if base is not None and (stack is base or stack._base is base):
        return
    parts = unstacked(stack, vector, b)
    if all(x._base is None for x in old) and old[0].dtype == stack.dtype and stack.is_contiguous():
        for slot, x in zip(slots, parts, strict=True):
            slot[name] = x
    else:
        foreach.copy_(old, parts)
