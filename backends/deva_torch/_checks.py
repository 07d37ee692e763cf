"""What torch's users hand over, looked at before anything is built: parameters, groups, flags, other optimizers."""

import re
import warnings
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any, NoReturn

import torch

from deva_core import Rule, hyperparameters
from deva_core.keywords import FOREIGN, VECTOR_LR
from deva_core.messages import a, answer_for, brief, named_in, nearest
from deva_torch._groups import RATIO
from deva_torch._options import Options

GIVE = "give model.named_parameters(), or param_groups(model)"
NO_PARAMS = (torch.nn.Module, str, Mapping)
"""Types that can be iterated over or hold parameters, but are not parameters."""

OWN = (
    "params",
    "rule",
    "layout",
    "name",
    "param_names",
    "initial_lr",
    "capturable",
    "maximize",
    "count",
    "foreach",
    RATIO,
)
"""The group keys that are not hyperparameters."""


def checked_params(owner: str, params: Any) -> Any:
    """Parameters, named parameters or groups, as a list. A tensor is returned as it is: torch's own error is clear.

    Raises:
        TypeError: `params` is something else.
        ValueError: there are no parameters.
    """
    if isinstance(params, torch.Tensor):
        return params
    if isinstance(params, torch.nn.Module):
        raise TypeError(f"{owner}: params is a module, {type(params).__name__}: {GIVE}")
    if isinstance(params, Mapping):
        one = "a param group goes into a list, [{...}]" if "params" in params else GIVE
        raise TypeError(f"{owner}: params is {a(type(params).__name__)}: {one}")
    if isinstance(params, str) or not isinstance(params, Iterable):
        raise TypeError(f"{owner}: params must be parameters or param groups, got {brief(params)}: {GIVE}")
    found = list(params)
    if not found:
        raise ValueError(f"{owner}: there are no parameters: all are frozen, or an iterator was used up before; {GIVE}")
    for k, item in enumerate(found):
        check_item(f"{owner}: params[{k}]", item)
    return found


def check_item(what: str, item: Any) -> None:
    """Raise unless an item of `params` is a parameter, a pair of its name and it, or a group."""
    if isinstance(item, Mapping):
        check_group(what, item)
    elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        if not isinstance(item[1], torch.Tensor):
            raise TypeError(f"{what} is {item[0]!r} with {a(type(item[1]).__name__)} instead of a parameter: {GIVE}")
    elif not isinstance(item, torch.Tensor):
        raise TypeError(f"{what} is {brief(item) if isinstance(item, str) else a(type(item).__name__)}: {GIVE}")


def check_group(what: str, group: Any) -> None:
    """Raise unless a group is a dict with parameters."""
    if not isinstance(group, Mapping):
        raise TypeError(f'{what} must be a dict such as {{"params": ...}}, got {a(type(group).__name__)}')
    if "params" not in group:
        close = nearest("params", map(str, group))
        hint = f": write it in place of {close!r}" if close else f", it has {', '.join(map(str, group))}"
        raise ValueError(f'{what} is a param group without "params"{hint}')
    params = group["params"]
    strange = params if isinstance(params, NO_PARAMS) or not isinstance(params, Iterable) else None
    if strange is None and isinstance(params, list | tuple):
        strange = next((item for item in params if not isinstance(item, torch.Tensor | tuple)), None)
    if strange is not None or params is None:
        got = brief(strange) if isinstance(strange, str | None) else a(type(strange).__name__)
        raise TypeError(f'{what}: "params" must be parameters or named parameters, got {got}: {GIVE}')


def check_flags(owner: str, **flags: Any) -> None:
    """Raise unless each is True or False, or, for `foreach`, None."""
    for name, value in flags.items():
        if not isinstance(value, bool) and not (name == "foreach" and value is None):
            raise TypeError(f"{owner}.{name} must be True or False, got {brief(value)}")


def check_process_group(owner: str, group: Any) -> None:
    """Raise unless `group` is None or a group of ranks."""
    if group is not None and not callable(getattr(group, "size", None)):
        raise TypeError(
            f"{owner}.process_group must be a process group such as torch.distributed.group.WORLD, got {brief(group)}"
        )


def check_keys(group: Mapping[str, Any], rule: Rule) -> None:
    """Check a group's keys. torch allows any, so warn of keys that look like ours but have no effect.

    `use_muon` is refused: it chooses between two optimizers, and ignoring it would step embeddings as matrices. Other keys
    only warn: a user's own key (`lr_scale`) may look like a hyperparameter, and groups from another optimizer bring its keys.
    """
    if "use_muon" in group:
        raise ValueError(
            'a param group has "use_muon", which deva_torch does not read: layouts decide which parameters are matrices. '
            'Give each group that had use_muon=False a "rule": {"params": ..., "rule": AdamW(lr=...)}'
        )
    known = keys_of(type(rule))
    for key in sorted(map(str, group.keys() - known)):
        if (hint := hint_for(key, known)) is not None:
            warnings.warn(f"a param group has {key!r}, which {type(rule).__name__} does not read: {hint}", stacklevel=6)


@cache
def keys_of(rule_type: type[Rule]) -> frozenset[str]:
    """The keys that a rule's group may have."""
    names = set(hyperparameters(rule_type))
    if {"beta1", "beta2"} <= names:
        names = names - {"beta1", "beta2"} | {"betas"}
    return frozenset(names | set(OWN))


def hint_for(key: str, known: Collection[str]) -> str | None:
    """What a key without effect was probably meant to be; None for a key of the user's own."""
    if key in Options.__annotations__:
        return "it is an argument of the optimizer"
    if key in FOREIGN and FOREIGN[key].answers == VECTOR_LR:
        return f"it reads {RATIO!r}, the vector half's lr over the group's"
    if key in FOREIGN:
        vector = re.search(r"vector_rule=(\w+\([^()]*\))", " ".join(FOREIGN[key].answers))
        if vector:
            return f'parameters for the vector rule go into a group with "rule": {vector[1]}'
        said = answer_for(key, known)
        return said if said and named_in(said) else "it has no effect; docs/moving.md lists the names used here"
    close = nearest(key, known, 0.85)
    return None if close is None or close in key else f"did you mean {close!r}?"


class Elsewhere:
    """A name that a class does not have: reading it raises an error that says where it is."""

    def __init__(self, message: str) -> None:
        self.message = message

    def __get__(self, instance: Any, owner: type) -> NoReturn:
        raise AttributeError(self.message.format(owner.__name__))


def check_closure(closure: Any) -> None:
    """Raise unless a closure can be called."""
    if closure is not None and not callable(closure):
        raise TypeError(
            f"step(closure): the closure must be a function that returns the loss, got {brief(closure)}; gradients are "
            "read from the parameters, so step() alone is enough"
        )


def check_own(call: str, optimizer: Any, kind: type) -> None:
    """Raise unless `optimizer` is one of this package."""
    if not isinstance(optimizer, kind):
        got = f"{type(optimizer).__module__}.{type(optimizer).__name__}"
        raise TypeError(f"{call}: the optimizer must be a deva_torch optimizer, got {got.removeprefix('builtins.')}")
