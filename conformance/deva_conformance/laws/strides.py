"""An array is its numbers, whatever their order in memory.

A run whose parameters and gradients come column by column, as every second entry of something larger, or read-only, agrees
to rounding with one whose arrays are contiguous. Domain: everything; published bases for square matrices of full rank.
"""

import numpy as np

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import SHARED, module_law
from deva_conformance.laws._steps import Arrays, moment, reference, well_posed
from deva_conformance.laws.replacements import agree


def strided(X: np.ndarray) -> np.ndarray:
    """The same entries, two apart, the first axis running fastest, read-only."""
    buffer = np.full((*X.shape[::-1], 2), 7, X.dtype)
    view = buffer[..., 0].T
    view[...] = X
    view.flags.writeable = False
    return view


def each(arrays: Arrays) -> Arrays:
    """Every array so."""
    return {name: strided(X) for name, X in arrays.items()}


def check(subject: Subject, case: Case) -> float:
    """Run on strided arrays, and compare."""
    case = well_posed(case)
    run = subject.start(case.rule, each(case.params()))
    for k in range(case.steps):
        run.step(each(case.gradients(k)))
    return agree(subject.costs, "strided and contiguous", case, case.steps, reference(subject, case).end, moment(run))


LAW = module_law("strides", check, __doc__, domain=SHARED, shared=True)
