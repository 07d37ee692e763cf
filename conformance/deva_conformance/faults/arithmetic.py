"""Faults in hyperparameters and in the arithmetic of a rule."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from deva_conformance.faults.hooks import Fault
from deva_conformance.faults.operations import bits
from deva_conformance.faults.rules import (
    Amsgrad,
    AveragedNorms,
    DecayWithoutLr,
    DoubleDamping,
    EpsInside,
    FirstBasisOnly,
    LateCorrection,
    LateGradient,
    MissingRoot,
    NarrowPolar,
    NormOfBatch,
    RefreshedFromZero,
    RowsOnly,
    StoppedSum,
    TrustRatio,
    UnclippedSum,
    Uncorrected,
    Unpermuted,
    Unrotated,
)
from deva_core import AdaGO, AdamW, DeVA, DeVAVector, Rule, hyperparameters


def scaled(value: Any, factor: float) -> Any:
    """A number or a schedule, times a factor."""
    if callable(value):
        function: Any = value
        return lambda t: factor * function(t)
    return factor * value


def times(name: str, factor: float) -> Callable[[Any], Rule]:
    """A hyperparameter off by a factor, schedules included."""

    def changed(rule: Any) -> Rule:
        value: Any = getattr(rule, name, None)
        if value is None:
            return rule
        return rule.with_values(**{name: scaled(value, factor)})

    return changed


def fixed(**values: Any) -> Callable[[Any], Rule]:
    """Structural hyperparameters set, whatever was asked for."""
    return lambda rule: rule.with_values(**{n: v for n, v in values.items() if n in hyperparameters(rule)})


def flipped(name: str) -> Callable[[Any], Rule]:
    """A yes or no the other way."""
    return lambda rule: rule.with_values(**{name: not getattr(rule, name)}) if hasattr(rule, name) else rule


def as_class(kind: type[Rule]) -> Callable[[Any], Rule]:
    """The rule as a faulty subclass."""

    def changed(rule: Any) -> Rule:
        if not issubclass(kind, type(rule)) or not isinstance(rule, Rule):
            return rule
        return kind().with_values(**{n: getattr(rule, n) for n in hyperparameters(rule)})

    return changed


def shifted(f: Callable[[Any], Any], shift: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A schedule called with another count."""
    return lambda t: f(shift(t))


def scheduled(shift: Callable[[Any], Any]) -> Callable[[Any], Rule]:
    """Schedules called with another count."""

    def changed(rule: Any) -> Rule:
        moved = {n: getattr(rule, n) for n in hyperparameters(rule) if callable(getattr(rule, n))}
        return rule.with_values(**{n: shifted(f, shift) for n, f in moved.items()})

    return changed


def capped(most: float) -> Callable[[Any], Rule]:
    """A learning rate that is quietly limited."""

    def changed(rule: Any) -> Rule:
        lr = rule.lr
        return rule if callable(lr) else rule.with_values(lr=min(lr, most))

    return changed


def narrow_coefficients(rule: Any) -> Any:
    """Newton–Schulz coefficients as bfloat16 holds them."""
    table = getattr(rule, "ns_coefficients", "exact")
    return rule if table == "exact" else rule.with_values(ns_coefficients=rounded(table))


def rounded(table: Any) -> Any:
    """Numbers, or tuples of them, to 8 significant bits."""
    return tuple(map(rounded, table)) if isinstance(table, tuple) else float(bits(np.float64(table), 8))


FAULTS = {
    "bf16-polar": Fault(about="fused Newton–Schulz in bfloat16", law="oracle", rule=as_class(NarrowPolar)),
    "bf16-coefficients": Fault(
        about="coefficients rounded to bfloat16", law="oracle", on=AdaGO, rule=narrow_coefficients
    ),
    "lr-off": Fault(about="lr off by 0.1 %", law="oracle", rule=times("lr", 1.001)),
    "momentum-off": Fault(about="momentum off by 0.1 %", law="oracle", rule=times("momentum", 0.999)),
    "decay-off": Fault(
        about="weight decay off by 0.1 %", law="exact-decay", on=AdaGO, rule=times("weight_decay", 1.001)
    ),
    "rms-off": Fault(about="rms off by 0.1 %", law="oracle", on=DeVA, rule=times("rms", 1.001)),
    "max-norm-off": Fault(about="max_norm off by 0.1 %", law="oracle", on=AdaGO, rule=times("max_norm", 1.001)),
    "min-step-lost": Fault(about="no floor under the step", law="oracle", on=AdaGO, rule=times("min_step", 0.0)),
    "accumulator-start": Fault(
        about="v² starts 0.1 % too large", law="oracle", on=AdaGO, rule=times("initial_accumulator_value", 1.001)
    ),
    "eps-tenfold": Fault(about="eps ten times too large", law="oracle", on=AdamW, rule=times("eps", 10)),
    "betas-equal": Fault(
        about="β₁ used for both averages", law="oracle", on=DeVAVector, rule=lambda r: r.with_values(beta2=r.beta1)
    ),
    "decay-lost": Fault(about="weight decay dropped", law="exact-decay", rule=times("weight_decay", 0.0)),
    "lr-capped": Fault(about="lr limited to 2", law="linearity", rule=capped(2.0)),
    "four-steps": Fault(
        about="one Newton–Schulz step lost", law="oracle", rule=lambda r: r.with_values(ns_steps=max(1, r.ns_steps - 1))
    ),
    "nesterov-flipped": Fault(about="Nesterov the other way", law="oracle", rule=flipped("nesterov")),
    "instant": Fault(
        about="statistics always of the momentum", law="oracle", on=DeVA, rule=fixed(statistics="momentum")
    ),
    "signs-ignored": Fault(
        about="sign stabilisation ignored", law="oracle", on=DeVA, rule=fixed(sign_stabilization=False)
    ),
    "corrected-always": Fault(about="bias always corrected", law="oracle", on=DeVA, rule=fixed(bias_correction=True)),
    "no-dead-zone": Fault(about="sign() of noise", law="well-posedness", on=DeVA, rule=fixed(dead_zone=0.0)),
    "eigh-always": Fault(
        about="published bases instead of ours", law="well-posedness", on=DeVA, rule=fixed(basis="eigh")
    ),
    "absolute-eps": Fault(about="eps not relative to V", law="scale", on=DeVA, rule=fixed(eps_mode="absolute")),
    "lagged": Fault(about="the first call only builds bases", law="oracle", on=DeVA, rule=fixed(timing="lagged")),
    "momentum-numerator": Fault(
        about="numerator of the momentum's norms", law="oracle", on=DeVA, rule=fixed(numerator="momentum")
    ),
    "decay-after": Fault(about="decay of the parameter moved", law="oracle", on=DeVA, rule=fixed(decay="after")),
    "dimension-ignored": Fault(
        about="max_precondition_dim ignored", law="refresh-cadence", on=DeVA, rule=fixed(max_precondition_dim=10000)
    ),
    "schedule-early": Fault(about="schedules one update early", law="schedules", rule=scheduled(lambda t: t + 1)),
    "schedule-frozen": Fault(about="schedules read once", law="schedules", on=AdaGO, rule=scheduled(lambda t: 0)),
    "refresh-late": Fault(
        about="refreshed one update late",
        law="refresh-cadence",
        on=DeVA,
        rule=lambda r: replace(r, precondition_frequency=1 + r.precondition_frequency) if isinstance(r, DeVA) else r,
    ),
    "refresh-shifted": Fault(
        about="refreshes counted from zero", law="refresh-cadence", on=DeVA, rule=as_class(RefreshedFromZero)
    ),
    "first-basis": Fault(about="one basis for ever", law="refresh-cadence", on=DeVA, rule=as_class(FirstBasisOnly)),
    "unrotated": Fault(about="momentum not rotated", law="oracle", on=DeVA, rule=as_class(Unrotated)),
    "unpermuted": Fault(
        about="V not reordered (29 % measured, numerics §5.4)", law="oracle", on=DeVA, rule=as_class(Unpermuted)
    ),
    "no-root": Fault(about="Γ without its root", law="oracle", on=DeVA, rule=as_class(MissingRoot)),
    "rows-only": Fault(about="Γ from rows alone", law="transposition", on=DeVA, rule=as_class(RowsOnly)),
    "late-correction": Fault(
        about="bias correction of another step", law="oracle", on=DeVA, rule=as_class(LateCorrection)
    ),
    "lars": Fault(about="a trust ratio", law="exact-decay", rule=as_class(TrustRatio)),
    "decay-without-lr": Fault(about="decay not times lr", law="exact-decay", rule=as_class(DecayWithoutLr)),
    "double-damping": Fault(about="first gradient damped twice", law="oracle", rule=as_class(DoubleDamping)),
    "late-gradient": Fault(about="a direction one gradient behind", law="oracle", rule=as_class(LateGradient)),
    "unclipped-sum": Fault(about="the sum is not clipped", law="oracle", on=AdaGO, rule=as_class(UnclippedSum)),
    "averaged-norms": Fault(about="an average, not a sum", law="step-length", on=AdaGO, rule=as_class(AveragedNorms)),
    "sum-stops": Fault(about="the sum stops after 48 updates", law="step-length", on=AdaGO, rule=as_class(StoppedSum)),
    "eps-inside": Fault(about="ε under the root", law="oracle", on=AdamW, rule=as_class(EpsInside)),
    "amsgrad": Fault(about="v never falls", law="oracle", on=AdamW, rule=as_class(Amsgrad)),
    "uncorrected": Fault(about="no bias correction", law="oracle", on=AdamW, rule=as_class(Uncorrected)),
    "batch-norm": Fault(about="one norm for a stack", law="batched", rule=as_class(NormOfBatch)),
}
