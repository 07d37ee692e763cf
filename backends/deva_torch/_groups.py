"""A rule's hyperparameters as entries of a torch param group, and back. torch's idiom: `betas` in one tuple."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from deva_core import Route, Rule, hyperparameters
from deva_core.backend import working_dtype
from deva_core.checks import check_rule
from deva_core.eager import ResolvedRules
from deva_core.hyperparameter import is_number
from deva_core.lookup import Lookup, layout_lookup
from deva_core.parameter import Parameter
from deva_core.vector_half import followed, times

SCHEDULE = "<schedule>"
"""What a state dict holds for a callable, since it holds primitives only."""

RATIO = "vector_lr_ratio"
"""A group's key: the vector rule's lr divided by the group's. None: the vector rule uses its own lr."""

OWN_LR = "has_own_lr"
"""A group's key until its ratio is known: whether its dict had an lr."""


def to_group(rule: Rule) -> dict[str, Any]:
    """The group entries of a rule."""
    values = {name: getattr(rule, name) for name in hyperparameters(rule)}
    if "beta1" in values and "beta2" in values:
        values["betas"] = (values.pop("beta1"), values.pop("beta2"))
    return values


def rule_of(group: Mapping[str, Any], default: Rule) -> Rule:
    """The rule under which a group's hyperparameters are read: its own, or the optimizer's."""
    rule = group.get("rule", default)
    if not isinstance(rule, Rule):
        check_rule('a param group\'s "rule"', rule, "AdamW()")
    return rule


def layouts_in(group: Mapping[str, Any], names: Iterable[str], shared: Lookup) -> Lookup:
    """A group's layouts: those in the group, or else those in the optimizer's argument."""
    own = layout_lookup(group.get("layout"), names)

    def lookup(name: str, shape: tuple[int, ...]) -> Any:
        said = own(name, shape)
        if said is None:
            return shared(name, shape)
        return replace(said, named=True) if isinstance(said, Route) else said

    return lookup


def ratio_of(group: Mapping[str, Any], only_vectors: bool, own: Rule, vector: Rule, lr: Any) -> float | None:
    """What `vector_lr_ratio` a new group has, where it was given none.

    Args:
        group: complete, with `OWN_LR`.
        only_vectors: whether all its parameters are under the vector rule: an lr given in its dict then is theirs.
        own: the group's matrix rule.
        vector: the vector rule as it was given.
        lr: the lr at construction that a number given as the vector rule's belongs to.
    """
    if not own.matrix:
        return None
    if only_vectors and group[OWN_LR]:
        return 1.0
    if not vector.lr_given:
        found = followed(own, vector)
        return None if found is None else found[1]
    value = getattr(vector, "lr", None)
    if callable(value) or callable(lr) or value is None:
        return None
    return float(value) / float(lr) if lr else None


def constant(lr: Any) -> Any:
    """A learning rate as it is now: schedulers write into tensors."""
    return lr.detach().clone() if isinstance(lr, torch.Tensor) else lr


@contextmanager
def restored_if_refused(groups: Iterable[Any]) -> Iterator[None]:
    """Have the user's dicts as they were if an optimizer does not take them: torch fills its defaults in."""
    before = [(group, dict(group)) for group in groups if isinstance(group, dict)]
    try:
        yield
    except Exception:
        for group, entries in before:
            group.clear()
            group |= entries
        raise


def of_first_release(group: Mapping[str, Any], vector: Rule) -> dict[str, Any]:
    """The ratio in a group of release 0.1.0, which held the lr at construction."""
    if RATIO in group or "constructed_lr" not in group:
        return {}
    value, lr = getattr(vector, "lr", None), group["constructed_lr"]
    return {RATIO: None if value is None or callable(value) or not lr else float(value) / lr}


def checked_ratio(group: Mapping[str, Any]) -> float | None:
    """A group's `vector_lr_ratio`.

    Raises:
        ValueError: it is neither a number >= 0 nor None, or was deleted.
    """
    value = group.get(RATIO, "none at all")
    if value is not None and not (is_number(value) and 0 <= value < float("inf")):
        raise ValueError(f"a param group's {RATIO!r} must be a number >= 0 or None, got {value!r}")
    return value


def vector_rule_of(group: Mapping[str, Any], vector: Rule, matrix: Any) -> Rule:
    """The vector rule with the lr that its group gives it, and with the weight decay set on the group, if one was set.

    Either both rules have their callables resolved, or neither.
    """
    ratio = checked_ratio(group)
    if ratio is not None:
        vector = vector.with_values(lr=times(matrix, ratio))
    elif "lr" in group and not callable(matrix.lr):
        vector = vector.with_values(lr=unless_frozen(vector, matrix.lr))
    return with_decay_of(group, vector, matrix)


def unless_frozen(vector: Any, lr: Any) -> Any:
    """The vector rule's own lr, or 0 where the group's lr is 0, which freezes the whole group. A tensor is not read."""
    if isinstance(lr, torch.Tensor) and not callable(vector.lr):
        return vector.lr * (lr != 0).to(lr.dtype)
    return vector.lr if isinstance(lr, torch.Tensor) or lr else 0.0


def with_decay_of(group: Mapping[str, Any], vector: Rule, matrix: Any) -> Rule:
    """The vector rule with the weight decay that was set on its group, where one was."""
    decay = getattr(matrix, "weight_decay", None) if group["decays_all"] else None
    return vector if decay is None else vector.with_values(weight_decay=decay)


def completed(group: dict[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """A group with the hyperparameters of the rule that it names; those given beside the rule win.

    A weight decay that is set on a group is for all its parameters, those of the vector half too.

    Tensors among the defaults that other groups have already are copied: schedulers write into a group's tensor.
    """
    group.setdefault("decays_all", "weight_decay" in group)
    group[OWN_LR] = "lr" in group
    if "rule" in group:
        for name, value in to_group(rule_of(group, group["rule"])).items():
            group.setdefault(name, value)
    for name, value in shared.items():
        if isinstance(value, torch.Tensor):
            group.setdefault(name, value.clone())
    return group


def from_group(rule_type: type[Rule], group: Mapping[str, Any]) -> Rule:
    """The rule that a group describes now, after schedulers and users have written into it.

    Raises:
        ValueError, TypeError: an entry outside its domain, named as the rule's field.
    """
    values = dict(group)
    if "betas" in values:
        values["beta1"], values["beta2"] = two(rule_type, values["betas"])
    missing = next((name for name in hyperparameters(rule_type) if name not in values), None)
    if missing:
        raise ValueError(f"a param group of {rule_type.__name__} has no {missing!r} any more: restore it")
    entries = {name: values[name] for name in hyperparameters(rule_type)}
    tensors = {name: value for name, value in entries.items() if hasattr(value, "dtype")}
    rule = made(rule_type, {name: value for name, value in entries.items() if name not in tensors})
    # Tensors were validated at construction; reading one here would wait for its device.
    return rule.with_values(**tensors) if tensors else rule


def made(rule_type: type[Rule], values: Mapping[str, Any]) -> Rule:
    """The rule with these values; rules of recent steps are reused."""
    try:
        return remembered(rule_type, **values)
    except TypeError:  # a list, which cannot be looked up, or what the rule refuses
        return rule_type(**values)


@lru_cache(maxsize=64, typed=True)  # typed: True is equal to 1, and no learning rate
def remembered(rule_type: type[Rule], /, **values: Any) -> Rule:
    """`made`, by values and their types."""
    return rule_type(**values)


def rules_at(
    group: Mapping[str, Any], default: Rule, backend_of: Callable[[torch.Tensor], Any]
) -> Callable[[Parameter, torch.Tensor], Rule]:
    """A group's rules at this step; each callable is called once."""
    own, devices, cache = rule_of(group, default), {}, {}
    rule = from_group(type(own), group)

    def resolved(parameter: Parameter, p: torch.Tensor) -> Rule:
        rules = devices.setdefault((p.device, p.dtype), ResolvedRules(count_for(group, p), backend_of(p)))
        if parameter.rule is own:
            return rules[rule, p]
        vector: Any = rules[parameter.rule, p]
        return vector_rule_of(group, vector, rules[rule, p])

    def cached(parameter: Parameter, p: torch.Tensor) -> Rule:
        key = id(parameter.rule), p.dtype, p.device
        if key not in cache:
            cache[key] = resolved(parameter, p)
        return cache[key]

    return cached


def count_for(group: Mapping[str, Any], p: torch.Tensor) -> Any:
    """The argument of callables: the number of steps made; under capture a tensor in the dtype of p's arithmetic."""
    count = group["count"]
    return count.to(p.device, working_dtype(p.dtype, torch)) if isinstance(count, torch.Tensor) else count


def two(rule_type: type[Rule], betas: Any) -> tuple[Any, Any]:
    """`betas`, or an error that says what it must be."""
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ValueError(f"{rule_type.__name__}.betas must be a pair (beta1, beta2), got {betas!r}")
    return betas[0], betas[1]


def without_callables(group: Mapping[str, Any]) -> dict[str, Any]:
    """A group's entries with each callable replaced by a mark and its rule by its name, without its layouts."""
    return {key: mark(value) for key, value in group.items() if key != "layout"}


def mark(value: Any) -> Any:
    """`"<schedule>"` for a callable, also inside a tuple of betas."""
    if isinstance(value, tuple):
        return tuple(mark(x) for x in value)
    if isinstance(value, Rule):
        return type(value).__name__
    return SCHEDULE if callable(value) else value


def with_callables(saved: Any, live: Any) -> Any:
    """A saved entry with its marks replaced by the live callables."""
    if isinstance(saved, tuple | list) and isinstance(live, tuple) and len(saved) == len(live):
        return tuple(with_callables(s, x) for s, x in zip(saved, live, strict=True))
    if isinstance(saved, torch.Tensor):
        return saved.clone()  # schedulers and steps write into it
    return live if isinstance(saved, str) and saved == SCHEDULE else saved
