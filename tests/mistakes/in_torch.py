"""Mistakes in torch."""

from importlib.util import find_spec

import numpy as np

from deva_core import (
    AdamW,
    Muon,
    Optimizer,
)
from tests.mistakes import (
    keyword_rows,
    row,
)
from tests.mistakes.core import (
    ARRAYS,
    state_of,
)

TORCH = bool(find_spec("torch"))
if TORCH:
    import torch
    from torch import nn

    import deva_torch
JAX = bool(find_spec("jax"))
if JAX:
    pass


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
