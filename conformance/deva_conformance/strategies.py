"""Strategies: cases drawn from the metadata of a rule's fields, so that no hyperparameter can be forgotten."""

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

from hypothesis import strategies as st

from deva_conformance.cases import Problem, Shape
from deva_core import JORDAN, POLAR_EXPRESS, QUINTIC_5, Rule, hyperparameters
from deva_core.hyperparameter import Hyper

MODEST = (0.25, 0.03125, 0.5, 2.0, 3.0)
"""Values that show in a step, tried beside a field's default; those outside its domain are left out."""

COEFFICIENTS = (JORDAN, QUINTIC_5, POLAR_EXPRESS, "exact", ((2.0, -1.5, 0.5), (1.875, -1.25, 0.375)))
"""Newton–Schulz coefficients: the named sets, the SVD, and a table shorter than the number of steps."""

CHECKED: Mapping[str, tuple] = {
    "ns_coefficients": COEFFICIENTS,
    "ns_steps": (5, 3, 1, 6),
    "max_precondition_dim": (10000, 4),
}
"""Values of structural fields that have a check instead of choices."""

Values = dict[str, tuple]


def values_of(name: str, hyper: Hyper) -> tuple:
    """Values for a hyperparameter, its default first.

    Policies, which only exist to be another implementation's arithmetic, stay: dialects are held against live peers.
    """
    if hyper.policy:
        return (hyper.default,)
    if not hyper.numeric:
        return tuple(dict.fromkeys((hyper.default, *(hyper.choices or CHECKED.get(name, ())))))
    if hyper.lt is not None:
        tried = (hyper.default, 0.5, 0.0, 0.9375)
    elif hyper.integer:
        tried = (hyper.default, 1, 2, 3)
    else:
        tried = (hyper.default, *MODEST[:2], *([] if hyper.default is None else [4 * hyper.default]))
    return tuple(dict.fromkeys(value for value in tried if value is None or hyper.contains(value)))


def table(rule: type[Rule], restricted: Mapping[str, Sequence] | None = None) -> Values:
    """Values for every hyperparameter; `restricted` narrows fields to a law's domain."""
    values = {name: values_of(name, hyper) for name, hyper in hyperparameters(rule).items()}
    return values | {name: tuple(v) for name, v in (restricted or {}).items() if name in values}


def row_count(values: Values) -> int:
    """How many rows it takes for each value of each field to occur."""
    return 1 + max(len(v) for v in values.values())


def row(rule: type[Rule], values: Values, k: int) -> Rule:
    """The k-th covering row: the first holds the defaults, the others shift the fields against each other."""
    return rule(**{name: v[0 if k == 0 else (k - 1 + i) % len(v)] for i, (name, v) in enumerate(values.items())})


def rules(rule: type[Rule], values: Values) -> st.SearchStrategy[Rule]:
    """Any combination."""
    return st.builds(rule, **{name: st.sampled_from(v) for name, v in values.items()})


def problems(shape: Shape, families: Sequence[str], scales: Sequence[float], dtype: str) -> st.SearchStrategy[Problem]:
    """A problem of one shape."""
    return st.builds(
        Problem,
        st.sampled_from(families),
        st.just(shape),
        st.sampled_from(scales),
        st.integers(0, 2**16),
        st.just(dtype),
    )


def shifted(options: Sequence, *key: Any) -> Any:
    """One of the options, by a hash of the key."""
    return options[crc32(repr(key).encode()) % len(options)]
