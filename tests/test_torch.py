"""The torch optimizers behave as torch.optim's do."""

import copy
import inspect
import io
import pickle

import pytest

torch = pytest.importorskip("torch")

import deva_core  # noqa: E402
import deva_torch  # noqa: E402
from deva_core import AdamW, NoMatrixWarning, hyperparameters  # noqa: E402

RULES = ["Muon", "AdaGO", "DeVA", "DeVAVector", "AdamW"]


def model(dtype=torch.float32):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)).to(dtype)


def train(net, optimizer, steps=3, scheduler=None):
    data = torch.randn(8, 6, generator=torch.Generator().manual_seed(1)).to(next(net.parameters()).dtype)
    for _ in range(steps):
        optimizer.zero_grad()
        net(data).square().mean().backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
    return [p.detach().clone() for p in net.parameters()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("name", RULES)
def test_signature_defaults_are_the_rules(name):
    signature = inspect.signature(getattr(deva_torch, name).__init__).parameters
    for field, hyper in hyperparameters(getattr(deva_core, name)).items():
        if hyper.policy:
            continue
        if field in ("beta1", "beta2"):
            assert signature["betas"].default[field == "beta2"] == hyper.default
        else:
            assert signature[field].default == hyper.default, field


@pytest.mark.parametrize("name", RULES)
def test_resuming_from_a_weights_only_checkpoint_is_bitwise(name):
    for dtype in (torch.float32, torch.bfloat16):
        net = model(dtype)
        optimizer = getattr(deva_torch, name)(net.parameters())
        train(net, optimizer, 4)
        file = io.BytesIO()
        torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        resumed = model(dtype)
        resumed.load_state_dict(saved["net"])
        other = getattr(deva_torch, name)(resumed.parameters())
        other.load_state_dict(saved["optimizer"])
        for p in resumed.parameters():
            floats = [x.dtype for x in other.state[p].values() if isinstance(x, torch.Tensor)]
            assert set(floats) == {torch.float32}
        assert same(train(net, optimizer, 3), train(resumed, other, 3))


def test_a_state_of_another_rule_is_refused_and_changes_nothing():
    net = model()
    adamw, muon = deva_torch.AdamW(net.parameters()), deva_torch.Muon(net.parameters())
    train(net, adamw, 1)
    train(net, muon, 1)
    before = copy.deepcopy(muon.state_dict())
    with pytest.raises(ValueError, match=r"the state of .* is not Muon's: it has"):
        muon.load_state_dict(adamw.state_dict())
    assert str(muon.state_dict()) == str(before)


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_copies_continue_as_the_original(copier):
    net = model()
    optimizer = deva_torch.DeVA(net.parameters())
    train(net, optimizer)
    net2, optimizer2 = copier((net, optimizer))
    assert same(train(net, optimizer), train(net2, optimizer2))


def test_schedulers_move_both_halves():
    """The vector half's lr is the group's, times the ratio at construction."""
    steps = {}
    for factor in (1.0, 0.5):
        net = model(torch.float64)
        optimizer = deva_torch.Muon(net.parameters(), lr=0.02, vector_rule=AdamW(lr=1e-3, weight_decay=0.0))
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _, factor=factor: factor)
        before = [p.detach().clone() for p in net.parameters()]
        steps[factor] = [q - p for p, q in zip(before, train(net, optimizer, 1, scheduler), strict=True)]
    for whole, half in zip(steps[1.0], steps[0.5], strict=True):
        torch.testing.assert_close(half, 0.5 * whole)
    assert steps[1.0][1].abs().max() == pytest.approx(1e-3, rel=1e-5)


def test_a_callable_is_called_once_a_step_and_kept_out_of_the_state_dict():
    calls, net = [], model()
    optimizer = deva_torch.Muon(net.parameters(), momentum=lambda count: calls.append(count) or 0.9)
    calls.clear()
    train(net, optimizer, 3)
    assert calls == [0, 1, 2]
    saved = optimizer.state_dict()
    assert saved["param_groups"][0]["momentum"] == "<schedule>"
    optimizer.load_state_dict(saved)
    train(net, optimizer, 1)
    assert calls[-1] == 3


def test_groups_keep_their_own_hyperparameters_and_their_shape():
    net = model()
    groups = [
        {"params": [net[0].weight], "lr": 0.1},
        {"params": [net[2].weight]},
        {"params": [net[0].bias, net[2].bias]},
    ]
    optimizer = deva_torch.Muon(groups, lr=0.02)
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1, 2]
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.02, 0.02]
    train(net, optimizer)


def test_bad_values_are_refused_at_construction_in_groups_and_later():
    net = model()
    with pytest.raises(ValueError, match=r"Muon\.momentum must be >= 0 and < 1, got 1\.0"):
        deva_torch.Muon(net.parameters(), momentum=1.0)
    with pytest.raises(ValueError, match=r"Muon\.lr must be >= 0, got -1"):
        deva_torch.Muon([{"params": list(net.parameters()), "lr": -1}])
    optimizer = deva_torch.Muon(net.parameters())
    optimizer.param_groups[0]["lr"] = float("nan")
    before = [p.detach().clone() for p in net.parameters()]
    with pytest.raises(ValueError, match=r"Muon\.lr must be"):
        train(net, optimizer, 1)
    assert same(before, net.parameters())
    with pytest.raises(ValueError, match=r"DeVA\.betas must be a pair"):
        deva_torch.DeVA(net.parameters(), betas=0.9)
    with pytest.raises(ValueError, match='compute_dtype must be "auto"'):
        deva_torch.Muon(net.parameters(), compute_dtype="int8")


def test_a_refused_group_is_not_added():
    optimizer = deva_torch.Muon(model().parameters())
    with pytest.raises(ValueError, match="needs a layout"):
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(2, 3, 4))]})
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(4, 3, 2, 2))], "lr": 0.5})
    assert "out in kh kw" in optimizer.explain()


@pytest.mark.parametrize(
    ("parameter", "advice"),
    [
        (torch.zeros(2, 2, dtype=torch.complex64), "view_as_real"),
        (torch.zeros(2, 2).to(torch.float8_e4m3fn), "master copy"),
    ],
)
def test_complex_and_float8_parameters_are_refused_with_advice(parameter, advice):
    with pytest.raises(TypeError, match=advice):
        deva_torch.Muon([torch.nn.Parameter(parameter, requires_grad=False)])


def test_sparse_gradients_are_refused_with_advice_before_anything_moves():
    embedding, other = torch.nn.Embedding(5, 3, sparse=True), torch.nn.Parameter(torch.ones(2, 2))
    optimizer = deva_torch.Muon([other, *embedding.parameters()])
    embedding(torch.tensor([1])).sum().backward()
    other.grad = torch.ones(2, 2)
    with pytest.raises(TypeError, match="sparse"):
        optimizer.step()
    assert torch.equal(other, torch.ones(2, 2))


def test_gradients_are_never_written_and_layouts_of_memory_do_not_matter():
    W = torch.nn.Parameter(torch.randn(8, 3, 3, 3).to(memory_format=torch.channels_last))
    V = torch.nn.Parameter(W.detach().clone().contiguous())
    G = torch.randn(8, 3, 3, 3)
    W.grad, V.grad = G.to(memory_format=torch.channels_last), G.clone()
    optimizer = deva_torch.AdaGO([W, V], nesterov=True)
    for _ in range(3):
        optimizer.step()
    assert torch.equal(W.grad, G) and torch.equal(V.grad, G)
    torch.testing.assert_close(W, V, rtol=0, atol=1e-6)


def test_closure_and_maximize():
    down, up = (torch.nn.Parameter(torch.zeros(2, 2)) for _ in range(2))
    a, b = deva_torch.Muon([down]), deva_torch.Muon([up], maximize=True)

    def closure():
        a.zero_grad()
        loss = (down + 1).sum()
        loss.backward()
        return loss

    assert a.step(closure).item() == 4.0
    up.grad = torch.ones(2, 2)
    b.step()
    assert torch.equal(up, -down) and (up > 0).all()


def test_an_optimizer_without_a_matrix_says_so():
    with pytest.warns(NoMatrixWarning, match="every parameter goes to the vector rule"):
        deva_torch.Muon([torch.nn.Parameter(torch.zeros(3))])


def test_compute_dtype_is_bfloat16_only_where_asked():
    """On a CPU the products are float32 by default; bfloat16 must be asked for, and shows."""
    G = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    ends = {}
    for compute_dtype in ("auto", "float32", "bfloat16", torch.bfloat16):
        W = torch.nn.Parameter(torch.zeros(32, 64))
        optimizer = deva_torch.Muon([W], compute_dtype=compute_dtype)
        W.grad = G
        optimizer.step()
        ends[compute_dtype] = W.detach()
    assert torch.equal(ends["auto"], ends["float32"]) and torch.equal(ends["bfloat16"], ends[torch.bfloat16])
    distance = (ends["auto"] - ends["bfloat16"]).norm() / ends["auto"].norm()
    assert 1e-3 < distance < 0.1


def test_it_trains():
    net = model()
    data = torch.randn(64, 6, generator=torch.Generator().manual_seed(2))
    target = torch.tanh(data[:, :3] * 2)
    for name, lr in {"Muon": 0.02, "AdaGO": 0.05, "DeVA": 0.03}.items():
        copy_ = copy.deepcopy(net)
        optimizer = getattr(deva_torch, name)(copy_.named_parameters(), lr=lr)
        losses = []
        for _ in range(60):
            optimizer.zero_grad()
            loss = (copy_(data) - target).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.5 * losses[0], name


@pytest.mark.parametrize("kind", ["Muon", "AdaGO", "DeVA", "AdamW"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_inside_autocast_has_the_bits_of_one_outside(kind, compiled):
    """Autocast is for the network's operations."""
    ends = []
    for enabled in (False, True):
        torch._dynamo.reset()
        g = torch.Generator().manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(shape, generator=g)) for shape in ((6, 4), (4,))]
        optimizer = getattr(deva_torch, kind)(params)
        step = torch.compile(optimizer.step, backend="eager") if compiled else optimizer.step
        for _ in range(2):
            for p in params:
                p.grad = torch.randn(p.shape, generator=g)
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                step()
        ends.append([p.detach() for p in params])
    for outside, inside in zip(*ends, strict=True):
        assert torch.equal(outside, inside)


@pytest.mark.parametrize(
    ("kind", "dtype", "shape", "options"),
    [
        ("Muon", torch.float32, (6, 4), {}),
        ("DeVA", torch.float32, (6, 4), {}),
        ("DeVA", torch.float32, (300, 300), {}),  # whose QR is by panels
        ("Muon", torch.bfloat16, (6, 4), {"rounding": "stochastic"}),
    ],
)
def test_a_default_device_is_not_the_optimizers(kind, dtype, shape, options, tmp_path):
    """Parameters on the CPU step, save and load there."""
    ends = []
    for device in (None, "meta"):
        torch.manual_seed(0)
        p = torch.nn.Parameter(torch.randn(shape).to(dtype))
        grads = [torch.randn(shape).to(dtype) for _ in range(2)]
        optimizer = getattr(deva_torch, kind)([("p", p)], **options)
        torch.set_default_device(device)
        try:
            for p.grad in grads:
                optimizer.step()
            deva_torch.save(tmp_path / "state", optimizer)
            deva_torch.load(tmp_path / "state", optimizer)
        finally:
            torch.set_default_device(None)
        ends.append(p.detach())
    assert torch.equal(*ends)
