"""The oracle against published numbers and against what is known in closed form."""

import json
from pathlib import Path
from typing import Any

import array_api_compat.numpy as numpy_namespace
import numpy as np
import pytest

from deva_conformance import Subject, law, oracle
from deva_conformance.faults import Fault
from deva_conformance.noisy import Noisy
from deva_conformance.oracle.bases import CELL, canonical_first, canonical_orders
from deva_conformance.oracle.svd import jacobi
from deva_conformance.plan import PROFILES
from deva_conformance.runner import run_law
from deva_conformance.strategies import row, row_count, table
from deva_core import RULES, AdaGO, Backend, DeVAVector, Muon, Rule, hyperparameters

GOLDEN = json.loads((Path(__file__).parent / "golden" / "small.json").read_text(encoding="utf-8"))
ACCUMULATORS = (6.174527129, 15.17452713, 24.17452713)
"""AdaGO's v² after each update of the golden problem, as the specification prints them."""

JORDAN = (3.4445, -4.7750, 2.0315)
K = np.arange(1, 13, dtype=float)

MUON = dict(
    lr=0.02,
    momentum=0.95,
    weight_decay=0.1,
    nesterov=True,
    scale="original",
    rms=0.2,
    ns_coefficients=JORDAN,
    ns_steps=5,
)
ADAGO = MUON | dict(
    lr=0.05, max_norm=3.0, min_step=5e-4, initial_accumulator_value=1e-6, weight_decay=0.0, nesterov=False, scale="none"
)
DEVA = MUON | dict(
    beta1=0.9,
    beta2=0.9,
    eps=1e-8,
    precondition_frequency=10,
    refresh_phase=0,
    statistics="momentum",
    factored=False,
    sign_stabilization=False,
    bias_correction=True,
    basis="canonical",
    max_precondition_dim=10000,
    ns_coefficients="exact",
)


def walked(rule: str, hyper: dict, state: dict) -> tuple[np.ndarray, list[dict]]:
    """The golden problem's parameter after three updates, and the states."""
    W, states = (0.1 * np.sin(K)).reshape(4, 3), []
    for t in (1, 2, 3):
        G = (t * np.sin(K**2 * (0.3 + 0.1 * t))).reshape(4, 3)
        new = oracle.step(rule, oracle.Step(hyper, state, W, G, t))
        W, state = new.pop("W"), new
        states.append(state)
    return W, states


@pytest.mark.parametrize(
    ("golden", "rule", "hyper"),
    [
        ("Muon KJ, NS5, lr .02 wd .1", "Muon", MUON),
        ("Muon match_rms_adamw (torch), lr .02 wd .1", "Muon", MUON | dict(scale="rms")),
        ("AdaGO paper, NS5 fp64 (norm+1e-7), same", "AdaGO", ADAGO),
        ("AdaGO paper, SVD, lr .05 mu .95 gamma 3 eps 5e-4 v0^2 1e-6", "AdaGO", ADAGO | dict(ns_coefficients="exact")),
    ],
)
def test_the_oracle_meets_published_numbers(golden, rule, hyper):
    """Within 1e-6: the published Newton–Schulz adds 1e-7 to the norm, ours nothing."""
    state = {"momentum": np.zeros((4, 3)), "accumulator": np.asarray(1e-6)}
    W, _ = walked(rule, hyper, state if rule == "AdaGO" else {"momentum": state["momentum"]})
    assert np.abs(W - GOLDEN[golden]).max() < 1e-6


DIALECTS = [
    ("Muon KJ, NS5, lr .02 wd .1", "Muon", Muon.dialect("keller", weight_decay=0.1)),
    ("Muon match_rms_adamw (torch), lr .02 wd .1", "Muon", Muon.dialect("torch", lr=0.02, scale="rms")),
    ("AdaGO paper, NS5 fp64 (norm+1e-7), same", "AdaGO", AdaGO(max_norm=3.0, ns_normalization="add")),
    (
        "AdaGO kozistr 4.1 (v not rooted), NS5 clamp, lr .05 gamma 3 eps 5e-4 v 1e-6 wd 0",
        "AdaGO",
        AdaGO.dialect("pytorch-optimizer", max_norm=3.0),
    ),
    ("DeVA Euclid code lr .02 betas (.9,.999)", "DeVAVector", DeVAVector.dialect("authors")),
]


@pytest.mark.parametrize(("golden", "kind", "rule"), DIALECTS, ids=[golden for golden, _, _ in DIALECTS])
def test_the_oracle_meets_the_dialects_published_numbers(golden, kind, rule):
    """To the eight digits printed: here with each implementation's own eps."""
    zero = np.zeros((4, 3))
    state = {"momentum": zero, "second_moment": zero, "accumulator": np.asarray(1e-6)}
    kept = {name: x for name, x in state.items() if name in rule.State._fields}
    W, _ = walked(kind, {name: getattr(rule, name) for name in hyperparameters(rule)}, kept)
    assert np.abs(W.ravel() - np.ravel(GOLDEN[golden])).max() < 1e-8


def test_every_dialect_is_among_the_oracles_cases():
    """With Nesterov and without, in both wide dtypes."""
    from deva_conformance.laws.oracle_agreement import dialects

    for rule in RULES:
        cases = dialects(rule)
        assert len(cases) == 2 * len(rule.DIALECTS)
        policies = [name for name, h in hyperparameters(rule).items() if h.policy and h.choices]
        for name in policies:
            tried = {getattr(c.rule, name) for c in cases} | {hyperparameters(rule)[name].default}
            used = {values.get(name) for values in rule.DIALECTS.values()} - {None}
            assert used <= tried, name


@pytest.mark.parametrize("policy", ["ns_normalization", "momentum_form"])
def test_the_oracle_sees_another_policy(policy):
    """A dialect with one policy lost is not that dialect."""
    lost = Fault(about="", law="oracle", rule=lambda r: r.with_values(**{policy: hyperparameters(r)[policy].default}))
    result = run_law(law("oracle"), Muon, Subject("lost", lost), PROFILES["quick"])
    assert result.status == "fail"


def test_adago_accumulates_clipped_norms():
    """The scalar trace of the specification, to its printed digits."""
    _, states = walked("AdaGO", ADAGO, {"momentum": np.zeros((4, 3)), "accumulator": np.asarray(1e-6)})
    assert np.allclose([s["accumulator"] for s in states], ACCUMULATORS, rtol=1e-9)


def test_jacobi_finds_lapacks_singular_values():
    """Two algorithms, one decomposition, also of a matrix without full rank."""
    X = np.sin(np.arange(12.0) ** 2).reshape(4, 3)
    for Y in (X, X @ np.diag([1.0, 1e-9, 0.0]), np.zeros((4, 3))):
        U, s, Vt = jacobi(Y)
        assert np.allclose(s.astype(float), np.linalg.svd(Y)[1], atol=1e-15)
        assert np.abs((U * s) @ Vt - Y).max() < 1e-15


def test_a_first_deva_step_of_a_diagonal_gradient_is_a_signed_identity():
    """With one gradient V is r cᵀ up to its bias, so Γ is 1 and the step is the polar factor."""
    n, G = 3, np.diag([4.0, -2.0, 1.0])
    zero = np.zeros((n, n))
    state = dict.fromkeys(("momentum", "second_moment", "row_covariance", "column_covariance"), zero)
    state |= {"row_basis": np.eye(n), "column_basis": np.eye(n)}
    hyper = DEVA | dict(scale="none", lr=1.0, weight_decay=0.0)
    empty = np.zeros((0, 1))
    state |= {"row_second_moment": empty, "column_second_moment": empty.T}
    after = {"row_basis": np.eye(n), "column_basis": np.eye(n)}
    new = oracle.step("DeVA", oracle.Step(hyper, state, zero, G, 1, after))
    assert np.allclose(new["W"], -np.diag([1.0, -1.0, 1.0]), atol=1e-7)
    assert np.allclose(new["row_basis"], np.eye(n))


def test_a_quotient_on_an_edge_leaves_both_orders_open():
    """The order of two columns is not decided by rounding, so the oracle knows both."""
    cell = CELL
    C = np.diag([10.5 * cell, 10.5 * cell + 1e-12, 1.0])
    assert len(canonical_orders(C, np.eye(3), slack=1e-9)) > 1
    assert canonical_orders(np.diag([1.0, 3.0, 2.0]), np.eye(3), slack=1e-9) == [(1, 2, 0)]
    assert not canonical_first(np.diag([1.0, 3.0, 2.0]), 1e-9)[1]


def state_of(rule: Rule, W: np.ndarray, G: np.ndarray, xp: Any) -> dict[str, np.ndarray]:
    """The parameter and state of two steps in a namespace."""
    b, W, G = Backend(xp=xp), xp.asarray(W), xp.asarray(G)
    S = rule.init(W, b)
    for t in (1, 2):
        delta, S = rule.update(G if t == 1 else 0 * G, S, W, t, b)
        W = W + delta
    return {"W": np.asarray(W), **{name: np.asarray(x) for name, x in S._asdict().items()}}


@pytest.mark.parametrize("rule", RULES, ids=[r.__name__ for r in RULES])
def test_the_noisy_namespace_without_noise_is_numpy(rule):
    """What measures rounding must compute the right thing: every covering row, for a matrix or a vector."""
    g = np.random.Generator(np.random.Philox(key=1))
    W, G = g.standard_normal((2, 3, 4)), g.standard_normal((2, 3, 4))
    values = table(rule)
    for k in range(row_count(values)):
        made = row(rule, values, k)
        plain, exact = state_of(made, W, G, numpy_namespace), state_of(made, W, G, Noisy(0.0, 0, 2.0**-52))
        noisy = state_of(made, W, G, Noisy(2.0**-24, 0))
        for name, x in plain.items():
            assert np.allclose(exact[name], x, rtol=1e-13, atol=1e-13), name
        assert not made.lr or 0 < np.abs(noisy["W"] - plain["W"]).max() < 1e-2
