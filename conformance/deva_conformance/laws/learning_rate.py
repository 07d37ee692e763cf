"""A learning rate means what it says, in both halves: of matrices, and of the vector beside them.

From one start, bit by bit: (a) a schedule that always returns the number is the number, whether the vector rule has an lr
of its own or follows; (b) 64 times the lr, decay apart, walks every parameter 64 times as far, and an lr given to the
vector rule stays what it is; (d) at lr 0 nothing moves, decay and AdaGO's floor included. Domain: every rule; (b) where a
rule's steps are linear (`Rule.is_linear`), which AdaGO's are not above a floor that is a number. Not float16, where such
steps are subnormal.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from deva_conformance.cases import Case, Problem
from deva_conformance.driver import Subject
from deva_conformance.laws._law import ROOMY, Domain, module_law
from deva_conformance.laws._steps import Arrays, Moment, ask_for, equal, same, same_moment, walk
from deva_conformance.laws.bad_hyperparameters import Constant
from deva_core import Rule
from deva_core.vector_half import default_vector_rule

FACTOR = 64
RATE, VECTOR_RATE = 2.0**-6, 2.0**-9
DECAY = 0.25


def with_vector(case: Case) -> Case:
    """The case; under a matrix rule, with a vector beside its matrices."""
    first = case.problems[0]
    beside = Problem("gaussian", (5,), 1.0, first.seed + 7, first.dtype)
    return replace(case, problems=(*case.problems, beside)) if case.rule.matrix else case


def without_decay(rule: Rule) -> Rule:
    """The rule, decaying nothing; its lr given or not as before."""
    return replace(rule, weight_decay=0.0) if "weight_decay" in rule.__dataclass_fields__ else rule


class Halves:
    """Runs of a case at several learning rates, each beside a vector rule."""

    def __init__(self, subject: Subject, case: Case) -> None:
        self.subject, self.grads = subject, [case.gradients(k) for k in range(case.steps)]
        self.rule: Any = without_decay(case.rule)
        self.vectors = {name for name, p in zip(self.grads[0], case.problems, strict=True) if len(p.shape) < 2}
        self.follower = without_decay(default_vector_rule(self.rule))
        self.own = replace(self.follower, lr=VECTOR_RATE)

    def walk(self, vector_rule: Rule, params: Arrays | None = None, **changes: Any) -> Moment:
        """A run from zero, or from these parameters."""
        start = {name: np.zeros_like(G) for name, G in self.grads[0].items()} if params is None else params
        options = ask_for(self.subject, vector_rule=vector_rule) if self.rule.matrix else {}
        return walk(self.subject, replace(self.rule, **changes), start, self.grads, **options)


def check(subject: Subject, case: Case) -> float:
    """Each promise in turn."""
    case = with_vector(case)
    halves = Halves(subject, case)
    rate = halves.rule.lr
    near = halves.walk(halves.follower)
    same_moment("lr as a number and as a schedule", near, halves.walk(halves.follower, lr=Constant(rate)))
    if halves.rule.is_linear:
        is_linear(near, halves.walk(halves.follower, lr=FACTOR * rate))
    if halves.rule.matrix:
        stands(halves, rate)
    stays(halves, case.params())
    return 0.0


def is_linear(near: Moment, far: Moment) -> None:
    """(b): parameters are 64 times as far, states the same."""
    for name, X in near.params.items():
        equal(f"{name}: {FACTOR} times a run and a run at {FACTOR} times its lr", FACTOR * X, far.params[name])
    same("states at two learning rates:", near.state, far.state)


def stands(halves: Halves, rate: float) -> None:
    """(a) and (b) for an lr given to the vector rule."""
    near = halves.walk(halves.own)
    same_moment("lr as a number and as a schedule, vector lr given", near, halves.walk(halves.own, lr=Constant(rate)))
    far = halves.walk(halves.own, lr=FACTOR * rate)
    for name in halves.vectors:
        label = f"{name}: its own lr {VECTOR_RATE:g} at two learning rates of the matrices"
        equal(label, near.params[name], far.params[name])


def stays(halves: Halves, params: Arrays) -> None:
    """(d): the parameters bit by bit as they were."""
    decay = {"weight_decay": DECAY} if "weight_decay" in halves.rule.__dataclass_fields__ else {}
    end = halves.walk(default_vector_rule(halves.rule), params, lr=0.0, **decay)
    for name, W in params.items():
        equal(f"{name} before and after steps at lr 0", W, end.params[name])


LAW = module_law(
    "learning-rate",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: "lr" in rule.__dataclass_fields__,
        restricted=lambda rule: {"lr": (RATE,)},
        matrix_panels=(((3, 5),), ((4, 4),), ((6, 1),)),
        vector_panels=(((5,),), ((3, 4),)),
        dtypes=ROOMY,
        steps=3,
    ),
)
