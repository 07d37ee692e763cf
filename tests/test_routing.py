"""Who gets what: names and patterns, decay masks, the table that says so before training, and the warnings."""

import warnings

import numpy as np
import pytest

import deva_numpy
from deva_core import AdaGO, AdamW, DeVA, DeVAVector, EmbeddingWarning, Layout, Muon, Optimizer, Route
from tests import tables

PARAMS = {
    "embed": {"table": np.ones((9, 4))},
    "layers": [{"w": np.ones((4, 4)), "b": np.ones(4)}, {"w": np.ones((4, 4)), "b": np.ones(4)}],
}


def rows(optimizer, params):
    """The table by parameter and column."""
    return tables.rows(optimizer.explain(params))


def test_a_name_may_be_a_pattern_and_later_and_exact_ones_count():
    layout = {"*": "vector", "layers.*.w": "in out", "layers.1.w": "out in", "layers.?.?": "vector"}
    table = rows(Optimizer(Muon(), layout=layout), PARAMS)
    assert {name: row["layout"] for name, row in table.items() if row["layout"] != "-"} == {"layers.1.w": "out in"}
    layout = {
        "embed": {"*": "vector"},
        "layers": [{"*": "in out", "b": "vector"}, {"*": Route("vector", "frozen half")}],
    }
    table = rows(Optimizer(Muon(), layout=layout), PARAMS)
    assert table["layers.0.w"]["layout"] == "in out" and table["layers.1.w"]["why"] == "frozen half"


@pytest.mark.parametrize("name", ["head*", "layers.*.weight"])
def test_a_pattern_that_names_nothing_is_an_error(name):
    with pytest.raises(ValueError, match=r"layout names a parameter .* that does not exist"):
        Optimizer(Muon(), layout={name: "vector"}).init(PARAMS)


@pytest.mark.parametrize(
    "mask", [{"*.b": False}, lambda name, shape: len(shape) > 1, {"layers": [{"b": False}, {"b": False}]}]
)
@pytest.mark.parametrize("host", [Optimizer, deva_numpy.Optimizer], ids=["core", "numpy"])
def test_what_the_mask_excludes_does_not_decay(mask, host):
    """With zero gradients a step is the decay alone."""
    optimizer = host(
        Muon(lr=0.1, weight_decay=0.2),
        AdamW(lr=0.1, weight_decay=0.4),
        layout={"embed.table": "vector"},
        weight_decay_mask=mask,
    )
    zero = {
        "embed": {"table": np.zeros((9, 4))},
        "layers": [{"w": np.zeros((4, 4)), "b": np.zeros(4)} for _ in range(2)],
    }
    new, _ = optimizer.step(PARAMS, zero, optimizer.init(PARAMS))
    np.testing.assert_allclose(new["embed"]["table"], 1 - 0.1 * 0.4)
    for layer in new["layers"]:
        np.testing.assert_allclose(layer["w"], 1 - 0.1 * 0.2)
        assert (layer["b"] == 1).all()


def test_a_mask_of_something_else_is_refused():
    with pytest.raises(TypeError, match=r"weight_decay_mask must hold True or False, got 0\.1 for 'layers\.0\.b'"):
        Optimizer(Muon(), weight_decay_mask={"layers.0.b": 0.1}).init(PARAMS)
    with pytest.raises(ValueError, match=r"weight_decay_mask names a parameter 'bias' that does not exist"):
        Optimizer(Muon(), weight_decay_mask={"bias": False}).init(PARAMS)


@pytest.mark.parametrize(
    "rule",
    [
        Muon(ns_coefficients="exact"),
        Muon(scale="rms", ns_coefficients="exact"),
        DeVA(ns_coefficients="exact"),
        AdaGO(ns_coefficients="exact"),
        AdamW(),
        DeVAVector(),
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(64, 32), (16, 80)])
def test_the_step_that_explain_prints_is_the_first_step(rule, shape):
    """The root mean square of a step from zero, where nothing decays, to the digits printed; of AdaGO the most that it can be."""
    params, G = {"W": np.zeros(shape)}, np.random.default_rng(0).normal(size=shape)
    optimizer = Optimizer(rule)
    moved, _ = optimizer.step(params, {"W": G}, optimizer.init(params))
    rms, step = np.sqrt(np.mean(moved["W"] ** 2)), rows(optimizer, params)["W"]["step"]
    if rule.step_is_bound:
        assert step[0] == "≤" and rms == pytest.approx(float(step[1:]), rel=1e-2), "a long gradient's first step"
        small = optimizer.step(params, {"W": 1e-3 * G}, optimizer.init(params))[0]["W"]
        assert np.sqrt(np.mean(small**2)) < float(step[1:])
    else:
        assert rms == pytest.approx(float(step), rel=1e-2)


def test_the_table_shows_schedules_at_their_start_and_blocks_one_by_one():
    layout = {"qkv": Layout("(q k v) in", q=32)}
    optimizer = Optimizer(Muon(lr=lambda count: 0.1 / (count + 1)), AdamW(), layout=layout)
    table = rows(optimizer, {"qkv": np.zeros((64, 16)), "b": np.zeros(4)})
    assert (table["qkv"]["lr"], table["qkv"]["factor"], table["qkv"]["step"]) == ("0.1", "1.41 1", "0.025")
    assert [table["b"][of] for of in ("lr", "ratio", "lr×ratio", "factor", "step")] == [
        "0.1",
        "0.2",
        "0.02",
        "-",
        "0.02",
    ]
    table = rows(Optimizer(Muon(lr=0.1), AdamW(lr=1e-3)), {"b": np.zeros(4)})
    assert [table["b"][of] for of in ("lr", "ratio", "lr×ratio", "step")] == ["0.001", "-", "0.001", "0.001"]


def test_a_rule_that_says_nothing_of_its_steps_has_none_in_the_table():
    optimizer = Optimizer(AdaGO.dialect("pytorch-optimizer"))
    assert rows(optimizer, {"W": np.zeros((4, 4))})["W"]["step"] == "-"


def test_a_vocabulary_by_convention_warns_and_by_name_does_not():
    params = {"wte": np.zeros((32000, 4), np.float32)}
    with pytest.warns(EmbeddingWarning, match=r"Muon was given 'wte' \(32000×4\).*param_groups"):
        Optimizer(Muon()).init(params)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Optimizer(Muon(), layout={"wte": "out in"}).init(params)
        Optimizer(Muon(), layout={"w*": "vector"}).init({**params, "a": np.zeros((2, 2))})
        Optimizer(Muon()).init({"a": np.zeros((29999, 4), np.float32)})
