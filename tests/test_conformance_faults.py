"""The kit is tested by faults: each is killed by the law that speaks of it, and legal variants live."""

import pytest

from deva_conformance import LAWS, Subject, law
from deva_conformance.faults import FAULTS, LEGAL, MUSEUM
from deva_conformance.faults.table import killers, naive
from deva_conformance.plan import PROFILES
from deva_conformance.runner import run_law


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_killed_by_its_law(name):
    """With a cause in one line and a case to reproduce it."""
    fault = FAULTS[name]
    result = run_law(law(fault.law), fault.on, Subject(name, fault), PROFILES["quick"])
    assert result.broken, result
    assert result.line.startswith(f"BROKEN {fault.law} {name} {fault.on.__name__} ")
    assert "\n" not in result.line
    assert result.identity


@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_variant_is_accepted(name):
    """By every law."""
    assert killers(name, LEGAL[name], profile="smoke") == ()


def test_there_are_enough_and_of_every_law():
    """A hundred faults, twenty-five from the museum with their source, fifteen legal variants; no law without a fault."""
    assert len(FAULTS) >= 100
    assert len(MUSEUM) >= 25
    assert len(LEGAL) >= 15
    assert all(": " in fault.about for fault in MUSEUM.values())
    elsewhere = {"bad-hyperparameters"}  # about rules, not backends: tests/test_conformance.py
    assert {law.id for law in LAWS} == {fault.law for fault in FAULTS.values()} | elsewhere


def test_a_naive_comparison_of_one_step_lets_most_of_them_live():
    """What peers do, beside: fewer than half."""
    assert sum(map(naive, FAULTS.values())) < len(FAULTS) / 2


ALONE = {
    "oracle": "accumulator-start",
    "transposition": "with-transposed",
    "scale": "flushed-deep",
    "zero-gradient": "zero-kicked",
    "purity": "params-alive",
    "dtype-and-shape": "extra-field",
    "batched": "square-stacks",
    "independence": "nan-spreads",
    "missing-gradient": "none-as-zero",
    "schedules": "deepspeed-half-schedule",
    "refresh-cadence": "dimension-ignored",
    "singular-values": "tail-dropped",
    "step-length": "sum-stops",
    "linearity": "lr-capped",
    "long-run": "tenth-lost",
    "layouts": "conv-axes",
    "save-load": "load-no-steps",
    "replacements": "generic-path",
    "strides": "by-memory-start",
    "compiled": "gram-never-compiled",
}
"""For a law a fault that no other law kills. The others say what the oracle says too, in words of their own and without
it (rotation, permutation, exact-decay, well-posedness), or name a cause that purity only meets (determinism)."""


@pytest.mark.parametrize("id", ALONE)
def test_a_law_kills_what_no_other_kills(id):
    """So none of these can be merged with another."""
    assert killers(ALONE[id], FAULTS[ALONE[id]]) == (id,)
