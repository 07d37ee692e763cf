"""Hyperparameters: which values each accepts, how a rule declares it, and how it is validated.

There are two kinds. A numeric one (`hyper`) may be a number, a 0-d array or a function of the number of updates; a
structural one (`option`, `flag`, `policy`) is fixed at construction and hashable.
"""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

from deva_core.messages import brief

Scalar = Any
"""A hyperparameter's value: a number, a 0-d array, or a function of the number of updates already made."""


class Default(float):
    """The type of defaults in a rule's signature. It lets a rule tell an argument left out from an equal number given."""


class IntegerDefault(int):
    """`Default` of an integer."""


@dataclass(frozen=True, kw_only=True)
class Hyper:
    """Which values a hyperparameter accepts. Validation, hosts and the conformance kit read it from the field's metadata.

    Args:
        default: the default value.
        numeric: True for a number, which may be scheduled; False for a structural value.
        ge, gt, le, lt: bounds on a number: >=, >, <=, <.
        integer: whether a number must be an integer.
        optional: whether None is accepted, from which the rule derives a number.
        choices: the accepted structural values.
        policy: whether only dialects set it; frameworks' signatures leave it out.
        check: for a structural value without `choices`: a function that returns what it must be, or None if it is valid.

    Example:
        >>> from deva_core import Hyper
        >>> momentum = Hyper(default=0.9, numeric=True, ge=0, lt=1)
        >>> momentum.domain, momentum.contains(1.0)
        ('>= 0 and < 1', False)
    """

    default: Any
    numeric: bool
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    integer: bool = False
    optional: bool = False
    choices: tuple | None = None
    policy: bool = False
    check: Callable[[Any], str | None] | None = None

    @property
    def domain(self) -> str:
        """The bounds as error messages print them, such as `">= 0 and < 1"`."""
        words = {">=": self.ge, ">": self.gt, "<=": self.le, "<": self.lt}
        bounds = " and ".join(f"{sign} {bound:g}" for sign, bound in words.items() if bound is not None)
        return ("an integer " if self.integer else "") + bounds + (", or None" if self.optional else "")

    def contains(self, value: float) -> bool:
        """Whether a number lies in the domain. NaN and infinities never do."""
        return (
            math.isfinite(value)
            and (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
            and (not self.integer or value == int(value))
        )


def hyper(default: Any, **bounds: Any) -> Any:
    """Declare a numeric hyperparameter: a number, a 0-d array or a function of the number of updates.

    Args:
        default: the default value.
        bounds: `ge`, `gt`, `le`, `lt`, `integer`; with `optional=True` also None, from which the rule derives a number.

    Example:
        >>> from deva_core import hyper
        >>> hyper(10, ge=1, integer=True).metadata["hyper"].domain
        'an integer >= 1'
    """
    unset = {float: Default, int: IntegerDefault}.get(type(default), lambda x: x)(default)
    return dataclasses.field(default=unset, metadata={"hyper": Hyper(default=default, numeric=True, **bounds)})


def option(default: Any, *choices: Any, check: Callable[[Any], str | None] | None = None, policy: bool = False) -> Any:
    """Declare a structural hyperparameter: fixed at construction and hashable.

    Args:
        default: the default value.
        choices: the accepted values.
        check: where there are no `choices`: a function that returns what the value must be, or None if it is valid.
        policy: True if only dialects set it, the presets that reproduce other libraries.

    Example:
        >>> from deva_core import option
        >>> option("momentum", "momentum", "gradient").metadata["hyper"].choices
        ('momentum', 'gradient')
    """
    hyper = Hyper(default=default, numeric=False, choices=choices or None, check=check, policy=policy)
    return dataclasses.field(default=default, metadata={"hyper": hyper})


def flag(default: bool) -> Any:
    """Declare a structural hyperparameter that is True or False."""
    return option(default, True, False)


def policy(default: Any, *choices: Any) -> Any:
    """Declare an `option` that only dialects set."""
    return option(default, *choices, policy=True)


def positive_integer(value: Any) -> str | None:
    """None if `value` is a positive integer, else what it must be."""
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return None if good else "an integer >= 1"


def positive_number(value: Any) -> str | None:
    """None if `value` is a positive number, else what it must be."""
    return None if is_number(value) and math.isfinite(value) and value > 0 else "a number > 0"


def fraction(value: Any) -> str | None:
    """None if `value` is a number in [0, 1), else what it must be."""
    return None if is_number(value) and 0 <= value < 1 else "a number >= 0 and < 1"


def is_triple(value: Any) -> bool:
    """Whether `value` is `(a, b, c)`."""
    return isinstance(value, tuple) and len(value) == 3 and all(isinstance(x, Real) and math.isfinite(x) for x in value)


def coefficient_table(value: Any) -> str | None:
    """None if `value` can be Newton–Schulz coefficients, else what it must be."""
    rows = value if isinstance(value, tuple) and value and not is_triple(value) else (value,)
    good = (isinstance(value, str) and value == "exact") or all(is_triple(row) for row in rows)
    return None if good else 'a triple (a, b, c), a sequence of triples (one per step) or "exact"'


def hyperparameters(rule: Any) -> Mapping[str, Hyper]:
    """The hyperparameters of a rule or rule class, in the order of declaration, each with its domain.

    Example:
        >>> from deva_core import Muon, hyperparameters
        >>> hyperparameters(Muon)["momentum"].domain
        '>= 0 and < 1'
    """
    return declared_by(rule if isinstance(rule, type) else type(rule))


@cache
def declared_by(rule_type: type) -> Mapping[str, Hyper]:
    """The hyperparameters of a class."""
    found = {f.name: f.metadata["hyper"] for f in dataclasses.fields(rule_type) if "hyper" in f.metadata}
    return MappingProxyType(found)


def is_number(value: Any) -> bool:
    """Whether `value` is a plain real number (a bool is not)."""
    return type(value) in (float, int) or (isinstance(value, Real) and not isinstance(value, bool))


def is_scalar_array(value: Any) -> bool:
    """Whether `value` is a 0-d array of some library."""
    return hasattr(value, "dtype") and getattr(value, "shape", None) == ()


def plain(value: Any) -> Any:
    """Other libraries' numbers as Python's, and lists as tuples, so that they are hashable and do not widen arrays."""
    if isinstance(value, list | tuple):
        return tuple(plain(x) for x in value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def concrete(value: Any) -> float | None:
    """The number in a 0-d array, or None if it cannot be read because it is traced."""
    try:
        return float(value)
    except Exception:  # each tracing library raises its own error here
        return None


def called(what: str, schedule: Callable[[Any], Any], count: Any) -> Any:
    """What a schedule returns for a number of updates.

    Raises:
        TypeError: it returns neither a number nor a 0-d array.
    """
    value = schedule(count)
    if not is_number(value) and not is_scalar_array(value):
        raise TypeError(f"{what} is a schedule: it must return a number or a 0-d array, got {brief(value)}")
    return value


def takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function accepts `count` positional arguments; True if its signature is unknown."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature
        return True
    return True


def is_changed(value: Any, default: Any) -> bool:
    """Whether a value differs from the default. An array, which may be unreadable, counts as different."""
    return hasattr(value, "dtype") or type(value) is not type(default) or value != default


def validate(owner: str, name: str, hyper: Hyper, value: Any) -> None:
    """Raise unless `value` is valid for the hyperparameter `name` of `owner`: "owner.name must be …, got …"."""
    problem, error = None, ValueError
    if value is None and hyper.optional:
        return
    if not hyper.numeric:
        if hyper.choices is not None:
            good = any(value is c if isinstance(c, bool) else value == c for c in hyper.choices)
            problem = None if good else "one of " + ", ".join(map(repr, hyper.choices))
        elif hyper.check is not None:
            problem = hyper.check(value)
    elif is_number(value) or is_scalar_array(value):
        number = value if is_number(value) else concrete(value)
        problem = None if number is None or hyper.contains(number) else hyper.domain
    elif not callable(value) or not takes(value, 1):
        problem, error = "a number, a 0-d array or a callable of the update count", TypeError
    if problem:
        raise error(f"{owner}.{name} must be {problem}, got {brief(value)}")
