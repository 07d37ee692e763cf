"""torch's idiom: what its users expect of any optimizer, for these."""

import copy
import math
import pickle
import re

import pytest

torch = pytest.importorskip("torch")

import deva_core  # noqa: E402
import deva_torch  # noqa: E402
from deva_core import RULES, AdamW, DeVAVector, Muon  # noqa: E402
from deva_torch import RuleOptimizer  # noqa: E402
from tests.test_torch import model, same, train  # noqa: E402


def assert_same_state(a, b):
    assert a["param_groups"] == b["param_groups"]
    torch.testing.assert_close(a["state"], b["state"], rtol=0, atol=0)


def group_of(optimizer, name):
    return next(g for g in optimizer.param_groups if name in g.get("param_names", ()))


def with_two_rules(net, **entries):
    groups = [
        {"params": [("0.weight", net[0].weight), ("0.bias", net[0].bias)]},
        {"params": [("2.weight", net[2].weight), ("2.bias", net[2].bias)], "rule": AdamW(lr=1e-3), **entries},
    ]
    return deva_torch.Muon(groups, lr=0.02, vector_rule=DeVAVector(lr=2e-3))


def test_a_group_with_a_rule_of_its_own_steps_as_that_rules_optimizer():
    """Its lr is the group's, not a share of the matrix rule's; other groups are as without it."""
    net = model(torch.float64)
    alone = copy.deepcopy(net)
    both = with_two_rules(net)
    muon = deva_torch.Muon(alone[0].named_parameters(), lr=0.02, vector_rule=DeVAVector(lr=2e-3))
    adamw = deva_torch.AdamW(alone[2].named_parameters(), lr=1e-3)
    train(net, both, 4)
    data = torch.randn(8, 6, generator=torch.Generator().manual_seed(1)).double()
    for _ in range(4):
        alone.zero_grad()
        alone(data).square().mean().backward()
        muon.step()
        adamw.step()
    for p, q in zip(net.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-13)
    rows = {row.split()[0]: row for row in both.explain().splitlines()}
    assert "Muon" in rows["0.weight"] and "AdamW" in rows["2.weight"] and "AdamW" in rows["2.bias"]


def test_what_stands_beside_a_groups_rule_wins_and_is_validated_as_that_rules():
    optimizer = with_two_rules(model(), lr=5e-4, weight_decay=0.0)
    group = group_of(optimizer, "2.weight")
    assert (group["lr"], group["weight_decay"], group["betas"]) == (5e-4, 0.0, (0.9, 0.999))
    with pytest.raises(ValueError, match=r"AdamW\.beta1 must be >= 0 and < 1, got 1\.5"):
        with_two_rules(model(), betas=(1.5, 0.9))
    with pytest.raises(TypeError, match=r'"rule" must be a deva_core rule such as AdamW\(\), got \'AdamW\''):
        deva_torch.Muon([{"params": list(model().parameters()), "rule": "AdamW"}])


def test_a_matrix_rule_in_a_group_leaves_its_vectors_to_the_vector_rule():
    net = model()
    groups = [{"params": net[0].parameters()}, {"params": net[2].parameters(), "rule": deva_core.AdaGO(lr=0.1)}]
    optimizer = deva_torch.DeVA(groups)
    rules = [type(optimizer._parameters[p].rule).__name__ for p in net.parameters()]
    assert rules == ["DeVA", "DeVAVector", "AdaGO", "DeVAVector"]
    before = net[2].bias.detach().clone()
    train(net, optimizer, 1)
    moved = (net[2].bias.detach() - before).abs().max().item()
    assert moved == pytest.approx(0.1 * 0.08, rel=1e-4), "the group's lr × AdaGO's ratio"
    train(net, optimizer, 3)
    deva_torch.Muon([{"params": [net[0].weight], "rule": deva_core.AdaGO()}])  # a matrix, so no warning


def test_groups_rules_survive_state_dicts_copies_and_checkpoints(tmp_path):
    net = model()
    optimizer = with_two_rules(net)
    train(net, optimizer)
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    assert [group.get("rule") for group in saved["param_groups"]] == [None, "AdamW"]
    resumed = copy.deepcopy(net)
    other = with_two_rules(resumed)
    other.load_state_dict(saved)
    net2, optimizer2 = pickle.loads(pickle.dumps((net, optimizer)))
    deva_torch.save(tmp_path / "portable", optimizer)
    net3 = copy.deepcopy(net)
    optimizer3 = with_two_rules(net3)
    deva_torch.load(tmp_path / "portable", optimizer3)
    expected = train(net, optimizer)
    for n, o in ((resumed, other), (net2, optimizer2), (net3, optimizer3)):
        assert same(expected, train(n, o))
    plain = deva_torch.Muon([{"params": net[0].parameters()}, {"params": net[2].parameters()}])
    with pytest.raises(ValueError, match="group 1 was optimised by AdamW, but here it is optimised by Muon"):
        plain.load_state_dict(saved)


def test_a_state_dict_with_a_value_outside_its_domain_is_refused_and_changes_nothing():
    net = model()
    optimizer = deva_torch.Muon(net.parameters())
    train(net, optimizer)
    before, bad = copy.deepcopy(optimizer.state_dict()), copy.deepcopy(optimizer.state_dict())
    bad["param_groups"][0]["momentum"] = 2.0
    with pytest.raises(ValueError, match=r"Muon\.momentum must be"):
        optimizer.load_state_dict(bad)
    assert_same_state(optimizer.state_dict(), before)
    del bad["param_groups"][0]["momentum"], bad["param_groups"][0]["scale"]  # from a version without them
    optimizer.load_state_dict(bad)
    assert_same_state(optimizer.state_dict(), before)


@pytest.mark.parametrize("kind", ["Muon", "DeVA"])
def test_closures_train(kind):
    net = model()
    optimizer = getattr(deva_torch, kind)(net.parameters(), lr=0.05)
    data = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))

    def closure():
        optimizer.zero_grad()
        loss = net(data).square().mean()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(10)]
    assert losses[-1] < 0.5 * losses[0] and optimizer.step() is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_maximize_is_descent_on_the_negative(rule):
    ends = []
    for sign in (1, -1):
        net = model(torch.float64)
        optimizer = RuleOptimizer(net.parameters(), rule(), maximize=sign < 0)
        for t in range(3):
            for k, p in enumerate(net.parameters()):
                p.grad = sign * torch.randn(p.shape, generator=torch.Generator().manual_seed(9 * t + k)).double()
            optimizer.step()
        ends.append(list(net.parameters()))
    assert same(*ends)


def test_groups_added_in_the_middle_of_training_begin_their_own_count():
    """Fine-tuning: a frozen layer thaws. Its first step is a first step; the others go on as if it were not there."""
    net, alone = model(torch.float64), model(torch.float64)
    net[2].requires_grad_(False), alone[2].requires_grad_(False)
    optimizer = deva_torch.Muon(net[0].named_parameters(), lr=0.02)
    lonely = deva_torch.Muon(alone[0].named_parameters(), lr=0.02)
    train(net, optimizer), train(alone, lonely)
    assert same(net.parameters(), alone.parameters())
    net[2].requires_grad_(True)
    optimizer.add_param_group({"params": [(f"2.{n}", p) for n, p in net[2].named_parameters()], "lr": 0.01})
    train(net, optimizer, 2)
    assert [optimizer.state[p]["step"] for p in net.parameters()] == [5, 5, 2, 2]


def test_frozen_parameters_stay_and_keep_no_state():
    net = model()
    net[0].weight.requires_grad_(False)
    frozen = net[0].weight.detach().clone()
    optimizer = deva_torch.Muon(net.named_parameters(), weight_decay=0.1)
    train(net, optimizer)
    assert torch.equal(net[0].weight, frozen) and net[0].weight not in optimizer.state
    net[0].weight.requires_grad_(True)
    train(net, optimizer, 1)
    assert not torch.equal(net[0].weight, frozen) and optimizer.state[net[0].weight]["step"] == 1


def test_zero_grad_without_setting_to_none_gives_zero_gradients_which_do_count():
    """As in torch: momentum goes on. None would leave the parameter alone."""
    net = model()
    optimizer = deva_torch.Muon(net.parameters())
    train(net, optimizer)
    before = [p.detach().clone() for p in net.parameters()]
    optimizer.zero_grad(set_to_none=False)
    assert all(not p.grad.any() for p in net.parameters())
    optimizer.step()
    assert not any(torch.equal(p, q) for p, q in zip(before, net.parameters(), strict=True))
    assert {slot["step"] for slot in optimizer.state.values()} == {4}


def test_hooks_are_called_in_torchs_places_and_may_change_what_is_loaded():
    net, calls = model(), []
    optimizer = deva_torch.Muon(net.named_parameters(), momentum=lambda count: 0.9)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append("before"))
    optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append(o.state[net[0].weight]["step"]))
    train(net, optimizer, 2)
    assert calls == ["before", 1, "before", 2]
    optimizer.register_state_dict_pre_hook(lambda o: calls.append("saving"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "note": "mine"})
    saved = optimizer.state_dict()
    assert calls[-1] == "saving" and saved["note"] == "mine"
    foreign = {**saved, "state": {k: {"m" if n == "momentum" else n: x for n, x in slot.items()}
                                  for k, slot in saved["state"].items()}}  # fmt: skip
    other = deva_torch.Muon(model().named_parameters(), momentum=lambda count: 0.9)
    with pytest.raises(ValueError, match="it has"):
        other.load_state_dict(foreign)
    other.register_load_state_dict_pre_hook(lambda o, given: saved)
    other.register_load_state_dict_post_hook(
        lambda o: calls.append(o.state[o.param_groups[0]["params"][0]]["momentum"])
    )
    other.load_state_dict(foreign)
    assert torch.equal(calls[-1], optimizer.state[net[0].weight]["momentum"])
    assert callable(other.param_groups[0]["momentum"])


def test_a_step_skipped_by_the_gradient_scaler_leaves_everything_as_it_was():
    net = model()
    optimizer = deva_torch.Muon(net.named_parameters(), lr=0.02, momentum=lambda count: 0.9)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    data = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))

    def step(poison):
        optimizer.zero_grad()
        scaler.scale(net(data).square().mean()).backward()
        if poison:
            net[2].bias.grad[0] = torch.inf
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()

    step(poison=False)
    before, state = [p.detach().clone() for p in net.parameters()], copy.deepcopy(optimizer.state_dict())
    step(poison=True)
    assert same(before, net.parameters())
    assert_same_state(optimizer.state_dict(), state)
    step(poison=False)
    assert not same(before, net.parameters()) and optimizer.param_groups[0]["count"] == 2


def test_scaling_and_unscaling_is_no_step_of_its_own():
    """Clipping between `unscale_` and `step` is clipping of true gradients, and before the orthogonalisation."""
    ends = []
    for scaled in (False, True):
        net = model()
        optimizer = deva_torch.AdaGO(net.parameters(), vector_rule=AdamW(lr=1e-3))
        scaler = torch.amp.GradScaler("cpu", enabled=scaled, init_scale=2.0**12)
        data = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
        for _ in range(3):
            optimizer.zero_grad()
            scaler.scale(net(data).square().mean()).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            scaler.step(optimizer)
            scaler.update()
        ends.append([p.detach().clone() for p in net.parameters()])
    for p, q in zip(*ends, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("foreach", [None, True, False])
def test_foreach_decides_about_stacks_and_changes_no_result(foreach):
    params = [torch.nn.Parameter(torch.full((4, 6), float(k), dtype=torch.float64)) for k in range(3)]
    optimizer = deva_torch.Muon(params, foreach=foreach)
    assert optimizer.plan().splitlines()[1].split()[-2] == ("1" if foreach is False else "3")
    other = [torch.nn.Parameter(p.detach().clone()) for p in params]
    plain = deva_torch.Muon(other, foreach=False)
    for k, (p, q) in enumerate(zip(params, other, strict=True)):
        p.grad = torch.randn(4, 6, generator=torch.Generator().manual_seed(k)).double()
        q.grad = p.grad
    optimizer.step(), plain.step()
    for p, q in zip(params, other, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)


MEMORY = {
    "transposed": lambda X: X.transpose(0, -1).contiguous().transpose(0, -1),
    "strided": lambda X: torch.stack([X, X], -1)[..., 0],
    "expanded": lambda X: X[..., :1].expand(X.shape),
    "channels_last": lambda X: X.contiguous(memory_format=torch.channels_last) if X.ndim == 4 else X,
}


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_how_gradients_and_parameters_lie_in_memory_changes_no_step(rule, memory):
    """Convolutions are compared with themselves flattened under matrix rules; a vector rule keeps their axes.

    float64, to 1e-9: products may sum in another order.
    """
    g = torch.Generator().manual_seed(0)
    shapes = [(6, 4), (5, 3, 2, 2), (7,)]
    start = [torch.randn(shape, generator=g, dtype=torch.float64) for shape in shapes]
    stored = [torch.nn.Parameter(MEMORY[memory](W).clone(memory_format=torch.preserve_format)) for W in start]
    shapes = [shape if not rule.matrix or len(shape) < 4 else (shape[0], math.prod(shape[1:])) for shape in shapes]
    flat = [
        torch.nn.Parameter(W.detach().reshape(s).clone(memory_format=torch.contiguous_format))
        for W, s in zip(stored, shapes, strict=True)
    ]
    given, plain = RuleOptimizer(stored, rule()), RuleOptimizer(flat, rule())
    for _ in range(3):
        for p, q in zip(stored, flat, strict=True):
            p.grad = MEMORY[memory](torch.randn(p.shape, generator=g, dtype=torch.float64))
            q.grad = p.grad.clone(memory_format=torch.contiguous_format).reshape(q.shape)
            assert q.grad.is_contiguous()
        given.step(), plain.step()
    for p, q in zip(stored, flat, strict=True):
        torch.testing.assert_close(p.detach().reshape(q.shape), q.detach(), rtol=1e-9, atol=1e-10)
        assert p.stride() == MEMORY[memory](p.detach()).stride() or memory in ("strided", "expanded")


LAYOUTS = {"out in": (6, 4), "in out": (6, 4), "batch out in": (2, 3, 4), "(heads out) in": (6, 4), "vector": (6, 4)}


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_gradient_is_ever_written(rule, dtype, maximize):
    """Not even with its own value: torch counts writes. Alone, in stacks of two, and in every layout."""
    layouts = {}
    for k, (layout, shape) in enumerate(LAYOUTS.items()):
        sized = deva_core.Layout(layout, heads=2) if "heads" in layout else layout
        layouts |= {f"{k}{twin}": (sized, shape) for twin in "ab"}
    layouts |= {"convolution": ("out in kh kw", (3, 2, 2, 2)), "bias": ("vector", (5,))}
    params = {name: torch.nn.Parameter(torch.ones(shape, dtype=dtype)) for name, (_, shape) in layouts.items()}
    given = {name: layout for name, (layout, _) in layouts.items()} if rule.matrix else None
    options = {"rounding": "kahan", "state_dtype": "bfloat16"} if dtype == torch.bfloat16 else {}
    optimizer = RuleOptimizer(list(params.items()), rule(), layout=given, maximize=maximize, **options)
    g = torch.Generator().manual_seed(0)
    for p in params.values():
        p.grad = torch.randn(p.shape, generator=g).to(dtype)
    before = [(p.grad, p.grad.clone(), p.grad._version) for p in params.values()]
    for _ in range(2):
        optimizer.step()
    for p, (G, value, version) in zip(params.values(), before, strict=True):
        assert p.grad is G and torch.equal(G, value) and G._version == version


@pytest.mark.parametrize("kind", ["Muon", "AdaGO", "DeVA", "DeVAVector", "AdamW"])
def test_every_class_takes_the_hosts_options(kind):
    net = model(torch.bfloat16)
    optimizer = getattr(deva_torch, kind)(
        net.parameters(), rounding="kahan", state_dtype="bfloat16", foreach=False, maximize=True
    )
    before = [p.detach().clone() for p in net.parameters()]
    train(net, optimizer, 1)
    assert not same(before, net.parameters())
    with pytest.raises(TypeError, match="unexpected keyword argument 'momemtum'"):
        getattr(deva_torch, kind)(net.parameters(), momemtum=0.9)


def test_a_matrix_rule_can_be_called_by_a_rule_object_too():
    """`RuleOptimizer` is what the classes are."""
    a, b = model(), model()
    assert same(
        train(a, deva_torch.Muon(a.parameters(), lr=0.1)), train(b, RuleOptimizer(b.parameters(), Muon(lr=0.1)))
    )


def test_a_bool_is_no_learning_rate_though_it_equals_one():
    """Rules are kept from step to step by their values, and by their values' types."""
    p = torch.nn.Parameter(torch.ones(3, 2))
    p.grad = torch.ones(3, 2)
    optimizer = deva_torch.Muon([p], lr=1)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = True
    with pytest.raises(TypeError, match=r"Muon\.lr must be a number"):
        optimizer.step()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "momentum",
            lambda x: x.to(torch.int32),
            "momentum of 'weight' must be a tensor of floats, got one of torch.int32",
        ),
        ("momentum", lambda x: x.bool(), "momentum of 'weight' must be a tensor of floats, got one of torch.bool"),
        *[
            ("step", lambda x, bad=bad: bad, "step of 'weight' must be a number of steps, got ")
            for bad in (None, "7", True, -5, 1.5, float("nan"), float("inf"))
        ],
    ],
)
def test_a_damaged_state_is_refused_and_nothing_has_changed(field, value, message):
    net = torch.nn.Linear(3, 4)
    optimizer = deva_torch.Muon(net.named_parameters())
    optimizer.init_state()
    before, damaged = repr(optimizer.state_dict()), copy.deepcopy(optimizer.state_dict())
    damaged["state"][0][field] = value(damaged["state"][0][field])
    with pytest.raises(ValueError, match=re.escape(message)):
        optimizer.load_state_dict(damaged)
    assert repr(optimizer.state_dict()) == before
