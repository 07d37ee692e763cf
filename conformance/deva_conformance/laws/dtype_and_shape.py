"""A step keeps every dtype and shape; the state is float32 or wider, with its documented fields.

Parameters keep theirs; state fields carry the names of the rule's `State` and `step`, a count from 0; they are float64
beside float64 parameters, float32 or wider otherwise, and none changes its shape or dtype from step to step. Parameters
without entries (looked at under the default hyperparameters) stay as they are and stop nothing.
"""

from dataclasses import replace

import numpy as np

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import SHARED, module_law
from deva_conformance.laws._steps import Moment, begin, copied, equal, moment, need, reference, rule_for


def check_parameter(case: Case, name: str, start: Moment, now: Moment, k: int) -> None:
    """One parameter after k steps."""
    problem = case.problems[int(name[1:])]
    W, fields = now.params[name], dict(now.state[name])
    given = start.params[name]
    need(W.dtype.name == problem.dtype, f"{name} became {W.dtype.name} after {k} steps, was {problem.dtype}")
    need(W.shape == problem.shape, f"{name} has the shape {W.shape} after {k} steps, had {problem.shape}")
    need("step" in fields, f"{name} has a state without its step")
    need(int(fields.pop("step")) == k, f"{name}.step is {now.state[name]['step']} after {k} steps")
    documented = set(rule_for(case.rule, problem.shape).State._fields)
    need(set(fields) == documented, f"{name} has the state {sorted(fields)}, documented are {sorted(documented)}")
    least = 8 if given.dtype == np.float64 else 4
    for field, x in fields.items():
        wide_enough = x.dtype.kind == "f" and x.dtype.itemsize >= least
        need(wide_enough, f"{name}.{field} is {x.dtype.name} beside a {problem.dtype} parameter")
        first = start.state[name][field]
        same = (x.shape, x.dtype) == (first.shape, first.dtype)
        need(same, f"{name}.{field} changed from {first.dtype}{first.shape} to {x.dtype}{x.shape}")


def check_empty(subject: Subject, case: Case) -> None:
    """One step with empty parameters beside another."""
    first = case.problems[0]
    empty = {"no_rows": np.zeros((0, 4), first.weights().dtype), "no_columns": np.zeros((3, 0), first.weights().dtype)}
    run = begin(subject, case.rule, {**empty, "p0": first.weights()})
    run.step({**copied(empty), "p0": first.gradient(0)})
    now = moment(run)
    for name, W in empty.items():
        found = now.params[name]
        need((found.shape, found.dtype) == (W.shape, W.dtype), f"{name} became {found.dtype}{found.shape}")
    equal(
        "p0 beside empty parameters",
        now.params["p0"],
        reference(subject, replace(case, problems=(first,), steps=1)).end.params["p0"],
    )


def check(subject: Subject, case: Case) -> float:
    """Look at dtypes, shapes and names before and after each step."""
    if case.rule == type(case.rule)():
        check_empty(subject, case)
    moments = reference(subject, case).moments
    for k, now in enumerate(moments):
        for name in now.params:
            check_parameter(case, name, moments[0], now, k)
    return 0.0


LAW = module_law("dtype-and-shape", check, __doc__, domain=SHARED, shared=True)
