"""The laws, one module each. An id is stable: reports, expected failures and pages refer to it."""

from deva_conformance.laws import (
    bad_hyperparameters,
    batched,
    determinism,
    dtype_and_shape,
    exact_decay,
    independence,
    missing_gradient,
    oracle_agreement,
    purity,
    refresh_cadence,
    rotation,
    scale,
    schedules,
    transposition,
    zero_gradient,
)
from deva_conformance.laws._law import Broken as Broken
from deva_conformance.laws._law import Domain as Domain
from deva_conformance.laws._law import Law as Law
from deva_conformance.laws._law import NotSupported as NotSupported

LAWS: tuple[Law, ...] = (
    oracle_agreement.LAW,
    transposition.LAW,
    rotation.LAW,
    scale.LAW,
    zero_gradient.LAW,
    purity.LAW,
    dtype_and_shape.LAW,
    batched.LAW,
    independence.LAW,
    missing_gradient.LAW,
    exact_decay.LAW,
    schedules.LAW,
    bad_hyperparameters.LAW,
    determinism.LAW,
    refresh_cadence.LAW,
)


def law(id: str) -> Law:
    """The law with this id."""
    return next(law for law in LAWS if law.id == id)
