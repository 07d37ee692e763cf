"""Steps are proportional to the learning rate, at every size of it.

From zero and without decay, a learning rate 64 times as large walks exactly 64 times as far: state does not depend on
lr, and IEEE arithmetic commutes with powers of two. Bit by bit, for rates from 2^-16 to 16. Domain: every rule, with the
values of each field under which it declares its steps linear (`Rule.is_linear`): AdaGO's floor, where it is a number, does
not follow lr by definition. Not float16, where such steps are subnormal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from deva_conformance import strategies
from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import ROOMY, Domain, module_law
from deva_conformance.laws._steps import equal, same, walk
from deva_core import Rule

FACTOR = 64
RATES = (2.0**-2, 2.0**-10, 2.0**-16)


def check(subject: Subject, case: Case) -> float:
    """Two runs from zero."""
    grads: list[Any] = [case.gradients(k) for k in range(case.steps)]
    zeros = {name: np.zeros_like(G) for name, G in grads[0].items()}
    rule: Any = case.rule
    near, far = (walk(subject, r, zeros, grads) for r in (rule, replace(rule, lr=FACTOR * rule.lr)))
    for name, X in near.params.items():
        equal(
            f"{name}: {FACTOR} times a run and a run at {FACTOR} times its lr {rule.lr:g}", FACTOR * X, far.params[name]
        )
    same("states at two learning rates:", near.state, far.state)
    return 0.0


def linear(rule: type[Rule]) -> Mapping[str, Sequence]:
    """For each field the values with which steps are proportional to lr; no decay."""
    values = {
        name: tuple(v for v in tried if rule(**{name: v}).is_linear) for name, tried in strategies.table(rule).items()
    }
    return values | {"lr": RATES, "weight_decay": (0.0,)}


LAW = module_law(
    "linearity",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: "lr" in rule.__dataclass_fields__,
        restricted=linear,
        matrix_panels=(((3, 5),), ((4, 4),), ((6, 1),)),
        vector_panels=(((5,),), ((3, 4),)),
        dtypes=ROOMY,
        steps=3,
    ),
)
