"""How far single operations of a backend are from exact ones, each in units in which 16 is the most that is honest.

`CHECKS` has one for every function that `deva_core` lets a backend replace, by name, and for what rules compose of them.
A check is given a `Bench` and returns its worst ratio; references are computed in a wider dtype from the definitions.
"""

import importlib
import itertools
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

import deva_core
from deva_conformance import strategies
from deva_conformance.laws import _operation_entries as entries
from deva_conformance.laws import _operation_factors as factors
from deva_conformance.laws import _operation_products as products
from deva_conformance.laws._operation_bench import Bench
from deva_core import Backend, Rule, replaceable
from deva_core.costs import Costs

CHECKS: dict[str, Callable[[Bench], float]] = {
    "matmul": products.matmul,
    "multiply_add": products.multiply_add,
    "symmetric_multiply_add": products.symmetric_multiply_add,
    "gram": products.gram,
    "donated_stack": entries.donated_stack,
    "plus_identity": entries.plus_identity,
    "multiplied": entries.multiplied,
    "outer_ema": products.outer_ema,
    "take": entries.take,
    "ema": entries.ema,
    "ema_and_ahead": entries.ema_and_ahead,
    "descent": entries.descent,
    "unit": factors.unit,
    "frobenius": factors.frobenius,
    "sign": entries.sign,
    "positive_qr": factors.positive_qr,
    "newton_schulz": factors.newton_schulz,
    "polar": factors.polar,
}
"""By the name of the function; `matmul` is the backend's own."""

COMPOSED = ("matmul",)
"""Of these, what no function replaces: the backend's own product."""

HOSTED = ("donated_stack",)
"""Of these, what hosts call, whatever the rule."""


@lru_cache
def replaceables() -> frozenset[str]:
    """The names of all functions in `deva_core` that a backend may replace."""
    code = replaceable(lambda b: b).__code__
    modules = (importlib.import_module(f"deva_core.{m.name}") for m in pkgutil.iter_modules(deva_core.__path__))
    return frozenset(
        f.__name__ for module in modules for f in vars(module).values() if getattr(f, "__code__", None) is code
    )


class Spy(dict):
    """Replacements that are none, and remember what was asked for."""

    def get(self, name: str, default: Any = None) -> Any:
        """The specification's own function."""
        self[name] = default
        return default


@lru_cache
def used(rule: type[Rule]) -> tuple[str, ...]:
    """Which operations the rule's steps call, under any hyperparameters: what two of them on NumPy ask for."""
    spy, values, W = Spy(), strategies.table(rule), np.ones((3, 3))
    for k, form in itertools.product(range(strategies.row_count(values)), ("plain", "gram")):
        b = replace(Backend.of(W), replacements=spy, costs=Costs(form=form))
        made = strategies.row(rule, values, k)
        S = made.init(W, b)
        for t in (1, 2):
            _, S = made.update(np.eye(3), S, W, t, b)
    composed = HOSTED + (COMPOSED if "multiply_add" in spy else ())
    return tuple(name for name in CHECKS if name in spy or name in composed)
