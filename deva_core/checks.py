"""Checks of arguments that all hosts share: rules, leaves and states have the right type, or the error says what to give."""

from collections.abc import Mapping
from typing import Any

from deva_core.hyperparameter import hyperparameters, takes
from deva_core.messages import brief
from deva_core.parameter import Parameter, field_name, fields
from deva_core.rule import Rule

TRANSFORMATION = "an optax transformation: give a rule, as deva_core.AdamW() is; optax.multi_transform runs optax's own"
OPTIMIZER = "an optimizer; give the rule itself, as in deva_core.{}()"


def named_rules() -> dict[str, type[Rule]]:
    """The rules that exist, by their names in lower case."""
    kinds, found = [Rule], {}
    for kind in kinds:
        kinds += kind.__subclasses__()
        found[kind.__name__.lower()] = kind
    return found


def instead(value: Any) -> str:
    """What was given instead of a rule, and how to make a rule of it."""
    if isinstance(value, type) and issubclass(value, Rule):
        return f"the class {value.__name__}: call it, {value.__name__}()"
    name = value if isinstance(value, str) else (value if isinstance(value, type) else type(value)).__name__
    known = named_rules().get(name.lower().replace("_", ""))
    if isinstance(value, str):
        return f"{value!r}" + (f": write {known.__name__}()" if known else "")
    if hasattr(value, "init") and hasattr(value, "update"):
        return TRANSFORMATION
    if hasattr(value, "param_groups") or known:
        return OPTIMIZER.format(known.__name__ if known else "AdamW")
    if callable(value) and not isinstance(value, type):
        return f"a function, {getattr(value, '__name__', 'unnamed')}: give a rule, as deva_core.Muon() or AdamW() are"
    return brief(value)


def check_rule(what: str, value: Any, example: str = "Muon()") -> None:
    """Raise unless `value` is a rule."""
    if not isinstance(value, Rule):
        raise TypeError(f"{what} must be a deva_core rule such as {example}, got {instead(value)}")


def check_vector_rule(what: str, value: Any) -> None:
    """Raise unless `value` is a rule for arrays of any shape, or None."""
    if value is None:
        return
    if not isinstance(value, Rule):
        raise TypeError(f"{what} must be a deva_core rule for vectors such as AdamW(), got {instead(value)}")
    if value.matrix:
        raise TypeError(
            f"{what} must be a rule for arrays of any shape, such as AdamW() or DeVAVector(), got {value!r}, "
            "which is for matrices"
        )


def check_arrays(what: str, rule: Rule, kinds: tuple[type, ...]) -> None:
    """Raise unless all hyperparameters that are arrays belong to the host's libraries."""
    for name in hyperparameters(rule):
        value = getattr(rule, name)
        library = type(value).__module__.partition(".")[0].removesuffix("lib")
        if hasattr(value, "dtype") and not isinstance(value, kinds):
            got = f"{type(rule).__name__}.{name} is an array of {library}"
            raise TypeError(f"{what}: {got}: give a number or an array of this host's library")


def check_leaf(name: str, W: Any, advice: str = "") -> None:
    """Raise unless a leaf is an array."""
    if not hasattr(W, "shape") or not hasattr(W, "dtype"):
        where = f"parameter {name!r}" if name else "the parameters"
        raise TypeError(f"{where} must be an array of floats, got {brief(W)}{advice}")


def check_default_layout(what: str, value: Any) -> None:
    """Raise unless `value` is a default layout: a function of name and shape."""
    if not callable(value) or not takes(value, 2):
        raise TypeError(f"{what} must be a function of name and shape that returns (layout, why), got {brief(value)}")


def check_own_state(parameter: Parameter, state: Any, advice: str) -> None:
    """`check_state` for a state as rules have it. The usual case is quick, since hosts check at every step."""
    rule = parameter.rule
    is_own = type(state) is rule.State and parameter.is_plain
    if not is_own or any(tuple(getattr(state, name).shape) != parameter.shape for name in rule.narrowable):
        check_state(parameter, fields(state), advice)


def check_state(parameter: Parameter, flat: Mapping[str, Any], advice: str) -> None:
    """Raise unless these fields can be the parameter's state: they are its rule's, and fit the parameter's shape.

    Args:
        parameter: the parameter.
        flat: its state's fields; None for an array without entries.
        advice: the end of the error, which says what to do.
    """
    rule, kind = parameter.rule, type(parameter.rule).__name__
    if set(flat) != set(parameter.field_names):
        raise ValueError(
            f"the state of {parameter.name!r} is not {kind}'s: it has {sorted(flat)}, "
            f"expected {sorted(parameter.field_names)}; {advice}"
        )
    if not type(rule).init.__module__.startswith("deva_core."):  # a user's rule may average something smaller
        return
    for block, shape in zip(parameter.blocks, parameter.part_shapes, strict=True):
        for name in (field_name(block, one) for one in rule.narrowable):
            if flat[name] is not None and tuple(getattr(flat[name], "shape", ())) != tuple(shape):
                raise ValueError(
                    f"{name} of {parameter.name!r} has shape {tuple(getattr(flat[name], 'shape', ()))}, "
                    f"expected {tuple(shape)}: the state belongs to a parameter with another shape or layout; {advice}"
                )
