"""What a mistake is answered with: one row a mistake, in every host."""

import copy
import dataclasses
import inspect
import pickle
import re
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import deva_core as core
import deva_numpy
from deva_core import (
    AdaGO,
    AdamW,
    CheckpointError,
    DeVA,
    DeVAVector,
    Layout,
    Muon,
    Optimizer,
    Rule,
    hyper,
    hyperparameters,
)
from deva_core.keywords import FOREIGN, POLICY
from deva_core.messages import answer_for, call_of, named_in

TORCH, JAX = bool(find_spec("torch")), bool(find_spec("jax"))
if TORCH:
    import torch
    from torch import nn

    import deva_torch
if JAX:
    import jax
    import jax.numpy as jnp
    import optax

    import deva_jax

INTERNAL = re.compile(r"__\w+__|Assigned|Transform\b|Placed|\bSlot\b|check_\w+|\b_\w+\.|0x[0-9a-f]{6}|NoneType' object")
"""What no message may show: names that users never write, and addresses."""


class Row(NamedTuple):
    """A mistake, the error that answers it, and what its message must hold."""

    name: str
    call: object
    error: type[Exception]
    fragments: tuple[str, ...]


def row(name, call, error, *fragments):
    return Row(name, call, error, fragments)


def keyword_rows(owner, function, *args, **answers):
    """A row for each unknown keyword; what stands for a dot in a host's name is an underscore."""
    calls = {name: (lambda name=name: function(*args, **{name: 1})) for name in answers}
    return [
        row(f"{owner}({name}=)", calls[name], TypeError, f"{owner} got an unexpected keyword argument {name!r}", answer)
        for name, answer in answers.items()
    ]


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


def net():
    return nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))


def muon(**options):
    return deva_torch.Muon(net().parameters(), **options)


def grouped(**entries):
    return deva_torch.Muon([{"params": list(net().parameters()), **entries}])


def trained(optimizer, model):
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    return optimizer


def peer_state(kind, **options):
    """The state dict of another optimizer over the same model, after a step."""
    model = net()
    return trained(kind(model.parameters(), **options), model).state_dict()


def loaded(make, kind=None):
    """Load what `make` gives; whatever happens, the optimizer must be as it was."""
    model = net()
    optimizer = trained((kind or deva_torch.Muon)(model.parameters()), model)
    before = repr(optimizer.state_dict())
    try:
        optimizer.load_state_dict(make())
    except Exception:
        assert repr(optimizer.state_dict()) == before, "loaded by halves"
        raise


def changed(edit):
    state = peer_state(deva_torch.Muon)
    edit(state)
    return state


def imported(peer, source, kind=None, **options):
    model = net()
    optimizer = trained((kind or deva_torch.Muon)(model.parameters()), model)
    before, other = repr(optimizer.state_dict()), trained(peer(model.parameters()), model)
    optimizer.load_state_dict(optimizer.state_dict())
    try:
        deva_torch.import_state(optimizer, other, source, **options)
    except Exception:
        assert repr(optimizer.state_dict()) == before, "imported by halves"
        raise


def imported_from(model):
    deva_torch.import_state(muon(), trained(torch.optim.AdamW(model.parameters()), model), "adamw")


def written(key, value):
    model = net()
    optimizer = deva_torch.Muon(model.parameters())
    if value is None:
        del optimizer.param_groups[0][key]
    else:
        optimizer.param_groups[0][key] = value
    trained(optimizer, model)


def graded(gradient):
    """A step with a gradient of another library's making, past torch's own checks."""
    table = nn.Embedding(4, 3, sparse=True)
    table(torch.tensor([1])).sum().backward()
    if gradient is None:
        return deva_torch.AdamW(table.parameters()).step()
    return Optimizer(Muon()).step(ARRAYS, {"weight": gradient}, state_of(Muon()))


def subclass(**options):
    class Mine(deva_torch.Muon):
        def __init__(self, params, **kwargs):
            super().__init__(params, **kwargs)

    return Mine(net().parameters(), **options)


GIVE = "model.named_parameters()"
TORCH_ROWS = TORCH and [
    *keyword_rows(
        "deva_torch.Muon",
        lambda **options: muon(**options),
        adjust_lr_fn='a keyword of torch.optim.Muon; here it is scale="original" or scale="rms"',
        eps="no eps is needed",
        use_adjusted_lr='scale="original" or scale="rms"',
        adamw_lr="vector_rule=AdamW(lr=…)",
        adamw_betas="vector_rule=AdamW(beta1=…, beta2=…)",
        adamw_wd="vector_rule=AdamW(weight_decay=…)",
        adamw_eps="vector_rule=AdamW(eps=…)",
        adamw_params='layout=, with "vector"',
        muon_params="all of them",
        weight_decouple="decay is always decoupled",
        ns_coeffs="ns_coefficients=",
        ns_method="plan() shows it",
        learning_rate="here it is lr=",
        momentun="did you mean 'momentum'?",
        betas="momentum= for matrices, vector_rule=AdamW(",
        beta1="momentum=",
        beta2="vector_rule=AdamW(beta2=…)",
        wd="weight_decay=",
        rank="process_group=",
        world_size="process_group=",
        fused="stacks",
        amsgrad="no such variant",
        differentiable="not differentiated",
        momentum_form="a policy of dialects",
        stack_sharding="process_group=",
        weight_decay_mask='"weight_decay": 0.0',
        use_muon='"rule"',
        foobar="it takes params, lr, momentum,",
    ),
    *keyword_rows(
        "deva_torch.AdamW",
        lambda **options: deva_torch.AdamW(net().parameters(), **options),
        amsgrad="no such variant",
        layout="optimizers with a matrix rule",
        beta1="betas=(beta1, beta2)",
        adamw_lr="lr=",
    ),
    *keyword_rows(
        "deva_torch.DeVA",
        lambda **options: deva_torch.DeVA(net().parameters(), **options),
        momentum="betas=, as the first value",
        beta1="betas=(beta1, beta2)",
        shampoo_beta="betas=, whose second value serves both",
        correct_bias="bias_correction=",
    ),
    *keyword_rows(
        "deva_torch.AdaGO",
        lambda **options: deva_torch.AdaGO(net().parameters(), **options),
        gamma="max_norm=",
        v="initial_accumulator_value=",
        eps="min_step=",
    ),
    *keyword_rows(
        "deva_torch.RuleOptimizer",
        lambda **options: deva_torch.RuleOptimizer(net().parameters(), Muon(), **options),
        lr="it belongs to the rule",
        vectorrule="did you mean 'vector_rule'?",
    ),
    *keyword_rows(
        "deva_torch.param_groups",
        lambda **options: deva_torch.param_groups(net(), **options),
        head="did you mean 'heads'?",
        weight_decay="it takes model, layout, heads, decay_vectors",
    ),
    row("torch: a subclass passes on", lambda: subclass(adjust_lr_fn="original"), TypeError, "deva_torch.Muon got", "scale="),
    row("torch: third by position", lambda: deva_torch.Muon(net().parameters(), 0.02, 0.1), TypeError,
        "takes params, lr by position", "momentum=…", "weight_decay in torch.optim.Muon"),
    row("torch: AdaGO by position", lambda: deva_torch.AdaGO(net().parameters(), 0.02, 0.9), TypeError, "momentum=…"),
    row("torch: DeVA by position", lambda: deva_torch.DeVA(net().parameters(), 0.02, (0.9, 0.9)), TypeError, "betas=…"),
    row("torch: AdamW's sixth", lambda: deva_torch.AdamW(net().parameters(), 0.1, (0.9, 0.9), 1e-8, 0.1, True), TypeError,
        "params, lr, betas, eps, weight_decay by position"),
    row("torch: RuleOptimizer's third", lambda: deva_torch.RuleOptimizer(net().parameters(), Muon(), AdamW()), TypeError,
        "vector_rule=…"),
    row("torch: no rule", lambda: deva_torch.RuleOptimizer(net().parameters()), TypeError, "RuleOptimizer needs rule"),
    row("torch: no params", lambda: deva_torch.Muon(), TypeError, "deva_torch.Muon needs params"),
    row("torch: lr twice", lambda: deva_torch.Muon(net().parameters(), 0.1, lr=0.1), TypeError, "got 'lr' twice"),
    row("torch: rule string", lambda: deva_torch.RuleOptimizer(net().parameters(), "muon"), TypeError, "write Muon()"),
    row("torch: rule class", lambda: deva_torch.RuleOptimizer(net().parameters(), Muon), TypeError, "call it, Muon()"),
    row("torch: rule of torch", lambda: deva_torch.RuleOptimizer(net().parameters(), deva_torch.Muon), TypeError,
        "deva_core.Muon()"),
    row("torch: vector_rule string", lambda: muon(vector_rule="adamw"), TypeError, "deva_torch.Muon: vector_rule must be",
        "write AdamW()"),
    row("torch: vector_rule class", lambda: muon(vector_rule=AdamW), TypeError, "call it, AdamW()"),
    row("torch: vector_rule matrix", lambda: muon(vector_rule=Muon()), TypeError, "which is for matrices"),
    row("torch: vector_rule of torch", lambda: muon(vector_rule=torch.optim.AdamW([nn.Parameter(torch.ones(2))])), TypeError,
        "got an optimizer; give the rule itself, as in deva_core.AdamW()"),
    row("torch: dialect", lambda: deva_torch.Muon.dialect("torch"), AttributeError,
        "RuleOptimizer(params, deva_core.Muon.dialect("),
    row("torch: params None", lambda: deva_torch.Muon(None), TypeError, "deva_torch.Muon: params must be", GIVE),
    row("torch: params a model", lambda: deva_torch.Muon(net()), TypeError, "params is a module, Sequential", GIVE),
    row("torch: params a state dict", lambda: deva_torch.Muon(net().state_dict()), TypeError, "an OrderedDict", GIVE),
    row("torch: params a group", lambda: deva_torch.Muon({"params": net().parameters()}), TypeError, "goes into a list"),
    row("torch: params named dict", lambda: deva_torch.Muon(dict(net().named_parameters())), TypeError, GIVE),
    row("torch: params empty", lambda: deva_torch.Muon([]), ValueError, "there are no parameters", "used up before"),
    row("torch: params used up", lambda: deva_torch.Muon(iter(())), ValueError, "used up before"),
    row("torch: params frozen", lambda: deva_torch.Muon(deva_torch.param_groups(net().requires_grad_(False))), ValueError,
        "all are frozen"),
    row("torch: params arrays", lambda: deva_torch.Muon([np.ones((3, 3))]), TypeError, "params[0] is a ndarray", GIVE),
    row("torch: params names", lambda: deva_torch.Muon(["0.weight"]), TypeError, "params[0] is '0.weight'", GIVE),
    row("torch: params modules", lambda: deva_torch.Muon(net().children()), TypeError, "params[0] is a Linear", GIVE),
    row("torch: params named modules", lambda: deva_torch.Muon(net().named_children()), TypeError, "'0' with a Linear", GIVE),
    row("torch: params int", lambda: deva_torch.Muon([torch.ones(3, 3, dtype=torch.int32)]), TypeError,
        "'group0.0' has dtype torch.int32"),
    row("torch: params complex", lambda: deva_torch.Muon([torch.ones(3, 3, dtype=torch.complex64)]), TypeError, "view_as_real"),
    row("torch: params float8", lambda: deva_torch.Muon([torch.ones(3, 3).to(torch.float8_e4m3fn)]), TypeError,
        "bfloat16 or float32 master copy"),
    row("torch: params lazy", lambda: deva_torch.Muon(nn.LazyLinear(3).parameters()), ValueError, "run the model once before"),
    row("torch: params 3 axes", lambda: deva_torch.Muon([torch.ones(3, 3, 3)]), ValueError, "needs a layout", "'batch out in'"),
    row("torch: group without params", lambda: deva_torch.Muon([{"lr": 0.1}]), ValueError, 'without "params"', "it has lr"),
    row("torch: group with param", lambda: deva_torch.Muon([{"param": []}]), ValueError, "write it in place of 'param'"),
    row("torch: group of None", lambda: deva_torch.Muon([{"params": None}]), TypeError, '"params" must be', "got None", GIVE),
    row("torch: group of a module", lambda: deva_torch.Muon([{"params": net()}]), TypeError, "got a Sequential"),
    row("torch: group of a dict", lambda: deva_torch.Muon([{"params": dict(net().named_parameters())}]), TypeError, "got a dict"),
    row("torch: group of arrays", lambda: deva_torch.Muon([{"params": [np.ones(3)]}]), TypeError, "got a ndarray"),
    row("torch: a list in a list", lambda: deva_torch.Muon([list(net().parameters())]), TypeError, "params[0] is a list", GIVE),
    row("torch: group layout name", lambda: grouped(layout={"1.wieght": "in out"}), ValueError, "layout names a parameter"),
    row("torch: group use_muon", lambda: grouped(use_muon=True), ValueError, '"use_muon"', '"rule": AdamW(lr=...)'),
    row("torch: group rule string", lambda: grouped(rule="adamw"), TypeError, '"rule" must be', "write AdamW()"),
    row("torch: group rule class", lambda: grouped(rule=AdamW), TypeError, "call it, AdamW()"),
    row("torch: group lr", lambda: grouped(lr="0.1"), TypeError, "Muon.lr must be a number"),
    row("torch: group momentum", lambda: grouped(momentum=2.0), ValueError, "Muon.momentum must be >= 0 and < 1"),
    row("torch: group maximize", lambda: grouped(maximize="yes"), TypeError, "a param group.maximize must be True or False"),
    row("torch: group layout", lambda: grouped(layout="foo"), ValueError, "unknown axis 'foo'"),
    row("torch: added tensor", lambda: muon().add_param_group(torch.ones(2, 2)), TypeError, 'a dict such as {"params": ...}'),
    row("torch: added list", lambda: muon().add_param_group([torch.ones(2, 2)]), TypeError, "got a list"),
    row("torch: betas of 3", lambda: deva_torch.DeVA(net().parameters(), betas=(0.9, 0.9, 0.9)), ValueError,
        "DeVA.betas must be a pair"),
    row("torch: betas a number", lambda: deva_torch.AdamW(net().parameters(), betas=0.9), ValueError,
        "AdamW.betas must be a pair"),
    row("torch: rounding", lambda: muon(rounding="up"), ValueError, "rounding must be one of 'nearest', 'stochastic', 'kahan'"),
    row("torch: state_dtype", lambda: muon(state_dtype="float16"), ValueError, '"float32" or "bfloat16", got \'float16\''),
    row("torch: state_dtype list", lambda: muon(state_dtype=[1]), ValueError, "state_dtype must be", "got [1]"),
    row("torch: generator a seed", lambda: muon(generator=42), TypeError, "torch.Generator().manual_seed(seed)"),
    row("torch: generator NumPy's", lambda: muon(generator=np.random.default_rng()), TypeError, "must be a torch.Generator"),
    row("torch: foreach", lambda: muon(foreach="no"), TypeError, "deva_torch.Muon.foreach must be True or False"),
    row("torch: capturable", lambda: muon(capturable="yes"), TypeError, "deva_torch.Muon.capturable must be True or False"),
    row("torch: maximize", lambda: muon(maximize=1), TypeError, "deva_torch.Muon.maximize must be True or False"),
    row("torch: process_group", lambda: muon(process_group="world"), TypeError, "process_group must be", "got 'world'"),
    row("torch: capturable DeVA", lambda: deva_torch.DeVA(net().parameters(), capturable=True), ValueError,
        "leave capturable out"),
    row("torch: compute_dtype float8", lambda: muon(compute_dtype="float8_e4m3fn"), ValueError, "16 bits or more", "8 bits"),
    row("torch: compute_dtype torch.float8", lambda: muon(compute_dtype=torch.float8_e5m2), ValueError, "16 bits or more"),
    row("torch: compute_dtype int", lambda: muon(compute_dtype=torch.int32), ValueError, 'such as "bfloat16"'),
    row("torch: compute_dtype NumPy's", lambda: muon(compute_dtype=np.float32), ValueError, "got the class float32"),
    row("torch: layout name", lambda: deva_torch.Muon(net().named_parameters(), layout={"0.wieght": "in out"}), ValueError,
        "did you mean '0.weight'?"),
    row("torch: layout number", lambda: muon(layout=3), TypeError, "layout must be a pattern"),
    row("torch: schedule None", lambda: trained(*(lambda n: (deva_torch.Muon(n.parameters(), lr=lambda c: None), n))(net())),
        TypeError, "Muon.lr is a schedule"),
    row("torch: a scheduler for lr", lambda: muon(lr=torch.optim.lr_scheduler.LambdaLR), TypeError, "the class LambdaLR"),
    row("torch: closure", lambda: muon().step(3), TypeError, "a function that returns the loss", "step() alone"),
    row("torch: gradients to step", lambda: muon().step([torch.ones(2)]), TypeError, "read from the parameters"),
    row("torch: sparse gradient", lambda: graded(None), TypeError, "is sparse: use Embedding(sparse=False)"),
    row("torch: torch's gradient in NumPy", lambda: graded(torch.ones(3, 4)), TypeError, "an array of torch, the parameter"),
    row("torch: two libraries", lambda: state_of(Muon(), {"a": np.ones((2, 2)), "b": torch.ones(2)}), TypeError,
        "arrays of one library, got arrays of numpy, torch"),
    row("torch: lr written", lambda: written("lr", "x"), TypeError, "Muon.lr must be a number"),
    row("torch: rule written", lambda: written("rule", "AdamW"), TypeError, '"rule" must be'),
    row("torch: momentum deleted", lambda: written("momentum", None), ValueError, "has no 'momentum' any more"),
    row("param_groups: parameters", lambda: deva_torch.param_groups(net().parameters()), TypeError, "give the model itself"),
    row("param_groups: state dict", lambda: deva_torch.param_groups(net().state_dict()), TypeError, "got an OrderedDict"),
    row("param_groups: class", lambda: deva_torch.param_groups(nn.Linear), TypeError, "the class Linear"),
    row("param_groups: position", lambda: deva_torch.param_groups(net(), "out in"), TypeError, "layout=…"),
    row("param_groups: head", lambda: deva_torch.param_groups(net(), heads=["head"]), ValueError, "a module 'head'"),
    row("param_groups: heads number", lambda: deva_torch.param_groups(net(), heads=1), TypeError, "heads must be names"),
    row("param_groups: heads module", lambda: deva_torch.param_groups(net(), heads=[net()[1]]), TypeError, "heads must be names"),
    row("load: AdamW's", lambda: loaded(lambda: peer_state(torch.optim.AdamW)), ValueError, "import_state", "source='adamw'"),
    row("load: AdamW's into AdamW", lambda: loaded(lambda: peer_state(torch.optim.AdamW), deva_torch.AdamW), ValueError,
        "import_state", "source='keller' or 'adamw'"),
    row("load: SGD's", lambda: loaded(lambda: peer_state(torch.optim.SGD, lr=0.1)), ValueError, "import_state", "docs/moving.md"),
    row("load: SGD's momentum", lambda: loaded(lambda: peer_state(torch.optim.SGD, lr=0.1, momentum=0.9)), ValueError,
        "import_state", "'torch' or 'keller'"),
    row("load: AdaGO's", lambda: loaded(lambda: peer_state(deva_torch.AdaGO)), ValueError, "is not Muon's"),
    row("load: ours into DeVA", lambda: loaded(lambda: peer_state(deva_torch.Muon), deva_torch.DeVA), ValueError,
        "is not DeVA's"),
    row("load: a model's", lambda: loaded(lambda: net().state_dict()), TypeError, '"state" and "param_groups"'),
    row("load: None", lambda: loaded(lambda: None), TypeError, "load_state_dict takes an optimizer's state dict"),
    row("load: a path", lambda: loaded(lambda: "x.pt"), TypeError, "got a str"),
    row("load: a checkpoint", lambda: loaded(lambda: {"model": 1, "optimizer": peer_state(deva_torch.Muon)}), TypeError,
        "did you mean its 'optimizer'?"),
    row("load: other shapes", lambda: loaded(lambda: changed(lambda s: s["state"][0].update(momentum=torch.ones(4, 3)))),
        ValueError, "momentum of 'group0.0' has shape (4, 3), expected (3, 4)"),
    row("load: a later string", lambda: loaded(lambda: changed(lambda s: s["state"][3].update(exp_avg="x"))), ValueError,
        "exp_avg of 'group0.3'"),
    row("load: an array", lambda: loaded(lambda: changed(lambda s: s["state"][0].update(momentum=np.ones((3, 4))))), ValueError,
        "momentum of 'group0.0' must be a tensor"),
    row("load: step", lambda: loaded(lambda: changed(lambda s: s["state"][3].update(step="x"))), ValueError,
        "step of 'group0.3' must be a number of steps"),
    row("load: count", lambda: loaded(lambda: changed(lambda s: s["param_groups"][0].update(count="x"))), ValueError,
        "count of group 0"),
    row("load: groups", lambda: loaded(lambda: changed(lambda s: s["param_groups"].append(s["param_groups"][0]))), ValueError,
        "has 2 param groups, but this optimizer has 1"),
    row("load: parameters", lambda: loaded(lambda: changed(lambda s: s["param_groups"][0]["params"].pop())), ValueError,
        "has 3 parameters, but here it has 4"),
    row("load: a group without params", lambda: loaded(lambda: {"state": {}, "param_groups": [{"lr": 0.1}]}), TypeError,
        'a list of dicts with "params"'),
    row("load: groups a dict", lambda: loaded(lambda: {"state": {}, "param_groups": {"lr": 0.1}}), TypeError, "a list of dicts"),
    row("load: state a list", lambda: loaded(lambda: changed(lambda s: s.update(state=[]))), TypeError, '"state" of'),
    row("load: a slot of None", lambda: loaded(lambda: changed(lambda s: s["state"].update({3: None}))), TypeError, '"state" of'),
    row("load: by name", lambda: loaded(lambda: changed(lambda s: s.update(state={"0.weight": {}}))), ValueError,
        "set_optimizer_state_dict"),
    row("load: a negative step", lambda: loaded(lambda: changed(lambda s: s["state"][0].update(step=-3))), ValueError,
        "step of 'group0.0'"),
    row("load: other rule", lambda: loaded(lambda: changed(lambda s: s["param_groups"][0].update(rule="AdamW"))), ValueError,
        "group 0 was optimised by AdamW, but here it is optimised by Muon"),
    row("import: another model", lambda: imported_from(net()), ValueError, "parameter number 0, of shape (3, 4)"),
    row("import: a model's", lambda: deva_torch.import_state(muon(), net().state_dict(), "torch"), TypeError, "its state dict"),
    row("import: unstepped", lambda: deva_torch.import_state(muon(), torch.optim.AdamW(net().parameters()), "adamw"), ValueError,
        "nothing to take over"),
    row("import: source", lambda: imported(torch.optim.AdamW, "pytorch"), ValueError, "there are torch, keller"),
    row("import: wrong source", lambda: imported(torch.optim.AdamW, "torch"), ValueError, "those of source 'adamw'"),
    row("import: ours", lambda: imported(deva_torch.Muon, "torch"), ValueError, "our own"),
    row("import: AdaGO", lambda: imported(torch.optim.AdamW, "adamw", deva_torch.AdaGO), ValueError, "between it and Muon"),
    row("import: step", lambda: imported(torch.optim.AdamW, "adamw", step="x"), ValueError, "the number of steps made"),
    row("import: a path", lambda: deva_torch.import_state(muon(), "x.pt", "torch"), TypeError, "or its state dict"),
    row("import: swapped", lambda: deva_torch.import_state(torch.optim.AdamW(net().parameters()), muon(), "adamw"), TypeError,
        "import_state(optimizer, peer, source)", "got torch.optim.adamw.AdamW"),
    row("export: a dict", lambda: deva_torch.export_state(muon(), {}, "adamw"), TypeError, "the peer must be a torch optimizer"),
    row("torch.save: swapped", lambda: deva_torch.save(muon(), "never"), TypeError, "save(path, optimizer)"),
    row("torch.load: torch's", lambda: deva_torch.load("never", torch.optim.AdamW(net().parameters())), TypeError,
        "load(path, optimizer)"),
]  # fmt: skip


def tree():
    return {"kernel": jnp.ones((3, 4)), "bias": jnp.zeros(4)}


def jax_state(transformation):
    return transformation.init(tree())


def updated(state, grads=None, transformation=None):
    return (transformation or deva_jax.muon()).update(tree() if grads is None else grads, state, tree())


def foreign_number():
    """A 0-d array of another library, as far as anyone can tell."""
    return type("Number", (), {"dtype": "float32", "shape": (), "__float__": lambda self: 0.1})()


def injected(factory, **arguments):
    optax.inject_hyperparams(factory)(**arguments).init(tree())


JAX_ROWS = JAX and [
    *keyword_rows(
        "deva_jax.muon",
        lambda **options: deva_jax.muon(0.02, **options),
        lr="here it is learning_rate=",
        beta="a keyword of optax.contrib.muon; here it is momentum=",
        eps="no eps is needed",
        ns_coeffs="ns_coefficients=",
        mu_dtype="momentum is kept in float32",
        adaptive="no such variant",
        preconditioning="a policy",
        adam_b1="vector_rule=AdamW(beta1=…)",
        adam_b2="vector_rule=AdamW(beta2=…)",
        adam_eps_root="no such term",
        adam_weight_decay="vector_rule=AdamW(weight_decay=…)",
        adam_learning_rate="vector_learning_rate=",
        muon_weight_dimension_numbers="layout=",
        consistent_rms='scale="rms" and rms=',
        momentun="did you mean 'momentum'?",
        state_dtype="momentum is kept in float32",
        rounding="rounded to the nearest",
        maximize="optax.scale(-1.0)",
        params="parameters are given to init and update",
        mask="weight_decay_mask=",
        process_group="stack_sharding=",
        foobar="it takes learning_rate,",
    ),
    *keyword_rows(
        "deva_jax.adamw",
        lambda **options: deva_jax.adamw(1e-3, **options),
        b1="beta1=",
        eps_root="no such term",
        mask="transform(rule, weight_decay_mask=…)",
        layout="optimizers with a matrix rule",
    ),
    *keyword_rows(
        "deva_jax.transform",
        lambda **options: deva_jax.transform(Muon(), **options),
        lr="it belongs to the rule",
        vectorrule="did you mean 'vector_rule'?",
    ),
    row("jax: second by position", lambda: deva_jax.muon(0.02, 0.95), TypeError, "momentum=…", "ns_coeffs in optax"),
    row("jax: transform by position", lambda: deva_jax.transform(Muon(), AdamW()), TypeError, "vector_rule=…"),
    row("jax: params for lr", lambda: deva_jax.muon(tree()), TypeError, "Muon.lr must be a number", "got a dict"),
    row("jax: transform optax", lambda: deva_jax.transform(optax.adam(1e-3)), TypeError, "optax.multi_transform"),
    row("jax: transform class", lambda: deva_jax.transform(Muon), TypeError, "the class Muon: call it, Muon()"),
    row("jax: transform factory", lambda: deva_jax.transform(deva_jax.muon), TypeError, "give a rule, as deva_core.Muon()"),
    row("jax: transform string", lambda: deva_jax.transform("muon"), TypeError, "write Muon()"),
    row("jax: vector_rule string", lambda: deva_jax.muon(vector_rule="adamw"), TypeError, "deva_jax: vector_rule must be"),
    row("jax: vector_rule class", lambda: deva_jax.muon(vector_rule=AdamW), TypeError, "call it, AdamW()"),
    row("jax: vector_rule matrix", lambda: deva_jax.muon(vector_rule=Muon()), TypeError, "which is for matrices"),
    row("jax: vector_rule optax", lambda: deva_jax.muon(vector_rule=optax.adam(1e-3)), TypeError, "optax.multi_transform"),
    row("jax: vector_learning_rate", lambda: deva_jax.muon(vector_learning_rate="x"), TypeError, "vector_learning_rate must"),
    row("jax: explain class", lambda: deva_jax.explain(tree(), Muon), TypeError, "call it, Muon()"),
    row("jax: explain swapped", lambda: deva_jax.explain(Muon(), tree()), TypeError, "deva_jax: rule must be"),
    row("jax: default_layout", lambda: deva_jax.transform(Muon(), default_layout="out in"), TypeError, "default_layout must be"),
    row("jax: injected ns_steps", lambda: injected(deva_jax.muon, learning_rate=0.1, ns_steps=5), TypeError,
        'static_args=("ns_steps",)'),
    row("jax: injected dimension", lambda: injected(deva_jax.deva, learning_rate=0.1, max_precondition_dim=9), TypeError,
        'static_args=("max_precondition_dim",)'),
    row("jax: injected beta", lambda: injected(deva_jax.muon, learning_rate=0.1, beta=0.9), TypeError, "here it is momentum="),
    row("jax: injected scale", lambda: injected(deva_jax.muon, learning_rate=0.1, scale="foo"), ValueError,
        "Muon.scale must be one of"),
    row("jax: compute_dtype float8", lambda: deva_jax.muon(compute_dtype=jnp.float8_e4m3fn), ValueError, "16 bits or more"),
    row("jax: compute_dtype int", lambda: deva_jax.muon(compute_dtype="int8"), ValueError, 'such as "bfloat16"'),
    row("jax: stack_sharding", lambda: deva_jax.muon(stack_sharding=3), ValueError, "the name of a mesh axis"),
    row("jax: lr of torch", lambda: deva_jax.muon(foreign_number()), TypeError, "Muon.lr is an array of", "give a number"),
    row("jax: a schedule's maker", lambda: deva_jax.muon(optax.cosine_decay_schedule), TypeError, "cosine_decay_schedule"),
    row("jax: a schedule's maker's", lambda: jax_state(deva_jax.muon(optax.constant_schedule)), TypeError, "is a schedule"),
    row("jax: routes as layout", lambda: deva_jax.muon(layout=deva_jax.routes(tree())), TypeError, "give **routes(params)"),
    row("jax: mask of arrays", lambda: jax_state(deva_jax.muon(weight_decay_mask={"bias": jnp.bool_(True)})), TypeError,
        "must hold True or False"),
    row("jax: update swapped", lambda: deva_jax.muon().update(jax_state(deva_jax.muon()), tree(), tree()), TypeError,
        "the state must be"),
    row("jax: leaf string", lambda: deva_jax.muon().init({"a": jnp.ones((3, 3)), "name": "x"}), TypeError, "parameter 'name'"),
    row("jax: leaf int", lambda: deva_jax.muon().init({"a": jnp.ones((3, 3), int)}), TypeError, "parameter 'a' has dtype int32"),
    row("jax: leaf float", lambda: deva_jax.muon().init({"a": 1.0}), TypeError, "parameter 'a' must be a JAX array"),
    row("jax: leaf function", lambda: deva_jax.muon().init({"act": jax.nn.relu}), TypeError, "parameter 'act'",
        "equinox.filter"),
    row("jax: leaf float8", lambda: deva_jax.muon().init({"a": jnp.ones((3, 3), jnp.float8_e4m3fn)}), TypeError, "master copy"),
    row("jax: leaf of 3 axes", lambda: deva_jax.muon().init({"a": jnp.ones((3, 3, 3))}), ValueError, "needs a layout"),
    row("jax: no params", lambda: deva_jax.muon().update(tree(), jax_state(deva_jax.muon())), ValueError,
        "update(grads, state, params)"),
    row("jax: gradient name", lambda: updated(jax_state(deva_jax.muon()), {"kernal": jnp.ones((3, 4))}), ValueError,
        "did you mean 'kernel'?"),
    row("jax: gradient shape", lambda: updated(jax_state(deva_jax.muon()), {"kernel": jnp.ones((4, 3))}), ValueError,
        "the gradient of 'kernel' has shape (4, 3)"),
    row("jax: gradients a leaf", lambda: updated(jax_state(deva_jax.muon()), jnp.ones(2)), ValueError, "must be a tree"),
    row("jax: state optax", lambda: updated(optax.adam(1e-3).init(tree())), TypeError, "import_state takes over optax's"),
    row("jax: state optax.muon", lambda: updated(optax.contrib.muon(1e-3).init(tree())), TypeError, "import_state"),
    row("jax: state of a chain", lambda: updated(optax.chain(deva_jax.muon()).init(tree())), TypeError, "the inner state"),
    row("jax: state None", lambda: updated(None), TypeError, "the state must be", "got None"),
    row("jax: state AdaGO's", lambda: updated(jax_state(deva_jax.adago())), ValueError, "is not Muon's"),
    row("jax: state into AdaGO", lambda: updated(jax_state(deva_jax.muon()), None, deva_jax.adago()), ValueError,
        "is not AdaGO's"),
    row("jax: state traced", lambda: jax.jit(deva_jax.deva().update)(tree(), jax_state(deva_jax.muon()), tree()), ValueError,
        "is not DeVAVector's"),
    row("jax: state shapes", lambda: updated(deva_jax.muon().init({"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)})), ValueError,
        "has shape (3,), expected (4,)"),
    row("jax: state other leaves", lambda: updated(deva_jax.muon().init({"kernel": jnp.ones((3, 4))})), ValueError,
        "the state belongs to other parameters", "call init again"),
    row("jax: schedule None", lambda: jax_state(deva_jax.muon(lambda count: None)), TypeError, "Muon.lr is a schedule", "None"),
    row("jax: schedule string", lambda: jax_state(deva_jax.muon(lambda count: "x")), TypeError, "Muon.lr is a schedule"),
    row("jax: schedule of nothing", lambda: deva_jax.muon(lambda: 0.1), TypeError, "a callable of the update count"),
    row("jax: mask of params", lambda: jax_state(deva_jax.muon(weight_decay_mask=lambda p: p)), TypeError, "optax's is"),
    row("jax: layout name", lambda: jax_state(deva_jax.muon(layout={"kernal": "in out"})), ValueError, "did you mean 'kernel'?"),
    row("jax: routes heads", lambda: deva_jax.routes(tree(), heads=["kernal"]), ValueError, "did you mean 'kernel'?"),
    row("jax: routes model", lambda: deva_jax.routes(object()), TypeError, "the parameters must be a JAX array"),
    row("jax.load: factory", lambda: deva_jax.load("never", deva_jax.muon, tree()), TypeError, "call it, muon()"),
    row("jax.load: chain", lambda: deva_jax.load("never", optax.chain(deva_jax.muon()), tree()), TypeError, "the inner one"),
    row("jax.save: AdaGO", lambda: deva_jax.save("never", deva_jax.adago(), tree(), jax_state(deva_jax.muon())), ValueError,
        "is not AdaGO's"),
    row("jax.save: optax's", lambda: deva_jax.save("never", deva_jax.muon(), tree(), optax.adam(1.0).init(tree())), TypeError,
        "the state must be"),
    row("jax import: ours", lambda: deva_jax.import_state(deva_jax.muon(), tree(), jax_state(deva_jax.muon())), ValueError,
        "give it to update"),
    row("jax import: source", lambda: deva_jax.import_state(deva_jax.muon(), tree(), optax.adam(1.0).init(tree()), "torch"),
        ValueError, "source must be one of 'optax', 'adamw'"),
    row("jax import: adam as muon", lambda: deva_jax.import_state(deva_jax.muon(), tree(), optax.adam(1.0).init(tree())),
        ValueError, "those of source 'adamw'"),
    row("jax import: transformation", lambda: deva_jax.import_state(deva_jax.muon(), tree(), optax.adam(1.0)), ValueError,
        "as init(params) gives it"),
    row("jax export: transformation",
        lambda: deva_jax.export_state(deva_jax.muon(), tree(), jax_state(deva_jax.muon()), optax.adam(1.0)), ValueError,
        "peer_state must be"),
]  # fmt: skip

ROWS = [*CORE, *(TORCH_ROWS or ()), *(JAX_ROWS or ())]


@pytest.mark.parametrize("mistake", ROWS, ids=lambda mistake: mistake.name)
def test_a_mistake_is_answered_with_what_to_write(mistake):
    with pytest.raises(mistake.error) as caught:
        mistake.call()
    message = str(caught.value)
    assert type(caught.value) is mistake.error
    assert all(fragment in message for fragment in mistake.fragments), message
    assert not INTERNAL.search(message), message
    assert "\n" not in message and len(message) < 700, message


def test_each_mistake_stands_once():
    assert len({mistake.name for mistake in ROWS}) == len(ROWS)


FILES = {
    "empty": (b"", "the file is empty"),
    "torch": (b"PK\x03\x04 and more", "torch.load(path)"),
    "pickle": (b"\x80\x04K\x01.", "pickle wrote it"),
    "numpy": (b"\x93NUMPY\x01\x00", "numpy.save wrote it"),
    "text": (b"some other words that are long enough", "its header cannot be read"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_another_kind_is_called_by_its_kind(kind, tmp_path):
    data, fragment = FILES[kind]
    (tmp_path / "state").write_bytes(data)
    with pytest.raises(CheckpointError, match=re.escape(fragment)):
        deva_numpy.load(tmp_path / "state", functional(), ARRAYS)


def test_a_file_of_weights_is_called_so(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.ones(2)}, tmp_path / "weights")
    with pytest.raises(CheckpointError, match="a safetensors file of something else"):
        deva_numpy.load(tmp_path / "weights", functional(), ARRAYS)


@pytest.mark.parametrize("rename", [["weight"], 3, lambda name: None], ids=["list", "number", "nothing"])
def test_a_rename_that_names_nothing_is_refused(rename, tmp_path):
    deva_numpy.save(tmp_path / "state", functional(), ARRAYS, state_of(Muon()))
    with pytest.raises(TypeError, match="rename must"):
        deva_numpy.load(tmp_path / "state", functional(), ARRAYS, rename)


KELLER = {"lr", "weight_decay", "momentum", "nesterov", "ns_steps", "rank", "world_size", "use_muon", "betas", "eps"}
MOONLIGHT = {"lr", "wd", "muon_params", "momentum", "nesterov", "ns_steps", "adamw_params", "adamw_betas", "adamw_eps"}
"""Of classes that are in no package index: their repositories' signatures, and the keys of Keller Jordan's groups."""


def ours():
    """Every function that takes keywords: what it accepts, by its name."""
    found = {rule.__name__: hyperparameters(rule) for rule in core.RULES}
    kinds = [Optimizer, deva_numpy.Optimizer]
    if TORCH:
        kinds += [getattr(deva_torch, n) for n in ("Muon", "AdaGO", "DeVA", "DeVAVector", "AdamW", "RuleOptimizer")]
    found |= {f"{kind.__module__}.{kind.__name__}": call_of(kind.__init__, True).keywords for kind in kinds}
    if JAX:
        factories = [getattr(deva_jax, n) for n in ("muon", "adago", "deva", "deva_vector", "adamw", "transform")]
        found |= {f"deva_jax.{factory.__name__}": call_of(factory).keywords for factory in factories}
    return {name: set(accepted) for name, accepted in found.items()}


def peers():
    """`(their name, their keywords, ours)` of each peer that is installed, and of those that cannot be."""
    pairs = []
    if TORCH:
        pairs += [("Keller Jordan", KELLER, deva_torch.Muon), ("Moonlight", MOONLIGHT, deva_torch.Muon)]
        pairs += [
            (kind.__name__, kind, getattr(deva_torch, kind.__name__)) for kind in (torch.optim.Muon, torch.optim.AdamW)
        ]
    if TORCH and find_spec("pytorch_optimizer"):
        import pytorch_optimizer

        pairs += [(f"kozistr's {n}", getattr(pytorch_optimizer, n), getattr(deva_torch, n)) for n in ("Muon", "AdaGO")]
    if JAX:
        pairs += [
            ("optax.contrib.muon", optax.contrib.muon, deva_jax.muon),
            ("optax.adamw", optax.adamw, deva_jax.adamw),
        ]
    return pairs


@pytest.mark.parametrize("pair", peers(), ids=lambda pair: pair[0])
def test_every_keyword_of_a_peer_is_taken_or_answered(pair):
    _, theirs, here = pair
    if not isinstance(theirs, set):
        parameters = inspect.signature(theirs).parameters.values()
        theirs = {p.name for p in parameters if p.kind != p.VAR_KEYWORD}
    accepted = call_of(here.__init__, True).keywords if isinstance(here, type) else call_of(here).keywords
    bare = {keyword for keyword in theirs if keyword not in accepted and answer_for(keyword, accepted) is None}
    assert theirs and not bare


@pytest.mark.skipif(not (TORCH and JAX), reason="the table speaks of both")
def test_the_table_names_no_keyword_of_ours_that_does_not_exist():
    everywhere = set.union(*ours().values())
    rules = {rule.__name__: set(hyperparameters(rule)) for rule in core.RULES}
    for keyword, (_, answers) in FOREIGN.items():
        for answer in answers:
            assert set(named_in(answer)) <= everywhere, (keyword, answer)
            for rule, arguments in re.findall(r"\b([A-Z]\w+)\(([^()]*)\)", answer):
                assert set(re.findall(r"(\w+)=", arguments)) <= rules[rule], (keyword, answer)


@pytest.mark.skipif(not (TORCH and JAX), reason="the table speaks of both")
def test_every_answer_of_the_table_is_given_by_some_function():
    for keyword, (_, answers) in FOREIGN.items():
        given = {answer_for(keyword, accepted) for accepted in ours().values() if keyword not in accepted}
        unheard = [answer for answer in answers if not any(said and said.endswith(answer) for said in given)]
        assert not unheard, keyword


def test_every_policy_is_in_the_table():
    policies = {name for rule in core.RULES for name, declared in hyperparameters(rule).items() if declared.policy}
    assert policies and all(FOREIGN[name].answers == (POLICY,) for name in policies)


@pytest.mark.skipif(not TORCH, reason="torch's signatures")
def test_torchs_classes_take_params_and_lr_by_position_and_adamw_as_torchs():
    def positional(kind):
        kinds = inspect.signature(kind).parameters.values()
        return [p.name for p in kinds if p.kind == p.POSITIONAL_OR_KEYWORD]

    for name in ("Muon", "AdaGO", "DeVA", "DeVAVector"):
        assert positional(getattr(deva_torch, name)) == ["params", "lr"]
    assert positional(deva_torch.AdamW) == positional(torch.optim.AdamW)[:5]


OURS = {"deva_core", "deva_jax", "deva_torch", "deva_core's dialects", "the hosts", "Muon", "JAX", "torch"}


def test_the_page_about_moving_lists_every_keyword_of_others():
    page = (Path(__file__).parent.parent / "docs" / "moving.md").read_text(encoding="utf-8")
    foreign = {keyword: entry for keyword, entry in FOREIGN.items() if entry.whose not in (*OURS, "")}
    rows = [f"| `{keyword}` | {whose} | {'; or '.join(answers)} |" for keyword, (whose, answers) in foreign.items()]
    assert "| theirs | whose | here |\n|---|---|---|\n" + "\n".join(rows) + "\n\n" in page


WARNED = {
    "learning_rate": "here it is lr=",
    "momentun": "did you mean 'momentum'?",
    "wd": "here it is weight_decay=",
    "adamw_lr": '"rule": AdamW(lr=…)',
    "betas": '"rule": AdamW(beta1=…, beta2=…)',
    "adjust_lr_fn": "here it is scale=",
    "ns_method": "docs/moving.md",
    "vector_rule": "an argument of the optimizer",
    "state_dtype": "an argument of the optimizer",
}


@pytest.mark.skipif(not TORCH, reason="torch's groups")
@pytest.mark.parametrize("key", WARNED)
def test_a_groups_key_that_nobody_reads_is_warned_of(key):
    with pytest.warns(UserWarning, match=f"a param group has '{key}'.*{re.escape(WARNED[key])}"):
        grouped(**{key: (0.9, 0.9)})


@pytest.mark.skipif(not TORCH, reason="torch's groups")
@pytest.mark.parametrize(
    "key", ["lr_scale", "max_momentum", "base_momentum", "algorithm", "weight_decay_mult", "max_lr"]
)
def test_a_key_of_the_users_own_is_let_be(key):
    assert grouped(**{key: 1}).param_groups[0][key] == 1


@pytest.mark.skipif(not TORCH, reason="torch's groups")
def test_groups_of_ours_make_an_optimizer_again():
    groups = [{**group} for group in muon().param_groups]
    assert deva_torch.Muon(groups).param_groups[0]["lr"] == 0.02


@dataclasses.dataclass(frozen=True)
class Positional(Rule):
    """A user's rule whose hyperparameter may come by position."""

    lr: float = hyper(0.1, ge=0)


class Written(Positional):
    """A user's rule with an `__init__` of its own."""

    def __init__(self, rate, **others):
        super().__init__(lr=rate)
        assert set(others) <= {"note"}


def test_users_rules_keep_their_own_ways_to_be_made():
    assert Written(0.3).lr == Written(rate=0.3, note="x").lr == 0.3
    assert Positional(lr=0.2) == dataclasses.replace(Positional(), lr=0.2)
    for rule in (Muon(lr=0.1), DeVAVector(beta1=0.5), Written(0.3)):
        assert copy.copy(rule) == copy.deepcopy(rule) == pickle.loads(pickle.dumps(rule)) == rule
    with pytest.raises(TypeError, match="Positional got an unexpected keyword argument 'learning_rate'"):
        Positional(learning_rate=0.1)


@pytest.mark.skipif(not JAX, reason="optax")
def test_signatures_are_seen_through():
    assert list(inspect.signature(deva_jax.muon).parameters)[:2] == ["learning_rate", "momentum"]
    state = optax.inject_hyperparams(deva_jax.muon, static_args=("ns_steps",))(learning_rate=0.1, ns_steps=3).init(
        tree()
    )
    assert "learning_rate" in state.hyperparams and "momentum" in state.hyperparams
    assert pickle.loads(pickle.dumps(deva_jax.muon)) is deva_jax.muon
