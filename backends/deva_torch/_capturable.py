"""Steps that a CUDA graph can capture: counts are tensors, states stay where they are, and nothing reads a value.

A graph repeats what was recorded: Python that ran while it was recorded (counts, branches, numbers of groups) does not
run again.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from deva_core import Rule
from deva_core.backend import eager_cond
from deva_core.parameter import Parameter

INSTEAD = "leave capturable out, and compile the step by torch.compile(optimizer.step)"


def on_device(count: Any, device: torch.device) -> torch.Tensor:
    """A count of steps as a tensor on a device; one that is there already stays itself, so that graphs find it."""
    if isinstance(count, torch.Tensor) and count.device == device:
        return count
    return torch.full((), int(count), dtype=torch.int64, device=device)


def is_captured(slot: Mapping[str, Any]) -> bool:
    """Whether a parameter's state is one that graphs write into."""
    return isinstance(slot["step"], torch.Tensor)


def cond(predicate: Any, true: Callable, false: Callable, *operands: Any) -> Any:
    """A branch that Python takes; one that a tensor would decide is refused."""
    if isinstance(predicate, torch.Tensor):
        raise RuntimeError(f"capturable=True: a rule branches on a tensor, which a captured graph cannot do: {INSTEAD}")
    return eager_cond(predicate, true, false, *operands)


def check(named: Iterable[tuple[str, Parameter]], stochastic: bool, ranks: Any) -> None:
    """Raise unless these parameters can be stepped in a captured graph."""
    if stochastic:
        raise ValueError(
            'capturable=True: rounding="stochastic" draws a seed in Python, which a captured graph would repeat: use "kahan"'
        )
    if ranks:
        raise ValueError("capturable=True: ranks exchange parts of parameters in Python: leave capturable out")
    for name, parameter in named:
        if parameter.rule.branches:
            raise ValueError(f"capturable=True: {reason(name, parameter.rule)}: {INSTEAD}; or capture Muon or AdaGO")


def reason(name: str, rule: Rule) -> str:
    """Why a branching rule is refused."""
    return (
        f"{type(rule).__name__}, the rule of {name!r}, computes different things in different steps (it may call b.cond), "
        "but a captured graph repeats one step"
    )


def check_not_capturing(groups: Iterable[Mapping[str, Any]]) -> None:
    """Raise where a CUDA graph is being captured of a step that it could not repeat."""
    capturing = torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()
    if capturing and not all(group["capturable"] for group in groups):
        raise RuntimeError(
            "step() was called while a CUDA graph is captured, which would repeat this step's counts and numbers: "
            "construct the optimizer with capturable=True"
        )
