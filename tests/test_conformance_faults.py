"""The kit is tested by faults: each is killed by the law that speaks of it, and legal variants live."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from deva_conformance import LAWS, Broken, Subject, from_namespace, law, load
from deva_conformance.faults import FAULTS, LEGAL, MUSEUM
from deva_conformance.faults.table import killers, naive, tried
from deva_conformance.laws.oracle_agreement import NARROW_TIES
from deva_conformance.plan import PROFILES
from deva_conformance.runner import run_law
from deva_conformance.tolerance import THRESHOLD
from deva_core import DeVA, Muon


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_killed_by_its_law(name):
    """With a cause in one line and a case to reproduce it."""
    fault = FAULTS[name]
    result = tried(law(fault.law), fault, Subject(name, fault))
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
    assert {law.id for law in LAWS} == {fault.law for fault in FAULTS.values()}


def test_a_naive_comparison_of_one_step_lets_most_of_them_live():
    """What peers do, beside: fewer than half."""
    assert sum(map(naive, FAULTS.values())) < len(FAULTS) / 2


ALONE = {
    "oracle": "accumulator-start",
    "enclosure": "forty-nine-bits",
    "operations": "qr-warp",
    "transposition": "with-transposed",
    "rotation": "compressed-large",
    "permutation": "narrow-tail",
    "scale": "flushed-deep",
    "zero-gradient": "zero-to-nan",
    "purity": "params-alive",
    "dtype-and-shape": "extra-field",
    "batched": "square-stacks",
    "independence": "nan-spreads",
    "missing-gradient": "none-as-zero",
    "exact-decay": "tiny-undecayed",
    "schedules": "first-floor",
    "bad-hyperparameters": "schedules-unchecked",
    "determinism": "fused-unread",
    "refresh-cadence": "dimension-ignored",
    "well-posedness": "stalled-eigh",
    "singular-values": "cheaper-when-large",
    "step-length": "sum-stops",
    "linearity": "lr-capped",
    "learning-rate": "vector-lr-default",
    "long-run": "tenth-lost",
    "layouts": "conv-axes",
    "save-load": "load-no-steps",
    "replacements": "generic-path",
    "strides": "by-memory-start",
    "compiled": "gram-never-compiled",
}
"""For every law a fault that no other law kills: a law without one would be merged with a sister."""


def test_no_law_is_without_a_fault_of_its_own():
    """All of them."""
    assert set(ALONE) == {law.id for law in LAWS}


@pytest.mark.parametrize("id", ALONE)
def test_a_law_kills_what_no_other_kills(id):
    """So none of these can be merged with another."""
    assert killers(ALONE[id], FAULTS[ALONE[id]]) == (id,)


@pytest.mark.parametrize("cell", [1.234567e-4, 1e-5, 4e-6, 2e-6, 1e-7, 1e-9])
def test_another_cell_in_the_specification_is_not_deva(cell, monkeypatch):
    """The cell decides the order of quotients that are nearly tied; the oracle has its own."""
    monkeypatch.setattr("deva_core.basis.CELL", cell)
    subject, broken = from_namespace("numpy"), []
    for case in NARROW_TIES:
        try:
            law("oracle").check(subject, case)
        except Broken as cause:
            broken.append(str(cause))
    assert any("_basis at update" in cause for cause in broken), broken
    assert run_law(law("oracle"), DeVA, subject, PROFILES["quick"]).status == "fail"


AROUND_TORCH = [
    "lr-off", "decay-lost", "lr-capped", "half-gradients", "saturated", "nan-spreads", "missing-as-zero", "twins-swapped",
    "first-of-stack", "stack-reversed", "zero-kicked", "half-state", "no-step", "params-alive", "second-lost", "tenth-lost",
    "schedule-early", "load-nothing", "conv-axes", "tiny-undecayed", "fused-unread", "compressed-large",
]  # fmt: skip
"""Faults at every border of a backend: rule, gradients, parameters, state, options, checkpoints."""

AROUND_JAX = ["decay-lost", "nan-repaired", "no-step", "missing-repeated", "generic-path"]


def killed_around(backend: str, name: str) -> None:
    """The law that is named for a fault kills it on another backend, and accepts that backend without it."""
    fault, start = FAULTS[name], load(backend).start
    assert fault.backend is None
    faulty = tried(law(fault.law), fault, Subject(name, fault.around(start)), costly=backend == "jax")
    assert faulty.broken, faulty
    honest = tried(law(fault.law), fault, Subject("plain", LEGAL["plain"].around(start)), costly=backend == "jax")
    assert honest.status == "pass", honest.line


@pytest.mark.parametrize("name", AROUND_TORCH)
def test_a_fault_around_torch_is_killed_by_its_law(name):
    """The laws do not depend on the backend that the faults were written on."""
    pytest.importorskip("torch")
    killed_around("torch", name)


@pytest.mark.parametrize("name", AROUND_JAX)
def test_a_fault_around_jax_is_killed_by_its_law(name):
    """Few cases must do, as each compiles."""
    pytest.importorskip("jax")
    killed_around("jax", name)


def test_the_page_of_faults_lists_those_there_are():
    """Each with the law that is named for it, which kills it; `python -m deva_conformance.faults --write docs/faults.md`."""
    page = (Path(__file__).parent.parent / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| .*? \| \*\*([\w-]+)\*\* \| ", page, re.MULTILINE)
    assert rows == [(name, fault.on.__name__, fault.law) for name, fault in FAULTS.items()]
    laws = re.findall(r"^\| `([\w-]+)` \| \d+ \| (.*) \|$", page, re.MULTILINE)
    assert [law for law, _ in laws] == [law.id for law in LAWS]
    assert all(ALONE[law] in alone.split(", ") for law, alone in laws)
    assert re.findall(r"^\| `([^`]+)` \| [A-Z]\w+ \| [^|]* \|$", page, re.MULTILINE) == list(LEGAL)
    assert f"{len(FAULTS)} of {len(FAULTS)} faults" in page
    assert f"| legal variants rejected by the kit | 0 of {len(LEGAL)} |" in page


@pytest.mark.parametrize("case", NARROW_TIES, ids=lambda case: f"{case.problems[0].shape} {case.problems[0].dtype}")
def test_honest_backends_agree_on_near_ties(case, start):
    """In float64 on the order, in float32 as far as it can be told."""
    assert law("oracle").check(Subject("honest", start), case) < THRESHOLD


def rescaled(rule, params, *, vector_rule=None, **options):
    """An lr given to the vector rule follows the matrix rule's where that is a number."""
    if vector_rule is not None and vector_rule.lr_given and not callable(rule.lr) and not callable(vector_rule.lr):
        vector_rule = replace(vector_rule, lr=vector_rule.lr * rule.lr / type(rule).default("lr"))
    return from_namespace("numpy").start(rule, params, vector_rule=vector_rule, **options)


def test_a_given_learning_rate_is_looked_at_beside_a_number_too():
    assert run_law(law("learning-rate"), Muon, Subject("rescaled", rescaled), PROFILES["quick"]).broken
