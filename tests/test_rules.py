"""Hyperparameters are validated at construction, in one message shape."""

import dataclasses

import numpy as np
import pytest

from deva_core import QUINTIC_5, RULES, AdaGO, Backend, DeVA, DeVAVector, Muon, hyperparameters


@pytest.mark.parametrize("rule", RULES)
def test_every_bound_of_every_numeric_field_is_enforced(rule):
    for name, hyper in hyperparameters(rule).items():
        if not hyper.numeric:
            continue
        bad = [float("nan"), float("inf")]
        bad += [hyper.ge - 1] if hyper.ge is not None else [hyper.gt]
        bad += [hyper.lt] if hyper.lt is not None else []
        for value in bad:
            with pytest.raises(ValueError, match=f"^{rule.__name__}.{name} must be .*, got "):
                rule(**{name: value})
        for value in ["0.1", True, [0.1], np.ones(2), *([] if hyper.optional else [None])]:
            with pytest.raises(TypeError, match=f"^{rule.__name__}.{name} must be a number"):
                rule(**{name: value})
        assert not hyper.optional or getattr(rule(**{name: None}), name) is None


@pytest.mark.parametrize("rule", RULES)
def test_every_structural_field_is_enforced_and_hashable(rule):
    for name, hyper in hyperparameters(rule).items():
        if not hyper.numeric:
            with pytest.raises(ValueError, match=f"^{rule.__name__}.{name} must be "):
                rule(**{name: "nonsense"})
    assert isinstance(hash(rule()), int)


def test_the_message_says_what_it_must_be():
    with pytest.raises(ValueError) as error:
        Muon(momentum=1.0)
    assert str(error.value) == "Muon.momentum must be >= 0 and < 1, got 1.0"


def test_rules_are_frozen_and_keyword_only():
    with pytest.raises(TypeError):
        Muon(0.1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Muon().lr = 1.0


def test_numbers_of_other_libraries_become_plain():
    rule = Muon(lr=np.float32(0.5), ns_steps=np.int64(3), ns_coefficients=[list(t) for t in QUINTIC_5])
    assert type(rule.lr) is float and type(rule.ns_steps) is int
    assert rule.orthogonalization.steps == QUINTIC_5[:3]


def test_a_schedule_that_leaves_the_domain_is_refused_where_it_can_be_seen():
    with pytest.raises(ValueError, match=r"Muon\.momentum must be"):
        Muon(momentum=lambda count: 0.5 + count).at(1)


def test_fields_documented():
    """Every field has its line in the class's docstring."""
    for rule in RULES:
        for name in hyperparameters(rule):
            assert name in rule.__doc__, f"{rule.__name__}.{name}"


@pytest.mark.parametrize("rule", [Muon, AdaGO, DeVA])
def test_a_schedule_is_called_with_the_updates_made_so_far_once_a_step(rule, start):
    calls = []
    run = start(rule(lr=lambda count: calls.append(count) or 0.1), {"a": np.zeros((2, 3)), "b": np.zeros((3, 2))})
    calls.clear()
    for _ in range(3):
        run.step({"a": np.ones((2, 3)), "b": np.ones((3, 2))})
    traced = any(not isinstance(count, int) for count in calls)
    assert len(calls) == 1 if traced else calls == [0, 1, 2]


@pytest.mark.parametrize(
    "rule", [Muon(), Muon(lr=1, nesterov=False), AdaGO.dialect("paper"), DeVA.dialect("authors-factored")]
)
def test_repr_is_short_and_makes_the_rule_again(rule):
    """The learning rate, and what differs from the defaults."""
    assert eval(repr(rule)) == rule
    assert repr(Muon(nesterov=False)) == "Muon(lr=0.02, nesterov=False)"


@pytest.mark.parametrize("rule", [Muon(), AdaGO(), DeVA()])
def test_a_wider_gradient_widens_nothing(rule, start):
    """A float64 gradient of a float32 parameter: state and parameter stay float32."""
    run = start(rule, {"W": np.ones((2, 3), np.float32), "v": np.ones(3, np.float32)})
    run.step({"W": np.ones((2, 3)), "v": np.ones(3)})
    dtypes = [
        x.dtype
        for x in (*run.params.values(), *(x for s in run.state.values() for x in s.values() if hasattr(x, "dtype")))
    ]
    assert set(dtypes) == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("rule", "shape"),
    [
        (DeVA(sign_stabilization=True), (4, 6)),
        (DeVA.dialect("authors-factored"), (4, 6)),
        (DeVAVector(), (5,)),
    ],
    ids=["DeVA", "factored", "DeVAVector"],
)
def test_nan_reaches_a_step_where_a_library_gives_it_the_sign_zero(rule, shape):
    """By the second moments: libraries differ in sign(NaN), and `sign` promises nothing of it."""
    W = np.ones(shape)
    b = dataclasses.replace(Backend.of(W), replacements={"sign": lambda x, b: np.where(np.isnan(x), 0.0, np.sign(x))})
    S = rule.init(W, b)
    for t in (1, 2):
        G = np.random.default_rng(t).standard_normal(shape)
        if t == 2:
            G.flat[3] = np.nan
        with np.errstate(invalid="ignore"):
            delta, S = rule.update(G, S, W, t, b)
    assert np.isnan(delta).all()
