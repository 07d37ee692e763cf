"""A learning rate means what it says, in both halves: of matrices, and of the vector beside them.

From one start:

- a schedule that always returns the number is the number, in both halves;
- 64 times the lr, decay apart, walks every parameter 64 times as far;
- the vector moves as its rule alone does at the matrix rule's lr times the ratio, or at the lr that it was given: a number, its
  rule's default, or a schedule, be the matrix rule's lr a number or a schedule;
- at lr 0, as a number or from a schedule, no parameter moves, by decay or by AdaGO's floor, and states go on.

Bit by bit, but for the third, whose two runs may round otherwise: within 64 roundings of the distance walked. Domain: every rule,
at rates from 2^-40 to 1; the second where a rule's steps are linear (`Rule.is_linear`), which AdaGO's are not above a floor
that is a number. Not float16, where such steps are subnormal.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from deva_conformance.cases import Case, Problem
from deva_conformance.driver import Subject
from deva_conformance.laws._law import ROOMY, Domain, module_law
from deva_conformance.laws._steps import Arrays, Moment, ask_for, equal, need, same, same_moment, values, walk
from deva_conformance.laws.bad_hyperparameters import Constant
from deva_conformance.laws.schedules import Ramp
from deva_conformance.physical import wide
from deva_conformance.tolerance import norm, unit_roundoff
from deva_core import Rule
from deva_core.vector_half import default_vector_rule, vector_lr_ratio

FACTOR = 64
RATES = (2.0**-6, 2.0**-40)
VECTOR_RATE = 0.0013
RAMP, VECTOR_RAMP = Ramp(0.013, 0.0031), Ramp(0.0029, -0.0007)
"""Schedules; their values are no short binary numbers, so that a learning rate that was rounded on its way shows."""
ROUNDINGS = 64
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
        self.follower: Any = without_decay(default_vector_rule(self.rule))

    def walk(self, vector_rule: Rule, params: Arrays | None = None, **changes: Any) -> Moment:
        """A run from zero, or from these parameters."""
        start = {name: np.zeros_like(G) for name, G in self.grads[0].items()} if params is None else params
        options = ask_for(self.subject, vector_rule=vector_rule) if self.rule.matrix else {}
        return walk(self.subject, replace(self.rule, **changes), start, self.grads, **options)

    def given(self) -> dict[str, Rule]:
        """The vector rule beside a scheduled matrix rule: following, and with learning rates of its own."""
        default = type(self.follower).default("lr")
        lrs = {f"the number {VECTOR_RATE:g}": VECTOR_RATE, "its default, given": default, "a schedule": VECTOR_RAMP}
        return {"following": self.follower} | {words: self.with_lr(lr) for words, lr in lrs.items()}

    def with_lr(self, lr: Any) -> Rule:
        """The vector rule, given this lr."""
        return type(self.follower)(**{**values(self.follower), "lr": lr})

    def alone(self, vector_rule: Rule) -> Moment:
        """The vector moved by its rule and nothing else; one that follows, at the matrix rule's lr times the ratio."""
        if not vector_rule.lr_given:
            ratio = vector_lr_ratio(self.rule, vector_rule) or 0.0
            vector_rule = self.with_lr(Ramp(RAMP.first * ratio, RAMP.slope * ratio))
        grads = [{name: G[name] for name in self.vectors} for G in self.grads]
        return walk(self.subject, vector_rule, {name: np.zeros_like(G) for name, G in grads[0].items()}, grads)


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
        for given, own in halves.given().items():
            stands(halves, given, own)
    stays(halves, case.params(), near)
    return 0.0


def is_linear(near: Moment, far: Moment) -> None:
    """Parameters are 64 times as far, states the same."""
    for name, X in near.params.items():
        equal(f"{name}: {FACTOR} times a run and a run at {FACTOR} times its lr", FACTOR * X, far.params[name])
    same("states at two learning rates:", near.state, far.state)


def stands(halves: Halves, given: str, own: Rule) -> None:
    """The vector moves as its rule alone, beside a matrix rule whose lr is scheduled; given a number, also beside a number."""
    alone, is_number = halves.alone(own), own.lr_given and not callable(getattr(own, "lr", None))
    runs = [halves.walk(own, lr=RAMP), *([halves.walk(own)] if is_number else [])]
    for name, expected in alone.params.items():
        error = max(norm(wide(beside.params[name]) - wide(expected)) for beside in runs)
        bound = ROUNDINGS * unit_roundoff(expected.dtype) * norm(wide(expected))
        need(error <= bound, f"{name}: beside a matrix rule not as alone, its lr {given}; off by {error:.3g}")


def stays(halves: Halves, params: Arrays, near: Moment) -> None:
    """The parameters bit by bit as they were; states as at any other lr."""
    vector = replace(halves.follower, **decay_of(halves.follower))
    for lr in (0.0, Constant(0.0)):
        end = halves.walk(vector, params, lr=lr, **decay_of(halves.rule))
        for name, W in params.items():
            equal(f"{name} before and after steps at lr {lr}", W, end.params[name])
        same("states at lr 0:", near.state, end.state)


def decay_of(rule: Rule) -> dict[str, float]:
    """A weight decay that shows, where the rule has one."""
    return {"weight_decay": DECAY} if "weight_decay" in rule.__dataclass_fields__ else {}


LAW = module_law(
    "learning-rate",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: "lr" in rule.__dataclass_fields__,
        restricted=lambda rule: {"lr": RATES},
        matrix_panels=(((3, 5),), ((4, 4),), ((6, 1),)),
        vector_panels=(((5,),), ((3, 4),)),
        dtypes=ROOMY,
        steps=3,
    ),
)
