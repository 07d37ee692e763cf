"""Arrays handed in are never written or kept; arrays handed out are never live.

Bit by bit: parameters and gradients are as they were after a step, writing to them later changes nothing, and neither
does writing to what `params` and `state` returned; what was returned earlier does not change with a step.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import SHARED, module_law
from deva_conformance.laws._steps import copied, moment, reference, same, same_moment


def overwrite(arrays: Mapping[str, Any]) -> None:
    """Fill every array that can be written."""
    for x in arrays.values():
        if isinstance(x, Mapping):
            overwrite(x)
        elif isinstance(x, np.ndarray) and x.flags.writeable:
            x[...] = 7


def check(subject: Subject, case: Case) -> float:
    """Write to everything that passes the border, and compare with a run where nothing was written."""
    given, grads = case.params(), [case.gradients(k) for k in range(case.steps)]
    run = subject.start(case.rule, given)
    same("start wrote to its arguments:", case.params(), given)
    overwrite(given)
    for k, g in enumerate(grads):
        early, early_state = run.params, run.state
        snapshot, state_snapshot = copied(early), copied(early_state)
        run.step(g)
        _ = run.params, run.state  # where something is handed out alive, asking again writes into it
        same("step wrote to the gradients:", case.gradients(k), g)
        same("earlier params changed with a step:", snapshot, early)
        same("earlier state changed with a step:", state_snapshot, early_state)
        overwrite(g)
        overwrite(run.params)
        overwrite(run.state)
    clean, end = reference(subject, case).end, moment(run)
    same_moment("writing to arrays that passed the border changes the run", clean, end)
    return 0.0


LAW = module_law("purity", check, __doc__, domain=SHARED, shared=True)
