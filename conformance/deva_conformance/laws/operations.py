"""Every operation that a rule is made of computes what it says, at the sizes and on the inputs where kernels differ.

A fused kernel, a blocked product or another factorisation goes wrong at the edge of a tile, in a null space, at a size
from which a fast path begins: 1×1, 3×5, 17×33, 64×64, tall, in stacks; singular values down to 1e-8, rank one, scaled by
2**±40. Through whole steps, on the small matrices of other laws, most of this cannot be seen. Checked is what the
backend's `start.operations()` hands out: its product, every function that it may replace, and the polar factor as it
composes them; for the rules that use them, as is found by asking.

Units, in which all that is honest stays below 16:
- products, sums, averages: entry by entry, `√k u |A||B|` for k terms. Rounding, in any order of summation, is at most
  `k u |A||B|` (Higham 2002, §3.5), so 16 is certain up to k = 256, and random errors stay near 1. A norm's
  sum of squares counts as half of that.
- QR: LAPACK's ratios, by columns and by the order n: `‖QᵀQ - I‖ / (n u)`, what `R = QᵀA` has below its diagonal and what of
  its diagonal is negative over `n u ‖a‖`. LAPACK tests against 30 of its eps; Householder's stay below 1.
- polar factors: the Monte-Carlo-arithmetic ratio (`tolerance`); where `compute_dtype` is narrower, also at most 1.5 times the
  error of the plain iteration in that dtype, as 16.

Domain: float32 and float64. Products are judged by entries, which Strassen's fast multiplication does not keep.
"""

from dataclasses import replace
from math import prod

from deva_conformance.cases import Case, Problem
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, NotSupported, module_law
from deva_conformance.laws._operation_bench import INPUTS, Bench
from deva_conformance.laws._operation_checks import CHECKS, used
from deva_core import JORDAN, POLAR_EXPRESS, QUINTIC_5, Rule, hyperparameters

LARGE = 1000
"""Entries."""


def check(subject: Subject, case: Case) -> float:
    """Every operation of the rule on every operand."""
    operations = getattr(subject.start, "operations", None)
    if operations is None:
        raise NotSupported("start.operations does not exist")
    names = used(type(case.rule))
    if not subject.capabilities.linalg:
        names = tuple(name for name in names if name != "positive_qr")
    given = operations()
    benches = (Bench(given, case.rule, operand) for problem in case.problems for operand in operands(problem))
    return max(CHECKS[name](bench) for bench in benches for name in names)


def operands(problem: Problem) -> tuple[Problem, ...]:
    """The problem with every family, a large one with its own alone: they cost no compilation, but time."""
    if prod(problem.shape) > LARGE:
        return (problem,)
    return tuple(replace(problem, family=family) for family in INPUTS)


def restricted(rule: type[Rule]) -> dict[str, tuple]:
    """Hyperparameters at their defaults, but for the coefficients: nothing else is seen here."""
    defaults = {name: (h.default,) for name, h in hyperparameters(rule).items()}
    return {**defaults, "ns_coefficients": (JORDAN, POLAR_EXPRESS, QUINTIC_5)}


LAW = module_law(
    "operations",
    check,
    __doc__,
    domain=Domain(
        restricted=restricted,
        matrix_panels=(((17, 33), (64, 64), (2, 33, 17), (40, 8), (3, 5), (1, 1)),),
        vector_panels=(((33,), (3, 5), ()),),
        families=tuple(INPUTS),
        scales=lambda rule: (1.0,),
        dtypes=("float32", "float64"),
        steps=1,
    ),
    thorough=True,
)
