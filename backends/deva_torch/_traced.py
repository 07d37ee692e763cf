"""The step as `torch.compile` sees it: one graph for each device, its numbers as tensors, so that no later step is traced.

What belongs to Python (groups, schedules, checks, counts) runs before it, outside of the graph.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import torch

from deva_core import Backend, Rule, hyperparameters
from deva_core.backend import eager_cond, working_dtype
from deva_core.coefficients import Triple
from deva_core.costs import Costs
from deva_core.parameter import fields, finished
from deva_torch._alike import Work
from deva_torch._backend import backend
from deva_torch._capturable import is_captured
from deva_torch._precision import Precision, Store, move

F = TypeVar("F", bound=Callable[..., Any])
TRACED = ("multiply_add", "sign")
"""The replacements that a graph keeps: the sum inside a product's kernel, and what no kernel of a compiler's does as well.
The others are a compiler's business, or read values, which would cut the graph."""


def outside(method: F) -> F:
    """`torch.compiler.disable`, whose type has lost `self`."""
    disable: Any = torch.compiler.disable
    return disable(method)


class Chosen(Costs):
    """Another's choices, constant in a graph: a trial (`_backend.trial`) runs while it is traced."""

    chosen: Callable[..., bool]

    def prefers_gram(self, shape: tuple[int, ...], steps: tuple[Triple, ...]) -> bool:
        """As chosen."""
        return self.chosen(tuple(shape), steps)


def settled(costs: Costs) -> Costs:
    """These costs, their choices constant in a graph."""
    new = Chosen(**{field.name: getattr(costs, field.name) for field in dataclasses.fields(Costs)})
    choice = torch.compiler.assume_constant_result(lambda *given: costs.prefers_gram(*given))
    object.__setattr__(new, "chosen", choice)
    return new


class Part(NamedTuple):
    """What one device steps in one graph.

    Args:
        work: parameters, gradients, and rules whose numbers are tensors.
        states: the fields of each state, updated in place.
        stores: how each parameter is rounded.
        scalars: the names of the state's fields without axes, which `opened` may have given one.
        times: the number of each parameter's step, a tensor; parameters of the same number share one.
        b: the backend.
    """

    work: list[Work]
    states: list[dict[str, torch.Tensor]]
    scalars: list[frozenset[str]]
    stores: list[Store]
    times: list[torch.Tensor]
    b: Backend


def cond(predicate: Any, true: Callable, false: Callable, S: Any) -> Any:
    """`torch.cond` on a state; it wants other tensors back than it was given, and tuples."""
    if not isinstance(predicate, torch.Tensor):
        return eager_cond(predicate, true, false, S)

    def owned(branch: Callable) -> Callable:
        return lambda *parts: tuple(
            x.clone(memory_format=torch.contiguous_format) for x in flat(branch(type(S)(*parts)))
        )

    return like_of(S, torch.cond(predicate, owned(true), owned(false), tuple(S)))


def flat(result: Any) -> list[torch.Tensor]:
    """The tensors of a state, or of a delta and a state."""
    delta, *rest = result
    return [delta, *rest] if all(isinstance(x, torch.Tensor) for x in rest) else [delta, *rest[0]]


def like_of(S: Any, tensors: Sequence[torch.Tensor]) -> Any:
    """The inverse of `flat`, for states of S's kind."""
    kind = type(S)
    return kind(*tensors) if len(tensors) == len(S) else (tensors[0], kind(*tensors[1:]))


def device(x: torch.Tensor) -> torch.device:
    """Where x is; array_api_compat's function looks for other libraries first."""
    return x.device


@lru_cache
def traced_backend(*choices: Any) -> Backend:
    """`_backend.backend` of these choices, for graphs."""
    b = backend(*choices)
    kept = {name: b.replacements[name] for name in TRACED if name in b.replacements}
    return dataclasses.replace(b, cond=cond, device_of=device, replacements=kept, costs=settled(b.costs))


class Traceable:
    """Steps as graphs take them. Rules and numbers last: a graph of one step finds those of the next where they were."""

    def __init__(self) -> None:
        self.rules: dict[Any, Rule] = {}
        self.numbers: dict[Any, torch.Tensor] = {}

    def parts(
        self,
        work: Sequence[Work],
        slots: Sequence[dict[str, Any]],
        backend_of: Callable[[torch.Tensor], Backend],
        precision: Precision,
    ) -> list[Part]:
        """The step of each device, ready for `advance_traced`; it is counted here."""
        stores = precision.stores([item.p for item in work], slots)
        for slot in slots:
            slot["step"] += 1  # a tensor where it is
        return [
            self.part(
                [(work[k], slots[k], stores[k]) for k, item in enumerate(work) if item.p.device == device], backend_of
            )
            for device in dict.fromkeys(item.p.device for item in work)
        ]

    def part(
        self, here: list[tuple[Work, dict[str, Any], Store]], backend_of: Callable[[torch.Tensor], Backend]
    ) -> Part:
        """The step of one device."""
        device = here[0][0].p.device
        rules = list({id(item.rule): item.rule for item, _, _ in here}.values())
        steps = list(dict.fromkeys(slot["step"] for _, slot, _ in here if not is_captured(slot)))
        work, states, scalars, times = [], [], [], []
        for item, slot, _ in here:
            _ = item.parameter.is_plain  # computed once, behind a lock that cannot be traced
            place = next(k for k, rule in enumerate(rules) if rule is item.rule)
            where = device if is_captured(slot) else torch.device("cpu")
            rule = self.with_tensors(item.rule, item.p, place, where)
            work.append(item._replace(p=opened(item.p.detach()), rule=rule))
            states.append({name: opened(slot[name]) for name in item.parameter.field_names})
            scalars.append(frozenset(name for name in item.parameter.field_names if slot[name].ndim == 0))
            times.append(slot["step"] if is_captured(slot) else self.time(device, steps.index(slot["step"]), slot))
        stores = [store for _, _, store in here]
        return Part(work, states, scalars, stores, times, backend_of(here[0][0].p))

    def time(self, device: torch.device, place: int, slot: dict[str, Any]) -> torch.Tensor:
        """The number of a step, which parameters of the same number share."""
        return self.number((device, place), slot["step"], torch.int64, torch.device("cpu"))

    def with_tensors(self, rule: Rule, p: torch.Tensor, place: int, where: torch.device) -> Rule:
        """The rule with its numbers as tensors of the working dtype: on the host, or on the device, where graphs of CUDA
        need them; a tensor stays where it is, since to move it would wait for it.
        """
        found, dtype = hyperparameters(rule), working_dtype(p.dtype, torch)
        numeric = [n for n, h in found.items() if h.numeric and not h.integer and getattr(rule, n) is not None]
        key = p.device, place, type(rule), dtype, where, *(getattr(rule, name) for name in found if name not in numeric)
        numbers = {name: self.number((*key, name), getattr(rule, name), dtype, where) for name in numeric}
        return self.rules.setdefault(key, rule.with_values(**numbers))

    def number(self, key: Any, value: Any, dtype: torch.dtype, where: torch.device) -> torch.Tensor:
        """The tensor of that key, with this value."""
        where = value.device if isinstance(value, torch.Tensor) else where
        if (key, where) not in self.numbers:
            self.numbers[key, where] = torch.zeros((), dtype=dtype, device=where)
        return self.numbers[key, where].fill_(value)


def opened(x: torch.Tensor) -> torch.Tensor:
    """The tensor; of float64 without axes a view with one: torch 2.13 loses what a graph writes into such inputs."""
    return x.view(1) if x.ndim == 0 and x.dtype == torch.float64 else x


def advance_traced(
    work: list[Work],
    states: list[dict[str, torch.Tensor]],
    scalars: list[frozenset[str]],
    stores: list[Store],
    times: list[torch.Tensor],
    b: Backend,
) -> None:
    """Move the parameters of a device: what is compiled."""
    steps = {}
    for k, (p, parameter, G, rule) in enumerate(work):
        held = {name: x.view(()) if name in scalars[k] else x for name, x in states[k].items()}
        W = p.view(parameter.shape) if p.shape != parameter.shape else p
        steps[k] = parameter, parameter.steps(G, parameter.from_fields(held), W, times[k], rule, b)
    for done in finished(steps, b):
        deltas = [delta.reshape(work[k].p.shape) for k, (delta, _) in done.items()]
        move([work[k].p for k in done], deltas, [stores[k] for k in done])
        for k, (_, state) in done.items():
            for name, x in fields(state).items():
                states[k][name].copy_(x)
