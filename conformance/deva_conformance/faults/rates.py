"""Faults in what a learning rate does to the two halves."""

from dataclasses import replace
from typing import Any

import numpy as np

from deva_conformance.faults.arithmetic import as_class
from deva_conformance.faults.hooks import Fault
from deva_core import AdaGO, Muon, hyperparameters
from deva_core.elementwise import descent
from deva_core.linalg import polar


def with_vector_rule(change: Any) -> Any:
    """Another vector rule than the one asked for, where one was."""

    def changed(options: dict) -> dict:
        given = options.get("vector_rule")
        return options if given is None else options | {"vector_rule": change(given)}

    return changed


def at_its_default(vector: Any) -> Any:
    """The vector rule at its class's lr, as if that had been given: it follows nothing."""
    return vector if vector.lr_given else type(vector)(**values(vector), lr=type(vector).default("lr"))


def without_its_lr(vector: Any) -> Any:
    """The vector rule as if it had been given no lr: it follows the matrix rule's."""
    return type(vector)(**values(vector))


def values(rule: Any) -> dict[str, Any]:
    """What a rule was constructed from, but for its lr."""
    return {name: getattr(rule, name) for name in hyperparameters(rule) if name != "lr"}


def unfloored(rule: Any) -> Any:
    """No floor where it is the default one."""
    return replace(rule, min_step=0.0) if getattr(rule, "min_step", 0.0) is None else rule


class FloorAtZero(AdaGO):
    """The floor moves the parameter whatever the lr."""

    def least(self, b):
        """A number, unconditionally."""
        return super().least(b) if self.min_step is None else self.min_step


class DecayAtZero(Muon):
    """Decay is divided by the lr and multiplied back, "safely"."""

    def update(self, G, S, W, t, b):
        """`lr or 1` in the decay."""
        M, N = self.momenta(S.momentum, G, t, b)
        O = polar(N, self.orthogonalization, b)
        decay = (self.lr or 1.0) * self.weight_decay
        return descent(O, self.lr * self.shape_factor(W), W, decay, b), self.State(momentum=M)


def with_lr(vector: Any, change: Any) -> Any:
    """The vector rule with another lr, where it was given one."""
    return replace(vector, lr=change(vector.lr)) if vector.lr_given else vector


def read_once(lr: Any) -> Any:
    """A schedule's first value."""
    return lr(0) if callable(lr) else lr


def default_as_absent(vector: Any) -> Any:
    """The vector rule without its lr where that is the default's number."""
    return without_its_lr(vector) if vector.lr == type(vector).default("lr") else vector


def late(vector: Any) -> Any:
    """A vector rule whose schedule is one update ahead."""
    return with_lr(vector, lambda lr: (lambda count: lr(count + 1)) if callable(lr) else lr)


def frozen_below(least: float) -> Any:
    """An lr below a threshold counts as zero."""

    def changed(rule: Any) -> Any:
        return rule if callable(rule.lr) or rule.lr >= least else rule.with_values(lr=0.0 * rule.lr)

    return changed


class StoppedAtZero(Muon):
    """At lr zero the whole step is skipped, states too."""

    def update(self, G, S, W, t, b):
        """Nothing."""
        return super().update(G, S, W, t, b) if self.lr else (b.xp.zeros_like(W), S)


class FirstFloor(AdaGO):
    """The default floor is that of the first lr, and follows no schedule."""

    def at(self, count, cast=lambda array: array):
        """The floor of update 0."""
        rule, lr = super().at(count, cast), read_once(self.lr)
        return rule.with_values(min_step=lr / 100) if callable(self.lr) and self.min_step is None else rule


FAULTS = {
    "vector-schedule-once": Fault(
        about="the vector rule's schedule is read once",
        law="learning-rate",
        options=with_vector_rule(lambda vector: with_lr(vector, read_once)),
    ),
    "vector-schedule-ahead": Fault(
        about="the vector rule's schedule is one update ahead", law="learning-rate", options=with_vector_rule(late)
    ),
    "vector-lr-single": Fault(
        about="the vector rule's lr passes through float32",
        law="learning-rate",
        options=with_vector_rule(
            lambda vector: with_lr(vector, lambda lr: lr if callable(lr) else float(np.float32(lr)))
        ),
    ),
    "given-default-follows": Fault(
        about="an lr that is the default's number counts as not given",
        law="learning-rate",
        options=with_vector_rule(default_as_absent),
    ),
    "small-lr-frozen": Fault(about="an lr below 1e-9 freezes", law="learning-rate", rule=frozen_below(1e-9)),
    "stopped-at-zero": Fault(
        about="at lr 0 the state stands still too", law="learning-rate", rule=as_class(StoppedAtZero)
    ),
    "first-floor": Fault(
        about="the default floor follows no schedule", law="schedules", on=AdaGO, rule=as_class(FirstFloor)
    ),
    "vector-lr-default": Fault(
        about="the vector half stays at its rule's default lr",
        law="learning-rate",
        options=with_vector_rule(at_its_default),
    ),
    "vector-lr-shared": Fault(
        about="an lr given to the vector rule is discarded",
        law="learning-rate",
        options=with_vector_rule(without_its_lr),
    ),
    "floor-at-zero": Fault(
        about="a floor that moves frozen matrices", law="learning-rate", on=AdaGO, rule=as_class(FloorAtZero)
    ),
    "decay-at-zero": Fault(about="decay where lr is 0", law="learning-rate", rule=as_class(DecayAtZero)),
    "floor-lost": Fault(about="no floor by default", law="oracle", on=AdaGO, rule=unfloored),
}
