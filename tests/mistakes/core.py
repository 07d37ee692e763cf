"""Mistakes that need no framework but NumPy."""

import dataclasses

import numpy as np

import deva_numpy
from deva_core import (
    AdaGO,
    AdamW,
    DeVA,
    Layout,
    Muon,
    Optimizer,
    Rule,
    hyper,
)
from tests.mistakes import (
    keyword_rows,
    row,
)

ARRAYS = {"weight": np.ones((3, 4)), "bias": np.zeros(4)}


def functional(**options):
    return Optimizer(options.pop("rule", Muon()), **options)


def stepped_from(rule, state):
    return functional(rule=rule).step(ARRAYS, ARRAYS, state)


def state_of(rule, params=None):
    return functional(rule=rule).init(params or ARRAYS)


class Undecorated(Rule):
    """A user's rule, not yet a dataclass."""

    lr = hyper(0.1, ge=0)


class Bare(Rule):
    """A user's rule with nothing in it."""


CORE = [
    *keyword_rows(
        "deva_core.Muon",
        Muon,
        learning_rate="a keyword of JAX; here it is lr=",
        momentun="did you mean 'momentum'?",
        beta="here it is momentum=",
        betas="here it is momentum=",
        eps="no eps is needed",
        ns_coeffs="here it is ns_coefficients=",
        vector_rule="the optimizer's argument",
        params="parameters are given to init and update",
        foobar="it takes scale, rms,",
    ),
    *keyword_rows(
        "deva_core.AdamW",
        AdamW,
        betas="here it is beta1= and beta2=",
        b1="here it is beta1=",
        b2="beta2=",
        momentum="beta1=",
        amsgrad="no such variant",
    ),
    *keyword_rows(
        "deva_core.Optimizer", functional, lr="it belongs to the rule", vectorrule="did you mean 'vector_rule'?"
    ),
    row("numpy: compute_dtype", lambda: deva_numpy.Optimizer(Muon(), compute_dtype="bfloat16"), TypeError,
        "deva_numpy.Optimizer got an unexpected keyword argument 'compute_dtype'"),
    row("rule by position", lambda: Muon(0.02), TypeError, "deva_core.Muon takes nothing by position", "lr=…"),
    row("replace: unknown", lambda: dataclasses.replace(Muon(), momentun=0.9), TypeError, "did you mean 'momentum'?"),
    row("dialect: unknown", lambda: Muon.dialect("pytorch"), ValueError, "there are keller, torch"),
    row("dialect: keyword", lambda: Muon.dialect("torch", momentun=0.9), TypeError, "did you mean 'momentum'?"),
    row("rule: string", lambda: Optimizer("muon"), TypeError, "Optimizer.rule must be", "write Muon()"),
    row("rule: class", lambda: Optimizer(Muon), TypeError, "the class Muon: call it, Muon()"),
    row("rule: parameters", lambda: Optimizer(ARRAYS), TypeError, "Optimizer.rule must be"),
    row("vector_rule: string", lambda: functional(vector_rule="adamw"), TypeError, "got 'adamw': write AdamW()"),
    row("vector_rule: class", lambda: functional(vector_rule=AdamW), TypeError, "the class AdamW: call it, AdamW()"),
    row("vector_rule: matrix", lambda: functional(vector_rule=Muon()), TypeError, "which is for matrices", "AdamW()"),
    row("backend: string", lambda: functional(backend="numpy"), TypeError, "must be a Backend", "got 'numpy'"),
    row("backend: module", lambda: functional(backend=np), TypeError, "got the module numpy"),
    row("lr: string", lambda: Muon(lr="0.1"), TypeError, "Muon.lr must be a number", "got '0.1'"),
    row("lr: negative", lambda: Muon(lr=-1), ValueError, "Muon.lr must be >= 0, got -1"),
    row("lr: nan", lambda: Muon(lr=float("nan")), ValueError, "Muon.lr must be >= 0, got nan"),
    row("lr: infinite", lambda: Muon(lr=float("inf")), ValueError, "Muon.lr must be >= 0, got inf"),
    row("lr: None", lambda: Muon(lr=None), TypeError, "Muon.lr must be a number", "got None"),
    row("lr: bool", lambda: Muon(lr=True), TypeError, "Muon.lr must be a number", "got True"),
    row("lr: array", lambda: Muon(lr=np.ones(3)), TypeError, "Muon.lr must be a number", "an array of shape (3,)"),
    row("momentum: 1", lambda: Muon(momentum=1.0), ValueError, "Muon.momentum must be >= 0 and < 1, got 1.0"),
    row("momentum: pair", lambda: Muon(momentum=(0.9, 0.95)), TypeError, "Muon.momentum must be a number"),
    row("scale: torch's", lambda: Muon(scale="match_rms_adamw"), ValueError, "Muon.scale must be one of 'original', 'rms'"),
    row("nesterov: string", lambda: Muon(nesterov="yes"), ValueError, "Muon.nesterov must be one of True, False"),
    row("ns_coefficients: array", lambda: Muon(ns_coefficients=np.ones((5, 3))), ValueError, "a sequence of triples",
        "got an array of shape (5, 3)"),
    row("ns_coefficients: name", lambda: Muon(ns_coefficients="polar_express"), ValueError, 'or "exact"'),
    row("ns_steps: 0", lambda: Muon(ns_steps=0), ValueError, "Muon.ns_steps must be an integer >= 1, got 0"),
    row("precondition_frequency: 2.5", lambda: DeVA(precondition_frequency=2.5), ValueError, "an integer >= 1, got 2.5"),
    row("schedule: no argument", lambda: Muon(lr=lambda: 0.1), TypeError, "a callable of the update count"),
    row("schedule: None", lambda: state_of(Muon(lr=lambda count: None)), TypeError, "Muon.lr is a schedule", "got None"),
    row("schedule: array", lambda: state_of(Muon(lr=lambda count: np.ones(2))), TypeError, "Muon.lr is a schedule"),
    row("schedule: negative", lambda: state_of(Muon(lr=lambda count: -1.0)), ValueError, "Muon.lr must be >= 0, got -1.0"),
    row("leaf: int array", lambda: state_of(Muon(), {"a": np.ones((3, 3), int)}), TypeError, "parameter 'a' has dtype int64"),
    row("leaf: float", lambda: state_of(Muon(), {"a": 1.0}), TypeError, "parameter 'a' must be an array of floats, got 1.0"),
    row("leaf: string", lambda: state_of(Muon(), {"w": np.ones((2, 2)), "name": "x"}), TypeError, "parameter 'name' must be"),
    row("leaves: none", lambda: functional().init({}), ValueError, "there are no parameters"),
    row("leaves: one name", lambda: state_of(Muon(), {"a.b": np.ones(2), "a": {"b": np.ones(2)}}), ValueError,
        "two parameters are named 'a.b'"),
    row("layout: unknown name", lambda: functional(layout={"wieght": "in out"}).init(ARRAYS), ValueError,
        "did you mean 'weight'?"),
    row("layout: number", lambda: functional(layout=3).init(ARRAYS), TypeError, "layout must be a pattern", "got 3"),
    row("layout: value", lambda: functional(layout={"weight": 3}).init(ARRAYS), TypeError, "a layout must be a pattern"),
    row("layout: rule", lambda: functional(layout={"weight": AdamW()}).init(ARRAYS), TypeError, "'vector' or a Layout"),
    row("layout: axis", lambda: functional(layout="out inn").init(ARRAYS), ValueError, "did you mean 'in'?"),
    row("layout: Vector", lambda: functional(layout="Vector").init(ARRAYS), ValueError, "did you mean 'vector'?"),
    row("layout: one argument", lambda: functional(layout=lambda n: "out in").init(ARRAYS), TypeError,
        "layout must be a function of name and shape"),
    row("layout: axes", lambda: functional(layout={"weight": "batch out in"}).init(ARRAYS), ValueError,
        "parameter 'weight'", "names 3 axes"),
    row("Layout: number", lambda: Layout(3), TypeError, "a Layout's pattern must be a string"),
    row("Layout: size", lambda: Layout("(heads out) in", heads="3"), ValueError, "the size of 'heads' must be an integer"),
    row("Layout: no axis", lambda: Layout("out in", q=3), ValueError, "has no axis 'q'"),
    row("mask: name", lambda: functional(weight_decay_mask="bias").init(ARRAYS), TypeError,
        "weight_decay_mask must be a mapping", "got 'bias'"),
    row("mask: bool", lambda: functional(weight_decay_mask=True).init(ARRAYS), TypeError, "weight_decay_mask must be a mapping"),
    row("mask: of params", lambda: functional(weight_decay_mask=lambda params: params).init(ARRAYS), TypeError,
        "a function of name and shape", "optax's is a function of the parameters"),
    row("mask: unknown name", lambda: functional(weight_decay_mask={"bais": False}).init(ARRAYS), ValueError,
        "did you mean 'bias'?"),
    row("mask: value", lambda: functional(weight_decay_mask={"bias": 0}).init(ARRAYS), TypeError, "must hold True or False"),
    row("state: None", lambda: stepped_from(Muon(), None), TypeError, "the state must be", "step(params, grads, state)"),
    row("state: swapped", lambda: functional().step(ARRAYS, state_of(Muon()), ARRAYS), TypeError, "the state must be"),
    row("state: AdaGO's", lambda: stepped_from(Muon(), state_of(AdaGO())), ValueError, "is not Muon's", "'accumulator'"),
    row("state: into AdaGO", lambda: stepped_from(AdaGO(), state_of(Muon())), ValueError, "is not AdaGO's"),
    row("state: into DeVA", lambda: stepped_from(DeVA(), state_of(Muon())), ValueError, "is not DeVA's"),
    row("state: AdamW's", lambda: stepped_from(Muon(), state_of(AdamW())), ValueError, "is not Muon's"),
    row("state: other shapes", lambda: stepped_from(Muon(), state_of(Muon(), {"weight": np.ones((4, 3)), "bias": np.ones(3)})),
        ValueError, "momentum of 'weight' has shape (4, 3), expected (3, 4)"),
    row("state: other names", lambda: stepped_from(Muon(), state_of(Muon(), {"w": np.ones((4, 3))})), ValueError,
        "the state belongs to other parameters", "call init again"),
    row("gradient: name", lambda: functional().step(ARRAYS, {"wieght": ARRAYS["weight"]}, state_of(Muon())), ValueError,
        "a gradient is named 'wieght'", "did you mean 'weight'?"),
    row("gradient: shape", lambda: functional().step(ARRAYS, {"weight": np.ones((4, 3))}, state_of(Muon())), ValueError,
        "the gradient of 'weight' has shape (4, 3)"),
    row("gradient: int", lambda: functional().step(ARRAYS, {"weight": np.ones((3, 4), int)}, state_of(Muon())), TypeError,
        "only real floating gradients"),
    row("gradient: float", lambda: functional().step(ARRAYS, {"weight": 1.0}, state_of(Muon())), TypeError,
        "the gradient of 'weight' must be an array, got 1.0"),
    row("leaf: objects", lambda: state_of(Muon(), {"a": np.array([[None] * 2] * 2)}), TypeError, "'a' has dtype object"),
    row("leaf: text", lambda: state_of(Muon(), {"a": np.array([["x"] * 2] * 2)}), TypeError, "only real floating parameters"),
    row("leaf: generator", lambda: functional().init(np.ones((2, 2)) for _ in range(2)), TypeError, "got a generator"),
    row("own rule: no dataclass", lambda: Undecorated(), TypeError, "@dataclass(frozen=True, kw_only=True)"),
    row("own rule: no init", lambda: state_of(Bare()), NotImplementedError, "Bare has no init(self, W, b)"),
    row("Optimizer by position", lambda: Optimizer(Muon(), AdamW(), "out in", None, {}), TypeError, "weight_decay_mask=…"),
    row("gradients: a list", lambda: functional().step(ARRAYS, [np.ones(2)], state_of(Muon())), ValueError,
        "a gradient is named '0'", "the parameters are weight, bias"),
    row("numpy.save: a folder", lambda: deva_numpy.save(".", functional(), ARRAYS, state_of(Muon())), IsADirectoryError,
        "it is a folder"),
    row("numpy.load: a folder", lambda: deva_numpy.load(".", functional(), ARRAYS), IsADirectoryError, "it is a folder"),
    row("numpy.save: AdaGO", lambda: deva_numpy.save("never", functional(rule=AdaGO()), ARRAYS, state_of(Muon())),
        ValueError, "is not AdaGO's"),
    row("numpy.load: a rule", lambda: deva_numpy.load("never", Muon(), ARRAYS), TypeError, "deva_numpy.Optimizer(Muon())"),
    row("numpy.save: no folder", lambda: deva_numpy.save("/no/such/x", functional(), ARRAYS, state_of(Muon())),
        FileNotFoundError, "there is no folder '/no/such'"),
]  # fmt: skip
