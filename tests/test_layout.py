"""A layout of a view equals separate parameters."""

import numpy as np
import pytest

from deva_core import AdaGO, Backend, DeVA, Layout, Muon, Optimizer

R = np.random.Generator(np.random.Philox(7))


def trained(rule, params, grads, layout=None):
    optimizer = Optimizer(rule, layout=layout)
    state = optimizer.init(params)
    for G in grads:
        params, state = optimizer.step(params, G, state)
    return params


CASES = [
    ("out in", (4, 6), {}, lambda W: [W]),
    ("in out", (6, 4), {}, lambda W: [W.T]),
    ("batch out in", (2, 4, 6), {}, list),
    ("... out in", (2, 3, 4, 6), {}, lambda W: list(W.reshape(6, 4, 6))),
    ("experts in out", (2, 6, 4), {}, lambda W: [W[0].T, W[1].T]),
    ("out in kh kw", (4, 3, 2, 2), {}, lambda W: [W.reshape(4, 12)]),
    ("kh kw in out", (2, 2, 3, 4), {}, lambda W: [W.transpose(3, 2, 0, 1).reshape(4, 12)]),
    ("(q k v) in", (12, 6), {}, lambda W: [W[:4], W[4:8], W[8:]]),
    ("(q k v) in", (12, 6), {"q": 8}, lambda W: [W[:8], W[8:10], W[10:]]),
    ("in (q k v)", (6, 12), {}, lambda W: [W[:, :4].T, W[:, 4:8].T, W[:, 8:].T]),
    ("(gate up) in", (8, 6), {}, lambda W: [W[:4], W[4:]]),
    ("(heads dim) in", (12, 6), {"heads": 3}, lambda W: list(W.reshape(3, 4, 6))),
    ("out (heads dim)", (6, 12), {"heads": 3}, lambda W: [W[:, 4 * h : 4 * h + 4] for h in range(3)]),
    ("in out_heads out_dim", (6, 2, 3), {}, lambda W: [W.reshape(6, 6).T]),
    ("in_heads in_dim out", (2, 3, 4), {}, lambda W: [W.reshape(6, 4).T]),
    ("layers (q k v) in", (2, 12, 6), {}, lambda W: [W[k, 4 * i : 4 * i + 4] for i in range(3) for k in range(2)]),
]


@pytest.mark.parametrize(
    ("pattern", "shape", "sizes", "pieces"), CASES, ids=lambda x: str(x) if isinstance(x, str) else ""
)
@pytest.mark.parametrize(
    "rule", [Muon(), AdaGO(weight_decay=0.1), DeVA(precondition_frequency=2)], ids=lambda r: type(r).__name__
)
def test_a_layout_equals_separate_matrices(pattern, shape, sizes, pieces, rule):
    """Four steps over the view, and over each of its matrices as a parameter of its own."""
    W, grads = R.normal(size=shape), [R.normal(size=shape) for _ in range(4)]
    together = trained(rule, {"W": W}, [{"W": G} for G in grads], layout={"W": Layout(pattern, **sizes)})["W"]

    def split(X):
        return {str(k): np.ascontiguousarray(piece) for k, piece in enumerate(pieces(X))}

    apart = trained(rule, split(W), [split(G) for G in grads])
    for name, piece in split(together).items():
        np.testing.assert_allclose(piece, apart[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("pattern", "shape", "sizes"), [case[:3] for case in CASES])
def test_merge_is_the_inverse_of_split(pattern, shape, sizes):
    W, layout = R.normal(size=shape), Layout(pattern, **sizes)
    b = Backend.of(W)
    assert (layout.merge(layout.split(W, b), shape, b) == W).all()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("out", "one output and one input side"),
        ("out in in", "names the axis 'in' twice"),
        ("(q k v", "not closed"),
        ("vocab in", "unknown axis 'vocab'"),
        ("out in ...", "must come first"),
        ("(a b) (c d)", "only one axis"),
        ("((q k) v) in", "parentheses"),
        ("out out", "names the axis 'out' twice"),
    ],
)
def test_a_pattern_that_names_no_matrix_is_refused(pattern, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Layout(pattern)


@pytest.mark.parametrize(
    ("layout", "shape", "message"),
    [
        ("out in", (2, 3, 4), "names 2 axes"),
        ("(q k v) in", (10, 6), "does not split into q k v"),
        ("(heads dim) in", (12, 6), r"Layout\('\(heads dim\) in', heads=…\)"),
        (Layout("(heads dim) in", heads=5), (12, 6), "does not split"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused_with_the_parameter_named(layout, shape, message):
    with pytest.raises(ValueError, match=message) as error:
        Optimizer(Muon(), layout={"W": layout}).init({"W": np.zeros(shape)})
    assert "'W'" in str(error.value)


def test_three_axes_without_a_layout_are_an_error_that_suggests_one():
    with pytest.raises(ValueError, match="needs a layout: 'batch out in'"):
        Optimizer(Muon()).init({"experts": np.zeros((2, 3, 4))})


def test_a_layout_for_a_parameter_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match=r"did you mean 'layer\.weight'"):
        Optimizer(Muon(), layout={"layer.wieght": "in out"}).init({"layer": {"weight": np.zeros((2, 3))}})


def test_vector_hands_a_matrix_to_the_vector_rule():
    optimizer = Optimizer(Muon(), layout={"embedding": "vector"})
    slots = optimizer.init({"embedding": np.zeros((5, 3)), "weight": np.zeros((2, 3))}).slots
    assert hasattr(slots["embedding"].state, "exp_avg") and hasattr(slots["weight"].state, "momentum")


def test_a_function_of_name_and_shape_is_a_layout():
    def layout(name, shape):
        return "in out" if name.endswith("kernel") else None

    optimizer = Optimizer(Muon(), layout=layout)
    assert "in out" in optimizer.explain({"dense": {"kernel": np.zeros((2, 3))}})


def test_a_convolution_is_one_matrix_in_every_framework():
    """Columns are (in kh kw) however the parameter is stored: a checkpoint of one framework is read by another."""
    W = R.normal(size=(4, 3, 2, 2))
    b = Backend.of(W)
    torchs = Layout("out in kh kw").split(W, b)[""]
    flaxs = Layout("kh kw in out").split(np.ascontiguousarray(W.transpose(2, 3, 1, 0)), b)[""]
    assert (torchs == flaxs).all()
