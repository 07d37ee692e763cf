"""AdaGO's steps shorten as t^-1/2: under a gradient that repeats, `‖step t‖ / ‖step 1‖ = √((v₀² + c²) / (v₀² + t c²))`.

c is the gradient's norm, clipped. Without momentum the direction repeats, so a step's length shows its α. Domain: AdaGO
with `min_step`, `momentum` and decay 0; float32 and wider, where 64 additions keep three digits of a step.
"""

from typing import Any

import numpy as np

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import PLAIN, Domain, module_law
from deva_conformance.laws._steps import begin, copied, need
from deva_conformance.physical import wide
from deva_core import AdaGO

UPDATES = 64
TOLERANCE = 1e-3


def check(subject: Subject, case: Case) -> float:
    """Repeat one gradient, and look at updates 1, 2, 4, …"""
    grads = case.gradients(0)
    run = begin(subject, case.rule, {name: np.zeros_like(G) for name, G in grads.items()})
    before = copied(run.params)
    lengths = []
    for _ in range(UPDATES):
        run.step(copied(grads))
        after = copied(run.params)
        lengths.append({name: float(np.linalg.norm(wide(after[name]) - wide(before[name]))) for name in grads})
        before = after
    rule: Any = case.rule
    v2 = rule.initial_accumulator_value
    for name, G in grads.items():
        c2 = min(float(np.linalg.norm(wide(G))), rule.max_norm) ** 2
        for t in (2**k for k in range(1, UPDATES.bit_length())):
            due, seen = np.sqrt((v2 + c2) / (v2 + t * c2)), lengths[t - 1][name] / lengths[0][name]
            good = abs(seen / due - 1) <= TOLERANCE
            need(good, f"{name}: step {t} is {seen:.5g} times the first one, expected {due:.5g} (about t^-1/2)")
    return 0.0


LAW = module_law(
    "step-length",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: issubclass(rule, AdaGO),
        restricted=lambda rule: {"momentum": (0.0,), "min_step": (0.0,), "weight_decay": (0.0,)},
        matrix_panels=(((4, 4), (3, 5)), ((5, 3),)),
        families=("gaussian", "orthogonal", "outlier", "signs"),
        scales=lambda rule: PLAIN,
        dtypes=("float32", "float64"),
    ),
)
