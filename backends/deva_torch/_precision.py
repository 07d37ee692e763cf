"""What is kept narrower than it is computed: bfloat16 and float16 parameters, and momenta at rest in bfloat16.

docs/decisions/0014 and 0015 say why these ways and no others.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import torch

from deva_core import Backend, Rule
from deva_core.messages import brief
from deva_core.parameter import Parameter, fields
from deva_torch import _foreach as foreach
from deva_torch._options import Rounding

COMPENSATION = "compensation"
"""The state entry beside a parameter under `rounding="kahan"`: what the parameter's own bits could not hold."""

STATE_DTYPES = {None: torch.float32, "float32": torch.float32, "bfloat16": torch.bfloat16}
STATE_DTYPES |= {dtype: dtype for dtype in (torch.float32, torch.bfloat16)}


class Store(NamedTuple):
    """How one parameter takes its new value: with what its bits do not hold, or at random from a source of its own."""

    compensation: torch.Tensor | None = None
    source: torch.Generator | None = None


@dataclass(frozen=True)
class Precision:
    """How narrow parameters are rounded, and what of the state is narrow at rest."""

    rounding: Rounding = "nearest"
    generator: torch.Generator | None = None
    state_dtype: Any = None

    def __post_init__(self) -> None:
        if self.rounding not in get_args(Rounding):
            choices = ", ".join(map(repr, get_args(Rounding)))
            raise ValueError(f"rounding must be one of {choices}, got {self.rounding!r}")
        if not isinstance(self.state_dtype, Hashable) or self.state_dtype not in STATE_DTYPES:
            raise ValueError(f'state_dtype must be None, "float32" or "bfloat16", got {brief(self.state_dtype)}')
        if not isinstance(self.generator, torch.Generator | None):
            raise TypeError(
                f"generator must be a torch.Generator, got {brief(self.generator)}: "
                "torch.Generator().manual_seed(seed) makes one"
            )
        if self.generator is not None and self.generator.device.type != "cpu":
            raise ValueError(
                f"generator must be a CPU generator, got one on {self.generator.device}: it only draws one seed per "
                "parameter, on the CPU"
            )

    def at_rest(self, fields: Mapping[str, torch.Tensor], parameter: Parameter, p: torch.Tensor) -> dict[str, Any]:
        """The state's fields as they are kept, and the parameter's compensation where it has one."""
        dtype = STATE_DTYPES[self.state_dtype]
        kept = {name: x.to(dtype) if is_narrowable(name, x, parameter) else x for name, x in fields.items()}
        return kept | {COMPENSATION: torch.zeros_like(p)} if self.rounding == "kahan" and is_narrow(p) else kept

    def stores(self, params: Sequence[torch.Tensor], slots: Iterable[Mapping[str, Any]]) -> list[Store]:
        """For each parameter of a step, how it takes its value.

        Each source is seeded from the generator, in the parameters' order: neither threads nor stacks change a draw.
        """
        if self.rounding == "nearest":
            return [Store()] * len(params)
        drawn = [self.rounding == "stochastic" and is_narrow(p) for p in params]
        seeds = iter(
            torch.randint(2**63 - 1, (sum(drawn),), generator=self.generator, device="cpu").tolist()
            if any(drawn)
            else ()
        )
        return [
            Store(slot.get(COMPENSATION), torch.Generator(p.device).manual_seed(next(seeds)) if draws else None)
            for p, slot, draws in zip(params, slots, drawn, strict=True)
        ]


def initial(p: torch.Tensor, parameter: Parameter, rule: Rule, b: Backend, precision: Precision) -> dict[str, Any]:
    """A parameter's state before its first step, as it is kept."""
    return precision.at_rest(fields(parameter.init(p.detach(), rule, b)), parameter, p)


def is_narrow(x: torch.Tensor) -> bool:
    """Whether a tensor is narrower than the arithmetic on it."""
    return x.dtype.is_floating_point and x.dtype.itemsize < 4


def is_narrowable(name: str, x: torch.Tensor, parameter: Parameter) -> bool:
    """Whether a field (`momentum`, or `q.momentum` of a block) may be narrow at rest. float64 never is."""
    return x.dtype != torch.float64 and name.rpartition(".")[2] in parameter.rule.narrowable


def computed_with(slot: Mapping[str, Any]) -> dict[str, Any]:
    """A slot's entries in the precision that they are computed with: what belongs to the rule and leaves this host."""
    fields = {name: x for name, x in slot.items() if name != COMPENSATION}
    return {name: x.float() if isinstance(x, torch.Tensor) and is_narrow(x) else x for name, x in fields.items()}


def move(params: list[torch.Tensor], deltas: list[torch.Tensor], stores: Sequence[Store]) -> None:
    """Add the deltas, rounding once."""
    if params[0].dtype == deltas[0].dtype:
        foreach.add_(params, deltas)
        return
    values, (compensation, source) = foreach.add(deltas, params), stores[0]
    if source is not None:
        values = [stochastic(x, params[0].dtype, store.source) for x, store in zip(values, stores, strict=True)]
    if compensation is None:
        foreach.copy_(params, values)
        return
    kept = [store.compensation for store in stores]
    foreach.add_(values, kept)
    foreach.copy_(params, values)
    foreach.copy_(kept, foreach.sub(values, params))


def stochastic(x: torch.Tensor, dtype: torch.dtype, source: torch.Generator | None) -> torch.Tensor:
    """x (float32) as one of its two neighbours in a narrower dtype, the nearer the likelier: x on average.

    Values that the dtype has stay; so do infinities and NaN. Below float16's normal numbers the nearest is taken.
    """
    dropped = round(math.log2(torch.finfo(dtype).eps / torch.finfo(torch.float32).eps))
    noise = torch.randint(2**dropped, x.shape, dtype=torch.int32, device=x.device, generator=source)
    rounded = ((x.view(torch.int32) + noise) & -(2**dropped)).view(torch.float32)
    return torch.where(torch.isfinite(x), rounded, x).to(dtype)
