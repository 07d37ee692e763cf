"""Weight decay is decoupled and exact: it takes `lr weight_decay W` off a step, whatever the gradient.

One step without decay from zero, where W plays no part, and one with decay from W differ by `(1 - lr weight_decay) W`, up
to the rounding of the sums. So nothing else in a step looks at W: no trust ratio, no decay in the gradient.
Under zero gradients from the beginning, every entry shrinks by that factor alone, however small it is beside the others
(they span 2^-96 to 1; in float16, which has no room, they are alike).
"""

from dataclasses import replace
from typing import Any

import numpy as np

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import need, rule_for, walk
from deva_conformance.physical import wide
from deva_conformance.tolerance import half_ulp, unit_roundoff

ROUNDINGS = 6
ZEROS = 3
"""How many zero gradients."""


def spread_out(W: np.ndarray) -> np.ndarray:
    """W with entries of all sizes."""
    powers = 0 * np.arange(W.size) if W.dtype == np.float16 else -8 * (np.arange(W.size) % 13)
    return (wide(W) * 2.0 ** powers.reshape(W.shape)).astype(W.dtype)


def only_decay(subject: Subject, case: Case) -> None:
    """Zero gradients only."""
    rule: Any = case.rule
    params = {name: spread_out(W) for name, W in case.params().items()}
    zeros = {name: np.zeros_like(W) for name, W in params.items()}
    end = walk(subject, rule, params, [zeros] * ZEROS).params
    for (name, W), problem in zip(params.items(), case.problems, strict=True):
        if rule_for(rule, problem.shape) is not rule:
            continue
        due, u = wide(W), unit_roundoff(W.dtype)
        for _ in range(ZEROS):
            due = (1 - rule.lr * rule.weight_decay) * due
        bound = ZEROS * (ROUNDINGS * u * np.abs(wide(W)) + half_ulp(wide(W), W.dtype))
        wrong = np.abs(wide(end[name]) - due) > bound
        need(not np.any(wrong), f"{name}: under zero gradients {np.sum(wrong)} entries do not shrink as the others do")


def check(subject: Subject, case: Case) -> float:
    """One step from zero without decay, one from W with it."""
    rule: Any = case.rule
    params, grads = case.params(), [case.gradients(0)]
    zeros = {name: np.zeros_like(W) for name, W in params.items()}
    bare = walk(subject, replace(rule, weight_decay=0.0), zeros, grads).params
    decayed = walk(subject, rule, params, grads).params
    for (name, W), problem in zip(params.items(), case.problems, strict=True):
        if rule_for(rule, problem.shape) is not rule:
            continue
        X, Y = wide(bare[name]), wide(decayed[name])
        size = np.abs(wide(W)) + np.abs(X) + np.abs(Y)
        bound = ROUNDINGS * unit_roundoff(W.dtype) * size + half_ulp(X, W.dtype) + half_ulp(Y, W.dtype)
        error = np.abs((Y - X) - (1 - rule.lr * rule.weight_decay) * wide(W))
        need(bool(np.all(error <= bound)), f"{name}: decay differs from lr weight_decay W by up to {np.max(error):.3g}")
    only_decay(subject, case)
    return 0.0


LAW = module_law(
    "exact-decay",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: "weight_decay" in rule.__dataclass_fields__,
        restricted=lambda rule: {"lr": (0.25, 0.03125), "weight_decay": (0.25,), "basis": ("canonical",)},
        matrix_panels=(((3, 5),), ((4, 4),), ((2, 3, 4),)),
        vector_panels=(((5,),), ((3, 4),)),
        steps=1,
    ),
)
