"""A learning rate means what it says: in every host, in both halves, in groups, and at zero."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
import optax  # noqa: E402

import deva_jax  # noqa: E402
import deva_numpy  # noqa: E402
import deva_torch  # noqa: E402
from deva_core import AdaGO, AdamW, DeVA, DeVAVector, Muon, Optimizer, Rule  # noqa: E402
from deva_core.vector_half import default_vector_rule, vector_lr_ratio  # noqa: E402
from tests.tables import rows  # noqa: E402

RULES = (Muon, AdaGO, DeVA)
G = {"weight": np.cos(np.arange(12.0) ** 2).reshape(4, 3), "bias": np.array([1.0, -2.0, 0.5, 3.0])}
RATIOS = {Muon: 0.2, AdaGO: 0.08, DeVA: 1.0}
"""The documented ones (docs/learning_rates.md)."""


def steps_of_core(rule, kind=Optimizer, **options):
    """How far one step from zero moves each parameter, by the functional host."""
    optimizer, params = kind(rule, **options), {name: np.zeros_like(x) for name, x in G.items()}
    return optimizer.step(params, G, optimizer.init(params))[0]


def steps_of_torch(rule, **options):
    named = [(name, torch.nn.Parameter(torch.zeros(x.shape, dtype=torch.float64))) for name, x in G.items()]
    optimizer = deva_torch.RuleOptimizer(named, rule, **options)
    for name, p in named:
        p.grad = torch.tensor(G[name])
    optimizer.step()
    return {name: p.detach().numpy() for name, p in named}


def steps_of_jax(rule, **options):
    with jax.enable_x64(True):
        params = {name: jnp.zeros(x.shape, jnp.float64) for name, x in G.items()}
        optimizer = deva_jax.transform(rule, **options)
        updates, _ = optimizer.update({k: jnp.asarray(x) for k, x in G.items()}, optimizer.init(params), params)
        return {name: np.asarray(u) for name, u in updates.items()}


HOSTS = {
    "core": steps_of_core,
    "numpy": lambda rule, **options: steps_of_core(rule, deva_numpy.Optimizer, **options),
    "torch": steps_of_torch,
    "jax": steps_of_jax,
}


@pytest.fixture(params=HOSTS)
def steps(request):
    """One step from zero in each host in turn."""
    return HOSTS[request.param]


def close(a, b, rtol=1e-12):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=rtol, atol=0, err_msg=name)


def length(steps):
    """How far the bias moved, entry by entry: all the vector rules here move it by their lr."""
    return np.abs(steps["bias"])


OWN = {"follows": {}, "own": {"vector_rule": AdamW(lr=2e-3)}, "argument": {"vector_learning_rate": 2e-3}}


@pytest.mark.parametrize("options", OWN.values(), ids=OWN)
@pytest.mark.parametrize("rule", RULES)
def test_a_number_and_a_constant_schedule_are_the_same_optimizer(steps, rule, options):
    close(steps(rule(lr=0.1), **options), steps(rule(lr=lambda count: 0.1), **options))


@pytest.mark.parametrize("rule", RULES)
def test_the_vector_half_follows_by_the_documented_ratio(steps, rule):
    """And so k times the lr moves every parameter k times as far."""
    near, far = steps(rule(lr=0.01)), steps(rule(lr=0.03))
    np.testing.assert_allclose(length(near), 0.01 * RATIOS[rule], rtol=1e-6)
    close(far, {name: 3 * x for name, x in near.items()})


@pytest.mark.parametrize("rule", RULES)
def test_a_vector_rule_without_an_lr_follows_as_the_default_one_does(steps, rule):
    np.testing.assert_allclose(length(steps(rule(lr=0.1), vector_rule=AdamW(beta2=0.5))), 0.1 * RATIOS[rule], rtol=1e-6)


@pytest.mark.parametrize(
    "given", [3e-4, lambda count: 3e-4, AdamW.default("lr")], ids=["number", "callable", "default"]
)
@pytest.mark.parametrize("how", ["rule", "argument"])
def test_an_lr_given_to_the_vector_half_is_exact(steps, given, how):
    """Whatever the matrix rule's is, and also where it is the vector rule's own default."""
    options = {"vector_rule": AdamW(lr=given)} if how == "rule" else {"vector_learning_rate": given}
    for lr in (0.1, 0.3, lambda count: 0.3):
        np.testing.assert_allclose(length(steps(Muon(lr=lr), **options)), 3e-4, rtol=1e-6)


@pytest.mark.parametrize("rule", [*RULES, lambda **kw: AdaGO(min_step=0.1, **kw), AdamW, DeVAVector])
def test_lr_zero_freezes(steps, rule):
    """As a number and as a schedule, in both halves, decay and AdaGO's floor included."""
    for lr in (0.0, lambda count: 0.0):
        for moved in steps(rule(lr=lr, weight_decay=0.5)).values():
            assert not moved.any()


def test_a_small_lr_moves_little(steps):
    """AdaGO's floor follows it; a number is the paper's, which does not."""
    first = dict(lr=1e-9, initial_accumulator_value=1e12, ns_coefficients="exact")
    assert np.linalg.norm(steps(AdaGO(**first))["weight"], 2) == pytest.approx(1e-11, rel=1e-6)
    assert np.linalg.norm(steps(AdaGO(min_step=1e-3, **first))["weight"], 2) == pytest.approx(1e-3, rel=1e-6)
    assert AdaGO().is_linear and AdaGO(min_step=0.0).is_linear and not AdaGO(min_step=1e-3).is_linear


def test_a_dialect_keeps_its_floor():
    for name in AdaGO.DIALECTS:
        assert AdaGO.dialect(name).min_step == 5e-4


@pytest.mark.parametrize("name", ["muon", "adago", "deva"])
@pytest.mark.parametrize("given", [{}, {"vector_learning_rate": 2e-3}], ids=["follows", "given"])
def test_injected_values_are_the_same_optimizer(name, given):
    """A number, a constant schedule, and what inject_hyperparams makes an array of."""
    factory = getattr(deva_jax, name)
    params = {"kernel": jnp.zeros((3, 4)), "bias": jnp.zeros(4)}
    grads = {"kernel": jnp.asarray(G["weight"].T, jnp.float32), "bias": jnp.asarray(G["bias"], jnp.float32)}

    def first(optimizer):
        return optimizer.update(grads, optimizer.init(params), params)[0]

    plain = first(factory(1e-5, **given))
    for other in (factory(lambda count: 1e-5, **given), optax.inject_hyperparams(factory)(1e-5, **given)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), plain, first(other))


def model():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Embedding(10, 4), torch.nn.Linear(4, 8), torch.nn.Linear(8, 10))
    net(torch.arange(10)).square().sum().backward()
    return net


def moves(net, optimizer):
    """How far a step moves each parameter's entries: the vector half's by its learning rate."""
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer.step()
    return {name: (p.detach() - before[name]).abs().max().item() for name, p in net.named_parameters()}


LRS = {"matrices": 0.02, "embeddings": 0.3, "heads": 0.004, "vectors": 0.04}


def test_the_lr_of_a_group_of_vectors_is_exact_and_stays_so():
    net = model()
    groups = [group | {"lr": LRS[group["name"]]} for group in deva_torch.param_groups(net)]
    optimizer = deva_torch.Muon(groups, vector_rule=AdamW(weight_decay=0.0))
    assert [g["vector_lr_ratio"] for g in optimizer.param_groups] == [0.2, 1.0, 1.0, 1.0]
    first = moves(net, optimizer)
    assert [first[n] for n in ("0.weight", "2.weight", "1.bias")] == pytest.approx([0.3, 0.004, 0.04], rel=1e-4)
    for group in optimizer.param_groups:
        group["lr"] *= 0.5
    later = moves(net, optimizer)
    assert [later[n] for n in ("0.weight", "2.weight", "1.bias")] == pytest.approx([0.15, 0.002, 0.02], rel=1e-3)


@pytest.mark.parametrize("rule", [Muon, AdaGO, DeVA])
def test_one_lr_written_into_all_groups_moves_the_halves_in_their_ratio(rule):
    """nanoGPT's loop and OneCycleLR's scalar max_lr. A group without an lr of its own holds the ratio."""
    net, decayless = model(), default_vector_rule(rule()).with_values(weight_decay=0.0)
    optimizer = deva_torch.RuleOptimizer(deva_torch.param_groups(net), rule(), vector_rule=decayless)
    torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10, cycle_momentum=False)
    for group in optimizer.param_groups:
        group["lr"] = 0.05
    step = moves(net, optimizer)
    for name in ("0.weight", "2.weight", "1.bias", "2.bias"):
        assert step[name] == pytest.approx(0.05 * RATIOS[rule], rel=1e-3)


def test_a_mixed_group_behaves_as_groups_apart():
    """Layer-wise decay: an lr for each layer, its matrix and its bias together or in two groups."""
    apart, mixed = model(), model()
    layers = [(0.5, 1), (1.0, 2)]
    together = [{"params": list(mixed[k].parameters()), "lr": 0.02 * d} for d, k in layers]
    split = [{"params": [mixed_p], "lr": 0.02 * d} for d, k in layers for mixed_p in apart[k].parameters()]
    for group in split[1::2]:
        group["lr"] *= 0.2  # a group of vectors is moved by exactly its lr
    ends = []
    for net, groups in ((mixed, together), (apart, split)):
        optimizer = deva_torch.Muon(groups, lr=0.02)
        optimizer.step()
        ends.append([p.detach() for layer in net[1:] for p in layer.parameters()])
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b)


def test_a_vector_lr_is_exact_at_construction_and_then_follows_in_proportion():
    net = model()
    optimizer = deva_torch.Muon(deva_torch.param_groups(net), lr=0.1, vector_rule=AdamW(lr=3e-3, weight_decay=0.0))
    assert {g["vector_lr_ratio"] for g in optimizer.param_groups} == {3e-3 / 0.1}
    assert moves(net, optimizer)["1.bias"] == pytest.approx(3e-3, rel=1e-4)
    for group in optimizer.param_groups:
        group["lr"] = 0.02
    assert moves(net, optimizer)["1.bias"] == pytest.approx(6e-4, rel=1e-2)
    later = torch.nn.Parameter(torch.zeros(3))
    optimizer.add_param_group({"params": [("later", later)]})
    assert optimizer.param_groups[-1]["vector_lr_ratio"] == 3e-3 / 0.1, "of the lr at construction"


@pytest.mark.parametrize("lr", [0.0, lambda count: 0.1], ids=["zero", "callable"])
def test_where_there_is_no_lr_at_construction_a_given_one_stands_alone(lr):
    net = model()
    optimizer = deva_torch.Muon(net.parameters(), lr=lr, vector_rule=AdamW(lr=3e-3, weight_decay=0.0))
    assert optimizer.param_groups[0]["vector_lr_ratio"] is None
    assert moves(net, optimizer)["1.bias"] == pytest.approx(3e-3 if callable(lr) else 0.0, rel=1e-4)
    for group in optimizer.param_groups:
        group["lr"] = 0.5
    assert moves(net, optimizer)["1.bias"] == pytest.approx(3e-3, rel=1e-2)


@pytest.mark.parametrize("kind", [float, torch.tensor], ids=["number", "tensor"])
@pytest.mark.parametrize("given", [None, 1e-3, lambda count: 1e-3], ids=["follows", "number", "callable"])
def test_a_group_at_lr_zero_is_frozen_and_comes_back(given, kind):
    """Whatever the vector half's lr is, decay included: torch's checkpoints set it so for a step that only makes states."""
    net = model()
    decaying = AdamW(weight_decay=0.5)
    optimizer = deva_torch.Muon(
        deva_torch.param_groups(net), weight_decay=0.5, vector_rule=decaying, vector_learning_rate=given
    )
    for group in optimizer.param_groups:
        group["lr"] = kind(0.0)
    assert set(moves(net, optimizer).values()) == {0.0}
    for group in optimizer.param_groups:
        group["lr"] = kind(0.02)
    assert all(move > 0 for move in moves(net, optimizer).values())


def test_the_ratio_of_a_group_may_be_given_and_is_checked():
    p = torch.nn.Parameter(torch.zeros(3))
    optimizer = deva_torch.Muon([{"params": [p], "lr": 0.1, "vector_lr_ratio": 0.5}, {"params": [matrix()]}])
    p.grad = torch.ones(3)
    optimizer.step()
    assert p.tolist() == pytest.approx([-0.05] * 3)
    for bad in (-1.0, float("nan"), "1", True):
        with pytest.raises(ValueError, match="'vector_lr_ratio' must be a number >= 0 or None"):
            deva_torch.Muon([{"params": [matrix()], "vector_lr_ratio": bad}])
        optimizer.param_groups[0]["vector_lr_ratio"] = bad
        with pytest.raises(ValueError, match="'vector_lr_ratio' must be a number >= 0 or None"):
            optimizer.step()
        saved = deva_torch.Muon([matrix()]).state_dict()
        saved["param_groups"][0]["vector_lr_ratio"] = bad
        with pytest.raises(ValueError, match="'vector_lr_ratio' must be a number >= 0 or None"):
            deva_torch.Muon([matrix()]).load_state_dict(saved)
    numpy = deva_torch.Muon([{"params": [matrix()], "vector_lr_ratio": np.float64(0.5)}])
    assert type(numpy.param_groups[0]["vector_lr_ratio"]) is float


def test_a_refused_optimizer_leaves_the_dicts_of_groups_as_they_were():
    """Torch fills defaults in; with the lr among them the next attempt would take it for the group's own."""
    experts, bias = torch.nn.Parameter(torch.zeros(2, 3, 3)), torch.nn.Parameter(torch.zeros(3))
    groups = [{"params": [("W", experts)]}, {"params": [("b", bias)]}]
    with pytest.raises(ValueError, match="needs a layout"):
        deva_torch.Muon(groups, lr=0.02)
    assert groups == [{"params": [("W", experts)]}, {"params": [("b", bias)]}]
    optimizer = deva_torch.Muon(groups, lr=0.02, layout={"W": "experts out in"})
    assert [group["vector_lr_ratio"] for group in optimizer.param_groups] == [0.2, 0.2]


def test_the_lr_at_construction_is_kept_where_schedulers_write_into_a_tensor():
    optimizer = deva_torch.Muon([matrix()], lr=torch.tensor(0.02), vector_rule=AdamW(lr=1e-3))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch)
    for _ in range(2):
        optimizer.step()
        scheduler.step()
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(3))]})
    assert optimizer.param_groups[1]["vector_lr_ratio"] == pytest.approx(0.05)


def test_a_callable_given_here_is_not_replaced_by_a_ratio_that_was_saved():
    """And a ratio here not by the None that stands for a callable there."""
    p = torch.nn.Parameter(torch.zeros(3))
    given = {"ratio": {}, "callable": {"vector_learning_rate": lambda count: 5e-3}}
    make = {name: lambda options=options: deva_torch.Muon([p, matrix()], **options) for name, options in given.items()}
    for here, there in (("ratio", "callable"), ("callable", "ratio")):
        optimizer = make[here]()
        optimizer.load_state_dict(make[there]().state_dict())
        assert optimizer.param_groups[0]["vector_lr_ratio"] == (0.2 if here == "ratio" else None)


def test_the_warning_of_no_matrix_shows_what_moves():
    from deva_core import NoMatrixWarning

    for warned in (
        lambda: deva_torch.Muon([("b", torch.nn.Parameter(torch.zeros(3)))], lr=0.02),
        lambda: Optimizer(Muon(lr=0.02)).init({"b": np.zeros(3)}),
        lambda: deva_jax.muon(0.02).init({"b": jnp.zeros(3)}),
    ):
        with pytest.warns(NoMatrixWarning) as seen:
            warned()
        row = rows(str(seen[0].message).partition("\n")[2])["b"]
        assert (row["lr"], row["ratio"], row["lr×ratio"]) == ("0.02", "0.2", "0.004")


def test_a_rule_that_takes_every_parameter_has_no_vector_half(steps):
    with pytest.raises(ValueError, match="AdamW moves every parameter by its lr"):
        steps(AdamW(), vector_learning_rate=0.5)


def matrix():
    return torch.nn.Parameter(torch.zeros(2, 2))


def test_the_table_shows_what_moves_and_the_groups_hold_the_same_numbers():
    net = model()
    groups = [group | ({"lr": 0.3} if group["name"] == "embeddings" else {}) for group in deva_torch.param_groups(net)]
    optimizer = deva_torch.Muon(groups, lr=0.02)
    for schedule in (1.0, 0.5):
        for group in optimizer.param_groups:
            group["lr"] *= schedule
        table = rows(optimizer.explain())
        for group in optimizer.param_groups:
            ratio = "-" if group["name"] == "matrices" else f"{group['vector_lr_ratio']:.3g}"
            product = group["lr"] * (1 if ratio == "-" else group["vector_lr_ratio"])
            for name in group["param_names"]:
                row = table[name]
                assert (row["lr"], row["ratio"], row["lr×ratio"]) == (f"{group['lr']:.3g}", ratio, f"{product:.3g}")


def test_ratios_of_scales_and_of_rules_of_ones_own():
    """Where lr has AdamW's meaning the ratio is 1; a vector rule whose steps are not `lr` long comes with its default."""

    class Other(AdamW):
        unit_steps = False

    class Plain(Muon):
        spectral_lr_ratio = None

    assert vector_lr_ratio(Muon(scale="rms"), AdamW()) == 1.0
    assert vector_lr_ratio(Muon(), Other()) == pytest.approx(3e-4 / 0.02)
    assert vector_lr_ratio(Plain(), AdamW()) == pytest.approx(3e-4 / 0.02)
    assert vector_lr_ratio(Rule(), AdamW()) is None


def test_vector_learning_rate_is_checked_by_its_own_name(steps):
    with pytest.raises(ValueError, match=r"Muon\.vector_learning_rate must be >= 0, got -1"):
        steps(Muon(), vector_learning_rate=-1)
    with pytest.raises(TypeError, match=r"Muon\.vector_learning_rate must be a number"):
        steps(Muon(), vector_learning_rate="1e-3")


def test_an_lr_given_survives_replace_copy_and_pickle():
    import copy
    import pickle
    from dataclasses import replace

    for rule, given in ((AdamW(), False), (AdamW(lr=3e-4), True), (AdamW(lr=lambda t: 1.0), True)):
        assert rule.lr_given is replace(rule, weight_decay=0.5).lr_given is copy.deepcopy(rule).lr_given is given
        assert replace(rule, lr=0.5).lr_given
    assert pickle.loads(pickle.dumps(AdamW())).lr_given is False
    assert AdamW() == AdamW(lr=3e-4) and type(AdamW().lr) is float
    assert AdamW().with_values(lr=1e-3).lr_given
