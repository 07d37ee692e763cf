"""The laws, one module each. An id is stable: reports, expected failures and pages refer to it."""

from deva_conformance.laws import (
    bad_hyperparameters,
    batched,
    compiled,
    determinism,
    dtype_and_shape,
    enclosure,
    exact_decay,
    independence,
    layouts,
    learning_rate,
    linearity,
    long_run,
    missing_gradient,
    operations,
    oracle_agreement,
    permutation,
    purity,
    refresh_cadence,
    replacements,
    rotation,
    save_load,
    scale,
    schedules,
    singular_values,
    step_length,
    strides,
    transposition,
    well_posedness,
    zero_gradient,
)
from deva_conformance.laws._law import Broken as Broken
from deva_conformance.laws._law import Domain as Domain
from deva_conformance.laws._law import Law as Law
from deva_conformance.laws._law import NotSupported as NotSupported

LAWS: tuple[Law, ...] = (
    oracle_agreement.LAW,
    enclosure.LAW,
    operations.LAW,
    transposition.LAW,
    rotation.LAW,
    permutation.LAW,
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
    well_posedness.LAW,
    singular_values.LAW,
    step_length.LAW,
    linearity.LAW,
    learning_rate.LAW,
    long_run.LAW,
    layouts.LAW,
    save_load.LAW,
    replacements.LAW,
    strides.LAW,
    compiled.LAW,
)


def law(id: str) -> Law:
    """The law with this id."""
    return next(law for law in LAWS if law.id == id)
