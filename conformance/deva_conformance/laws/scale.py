"""Multiplying all gradients by a power of two changes nothing: for Muon not a bit, for DeVA not beyond rounding.

Domain: Muon (2^40, 2^-40, 2^80, 2^-90) bit by bit; DeVA and DeVAVector to rounding. Not AdaGO, whose step follows the
norm, nor AdamW, whose eps is absolute. Float16 has no room for such factors.
"""

import numpy as np

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import PLAIN, ROOMY, Domain, module_law
from deva_conformance.laws._steps import Arrays, equal, twins, walk
from deva_conformance.physical import wide
from deva_conformance.tolerance import run_spread, unit_roundoff
from deva_core import DeVA, DeVAVector, Muon, Rule

POWERS = (40, -40, 80, -90)
PAIRS = ((40, -90), (-40, 80))
"""One up and one down, for rules that cost more."""


def applies(rule: type[Rule]) -> bool:
    """Whether the rule is free of scale."""
    return issubclass(rule, (Muon, DeVA, DeVAVector))


def scaled(X: np.ndarray, power: int) -> np.ndarray:
    """`2**power X`, exactly."""
    return (wide(X) * 2.0**power).astype(X.dtype)


def spread_out(arrays: Arrays, powers: tuple[int, ...], change: bool) -> Arrays:
    """Each array under its name, and once for each power."""
    copies = {f"{n}@{k}": scaled(X, k) if change else X.copy() for n, X in arrays.items() for k in powers}
    return {**arrays, **copies}


def check(subject: Subject, case: Case) -> float:
    """Run each problem beside its scaled twins."""
    params, grads, worst = case.params(), [case.gradients(k) for k in range(case.steps)], 0.0
    exact = isinstance(case.rule, Muon)
    powers = POWERS if exact else PAIRS[case.problems[0].seed // 100 % 2]
    end = walk(subject, case.rule, spread_out(params, powers, False), [spread_out(g, powers, True) for g in grads])
    for name, W in params.items():
        if not exact:
            sigma = run_spread(case.rule, W, [g[name] for g in grads], unit_roundoff(W.dtype), subject.costs)["W"]
        for k in powers:
            label, X, Y = f"{name}: steps for gradients times 2^{k}", end.params[name], end.params[f"{name}@{k}"]
            if exact:
                equal(label, X, Y)
            else:
                worst = max(worst, twins(label, X, Y, sigma, W.dtype, case.steps))
    return worst


LAW = module_law(
    "scale",
    check,
    __doc__,
    domain=Domain(
        applies=applies,
        matrix_panels=(((3, 5),), ((4, 4),), ((2, 3, 4),), ((6, 1),)),
        vector_panels=(((5,),), ((3, 4),)),
        scales=lambda rule: PLAIN,
        restricted=lambda rule: {"basis": ("canonical",)},
        dtypes=ROOMY,
        steps=2,
    ),
)
