"""torch jobs move in and out, and land where they would have landed.

Live: torch.optim.Muon (its bfloat16 cast taken out) and torch.optim.AdamW. The classes of Keller Jordan, of Moonlight
and the Muon shipped with DeVA are no packages: `PublishedMuon` is a reimplementation, ours, of their state's format.
"""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deva_core import AdaGO, AdamW, DeVA, Layout, Muon  # noqa: E402
from deva_torch import RuleOptimizer, export_state, import_state  # noqa: E402
from tests import test_live_peers as live  # noqa: E402
from tests.gradients import stream  # noqa: E402
from tests.test_live_peers import CASES, IDS, LR, SHAPES, STEPS, gradients, initial  # noqa: E402

HALF = 5
CHAINS = {"torch": "average", "keller": "average", "deva-authors": "average", "moonlight": "sum"}


class PublishedMuon(torch.optim.Optimizer):
    """Ours, for tests: the state and groups of the single-device Muons that are published as source files.

    `form`: an average of gradients (Keller Jordan's; the one shipped with DeVA) or a sum (Moonlight's). Groups with
    `use_muon=False` are AdamW's, with names as given. It moves along N itself: what state holds is what is compared.
    """

    def __init__(self, groups, form="average", moments=("exp_avg", "exp_avg_sq")):
        self.form, self.moments = form, moments
        super().__init__(groups, dict(lr=LR, momentum=0.95, betas=(0.9, 0.95), eps=1e-10, use_muon=True))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                (self.muon if group["use_muon"] else self.adam)(p, self.state[p], group)

    def muon(self, p, S, group):
        β, G = group["momentum"], p.grad
        M = S.get("momentum_buffer", torch.zeros_like(p))
        S["momentum_buffer"] = β * M + (G if self.form == "sum" else (1 - β) * G)
        p.sub_(group["lr"] * torch.sign(S["momentum_buffer"]))

    def adam(self, p, S, group):
        (β1, β2), G = group["betas"], p.grad
        m, v = (S.get(name, torch.zeros_like(p)) for name in self.moments)
        m, v = β1 * m + (1 - β1) * G, β2 * v + (1 - β2) * G * G
        S |= {"step": S.get("step", 0) + 1, self.moments[0]: m, self.moments[1]: v}
        t = S["step"]
        p.sub_(group["lr"] * (m / (1 - β1**t)) / ((v / (1 - β2**t)).sqrt() + group["eps"]))


def tensors(values):
    return {name: torch.nn.Parameter(torch.tensor(W)) for name, W in values.items()}


def walk(optimizer, params, gradients):
    for grads in gradients:
        for name, p in params.items():
            p.grad = torch.tensor(grads[name])
        optimizer.step()
    return {name: p.detach().numpy().copy() for name, p in params.items()}


def near(params, expected, start):
    for name, W in expected.items():
        walked = np.linalg.norm(W - start[name])
        assert np.linalg.norm(params[name] - W) <= 1e-9 * walked, name


def peer_of(params, nesterov, decay, rms):
    adjust = "match_rms_adamw" if rms else "original"
    return torch.optim.Muon(params.values(), lr=LR, weight_decay=decay, nesterov=nesterov, adjust_lr_fn=adjust)


def ours_of(params, nesterov=True, decay=0.1, rms=False):
    scale = "rms" if rms else "original"
    rule = Muon.dialect("torch", lr=LR, nesterov=nesterov, weight_decay=decay, scale=scale)
    return RuleOptimizer(list(params.items()), rule)


@pytest.mark.parametrize("saved", [False, True], ids=["live", "state dict"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_running_torch_muon_goes_on_here_and_lands_where_it_would_have(case, saved):
    """Square, wide, tall, 1×n, n×1: five steps there, seven here, against twelve there."""
    params = tensors(initial())
    peer = peer_of(params, *case)
    with live.float64_products():
        half = walk(peer, params, gradients()[:HALF])
    ours = ours_of(params, *case)
    assert import_state(ours, peer.state_dict() if saved else peer, "torch", step=HALF) == list(SHAPES)
    assert all(ours.state[p]["step"] == HALF for p in params.values())
    near(walk(ours, params, gradients()[HALF:]), live.torch_muon(*case)[STEPS], half)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_running_job_goes_on_in_torch_muon_and_lands_where_it_would_have(case):
    params = tensors(initial())
    ours = ours_of(params, *case)
    half = walk(ours, params, gradients()[:HALF])
    peer = peer_of(params, *case)
    peer.load_state_dict(export_state(ours, peer, "torch"))
    with live.float64_products():
        near(walk(peer, params, gradients()[HALF:]), live.torch_muon(*case)[STEPS], half)


@pytest.mark.parametrize("ours_dialect", ["torch", "keller", "deva-authors", "moonlight"])
@pytest.mark.parametrize("source", CHAINS)
def test_every_published_muon_moves_into_every_dialect(source, ours_dialect):
    """The momentum that arrives is that of a job that always ran in the dialect; so is where it then goes."""
    params, rule = tensors(initial()), Muon.dialect(ours_dialect, lr=LR)
    whole, moved = (RuleOptimizer(list(params.items()), rule) for _ in range(2))
    walk(whole, params, gradients()[:HALF])
    published = PublishedMuon(params.values(), CHAINS[source])
    start = walk(published, params, gradients()[:HALF])
    for p in params.values():
        published.state[p]["use_muon"] = True  # Moonlight's label
    import_state(moved, published, source)
    for p in params.values():
        torch.testing.assert_close(moved.state[p]["momentum"], whole.state[p]["momentum"], rtol=1e-14, atol=0)
    end = walk(moved, params, gradients()[HALF:])
    for name, p in params.items():
        p.data.copy_(torch.tensor(start[name]))
    near(end, walk(whole, params, gradients()[HALF:]), start)


@pytest.mark.parametrize("source", ["keller", "moonlight"])
def test_keller_jordans_and_moonlights_move_in_and_out_with_their_adamw_half(source):
    """Matrices and biases in one optimizer, both ways; what comes out again is what went in."""
    moments = ("moment1", "moment2") if source == "moonlight" else ("exp_avg", "exp_avg_sq")
    params = tensors({"W": np.ones((3, 4)), "b": np.ones(3)})
    groups = [{"params": [params["b"]], "use_muon": False}, {"params": [params["W"]], "use_muon": True}]
    peer = PublishedMuon(copy.copy(groups), CHAINS[source], moments)
    grads = [{"W": G, "b": G[:, 0]} for G in stream("full rank", (3, 4), 8)]
    walk(peer, params, grads[:HALF])
    ours = RuleOptimizer(list(params.items()), Muon(), vector_rule=AdamW(beta2=0.95))
    assert import_state(ours, peer, source) == ["W", "b"]
    assert ours.state[params["b"]]["step"] == HALF
    back = PublishedMuon([dict(group) for group in groups], CHAINS[source], moments)
    back.load_state_dict(export_state(ours, back, source))
    for p in params.values():
        assert back.state[p].keys() == peer.state[p].keys()
        for name, x in peer.state[p].items():
            torch.testing.assert_close(back.state[p][name], x, rtol=1e-14, atol=0)


@pytest.mark.parametrize("dialect", ["torch", "moonlight"])
@pytest.mark.parametrize("beta1", [0.95, 0.9])
def test_adamws_first_moment_becomes_muons_momentum(dialect, beta1):
    """With Muon's β it is Muon's own; with another it has, on a constant gradient, the length that Muon's would have."""
    params, β = tensors({"W": np.ones((3, 4))}), 0.95
    grads = [{"W": G} for G in stream("full rank" if beta1 == β else "orthogonal", (3, 4), 12)]
    adamw = torch.optim.AdamW(params.values(), betas=(beta1, 0.999))
    start = walk(adamw, params, grads[:HALF])
    rule = Muon.dialect(dialect, lr=LR, momentum=β)
    whole, moved = (RuleOptimizer(list(params.items()), rule) for _ in range(2))
    walk(whole, params, grads[:HALF])
    import_state(moved, adamw, "adamw")
    ours, theirs = moved.state[params["W"]], whole.state[params["W"]]
    torch.testing.assert_close(ours["momentum"], theirs["momentum"], rtol=1e-12, atol=1e-15)
    assert ours["step"] == theirs["step"] == HALF
    params["W"].data.copy_(torch.tensor(start["W"]))
    expected = walk(whole, params, grads[HALF:])
    params["W"].data.copy_(torch.tensor(start["W"]))
    near(walk(moved, params, grads[HALF:]), expected, start)


@pytest.mark.parametrize("out", [False, True])
def test_torch_adamw_and_ours_take_over_from_each_other(out):
    """Vectors and matrices under AdamW; live on both sides."""
    values = {"W": np.ones((3, 4)), "b": np.ones(3)}
    grads = [{"W": G, "b": G[:, 0]} for G in stream("full rank", (3, 4), 12)]
    keywords = dict(lr=LR, betas=(0.9, 0.99), weight_decay=0.1)
    params = tensors(values)
    expected = walk(torch.optim.AdamW(params.values(), **keywords), params, grads)
    params = tensors(values)
    peer = torch.optim.AdamW(params.values(), **keywords)
    ours = RuleOptimizer(list(params.items()), AdamW(lr=LR, beta2=0.99, weight_decay=0.1))
    first, second = (ours, peer) if out else (peer, ours)
    half = walk(first, params, grads[:HALF])
    if out:
        peer.load_state_dict(export_state(ours, peer, "adamw"))
    else:
        import_state(ours, peer, "adamw")
    near(walk(second, params, grads[HALF:]), expected, half)


def test_a_peer_for_matrices_and_one_for_the_rest_move_in_one_after_the_other():
    """The usual pair, torch.optim.Muon and torch.optim.AdamW; a schedule here goes on at the steps made."""
    params = tensors({"W": np.ones((3, 4)), "b": np.ones(3)})
    matrices, rest = torch.optim.Muon([params["W"]]), torch.optim.AdamW([params["b"]])
    for peer in (matrices, rest):
        walk(peer, params, [{"W": G, "b": G[:, 0]} for G in stream("full rank", (3, 4), 3)])
    ours = RuleOptimizer(list(params.items()), Muon.dialect("torch", lr=lambda count: LR / (1 + count)))
    with pytest.raises(ValueError, match=r"'torch' does not count steps, and the schedule of lr of 'W' needs them"):
        import_state(ours, matrices, "torch")
    assert import_state(ours, rest, "adamw") == ["b"]
    assert import_state(ours, matrices, "torch", step=3) == ["W"]
    assert [group["count"] for group in ours.param_groups] == [3]


def test_blocks_and_convolutions_take_their_part_of_a_momentum_and_give_it_back():
    params = tensors({"qkv": np.ones((6, 2)), "conv": np.ones((4, 2, 3, 3))})
    published = PublishedMuon(params.values())
    walk(published, params, [{"qkv": np.arange(12.0).reshape(6, 2), "conv": np.arange(72.0).reshape(4, 2, 3, 3)}])
    layout = {"qkv": Layout("(q k v) in")}
    ours = RuleOptimizer(list(params.items()), Muon.dialect("keller"), layout=layout)
    import_state(ours, published, "keller", step=1)
    buffer = published.state[params["qkv"]]["momentum_buffer"]
    assert torch.equal(ours.state[params["qkv"]]["k.momentum"], buffer[2:4])
    back = PublishedMuon(params.values())
    back.load_state_dict(export_state(ours, back, "keller"))
    for p in params.values():
        assert torch.equal(back.state[p]["momentum_buffer"], published.state[p]["momentum_buffer"])


def test_bfloat16_parameters_get_float32_state_and_nothing_is_shared():
    W = torch.nn.Parameter(torch.ones(2, 3, dtype=torch.bfloat16))
    peer = torch.optim.Muon([W])
    W.grad = torch.ones_like(W)
    peer.step()
    ours = RuleOptimizer([W], Muon())
    import_state(ours, peer, "torch")
    assert ours.state[W]["momentum"].dtype == torch.float32
    before = peer.state[W]["momentum_buffer"].clone()
    ours.step()
    assert torch.equal(peer.state[W]["momentum_buffer"], before)


def stepped(peer_class, shape=(3, 4), **keywords):
    p = torch.nn.Parameter(torch.ones(shape))
    peer = peer_class([p], **keywords)
    p.grad = torch.ones(shape)
    peer.step()
    return p, peer


def other_shape():
    p, peer = stepped(torch.optim.Muon)
    peer.state[p]["momentum_buffer"] = torch.zeros(4, 3)
    return p, peer


def unmatched(names):
    _, peer = stepped(torch.optim.Muon)
    saved = peer.state_dict()
    params = [("W", torch.nn.Parameter(torch.ones(3, 4))), ("b", torch.nn.Parameter(torch.ones(3)))]
    if names:
        saved["param_groups"][0]["param_names"] = ["layer.W"]
    return RuleOptimizer(params, Muon()), saved


REFUSED = {
    "another rule's fields": (
        lambda: stepped(torch.optim.AdamW),
        Muon(),
        "torch",
        r"state of 'W' has the fields \['exp_avg', 'exp_avg_sq', 'step'\], but Muon needs \['momentum_buffer'\]",
    ),
    "no such source": (
        lambda: stepped(torch.optim.Muon),
        Muon(),
        "tensorflow",
        "'tensorflow' is unknown; the",
    ),
    "another shape": (other_shape, Muon(), "torch", r"momentum_buffer of 'W' has shape \(4, 3\), expected \(3, 4\)"),
    "a rule whose state it does not have": (
        lambda: stepped(torch.optim.Muon),
        AdaGO(),
        "torch",
        "'W' is optimised by AdaGO, but 'torch' holds no such state; state can move between it and Muon",
    ),
    "AdamW into DeVA": (lambda: stepped(torch.optim.AdamW), DeVA(), "adamw", "optimised by DeVA, but 'adamw' holds no"),
    "amsgrad into AdamW": (
        lambda: stepped(torch.optim.AdamW, amsgrad=True),
        AdamW(),
        "adamw",
        "has the fields .*max_exp_avg_sq.*AdamW needs",
    ),
    "another sign": (
        lambda: stepped(torch.optim.AdamW, maximize=True),
        Muon(),
        "adamw",
        "maximize=True for 'W', but here it is False",
    ),
    "a bias correction without a count": (
        lambda: stepped(torch.optim.Muon),
        Muon.dialect("optax"),
        "torch",
        "does not count steps, and the bias correction of 'W' needs them: give step=",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_with_the_difference_and_changes_nothing(what):
    make, rule, source, message = REFUSED[what]
    p, peer = make()
    ours = RuleOptimizer([("W", p)], rule)
    ours.step()
    before = repr(ours.state_dict())
    with pytest.raises(ValueError, match=message):
        import_state(ours, peer, source)
    assert repr(ours.state_dict()) == before


def test_parameters_that_do_not_match_are_named():
    p, peer = stepped(torch.optim.Muon)
    other = RuleOptimizer([torch.nn.Parameter(torch.ones(3, 4))], Muon())
    with pytest.raises(ValueError, match=r"parameter number 0, of shape \(3, 4\), is not optimised here"):
        import_state(other, peer, "torch")
    with pytest.raises(ValueError, match="is not optimised here"):
        export_state(other, peer, "torch")
    with pytest.raises(ValueError, match="the state dict has 1 parameters, but here there are 2"):
        import_state(*unmatched(names=False), "torch")
    with pytest.raises(ValueError, match=r"has state of \['layer.W'\], which are not parameters here: there are \['W'"):
        import_state(*unmatched(names=True), "torch")
    with pytest.raises(ValueError, match="no state yet"):
        import_state(RuleOptimizer([p], Muon()), torch.optim.Muon([p]), "torch")
    with pytest.raises(TypeError, match="a torch optimizer or its state dict, got list"):
        import_state(RuleOptimizer([p], Muon()), [1], "torch")


def test_named_state_dicts_are_matched_by_name():
    a, b = (torch.nn.Parameter(torch.ones(3, 4)) for _ in range(2))
    peer = torch.optim.Muon([("a", a), ("b", b)])
    a.grad, b.grad = torch.ones(3, 4), 2 * torch.ones(3, 4)
    peer.step()
    ours = RuleOptimizer([("b", b), ("c", torch.nn.Parameter(torch.ones(3))), ("a", a)], Muon())
    assert import_state(ours, peer.state_dict(), "torch") == ["b", "a"]
    assert torch.equal(ours.state[b]["momentum"], peer.state[b]["momentum_buffer"])


def test_muon_does_not_move_out_to_adamw_and_says_why():
    """Zeros for a second moment would pass for an average that has long settled: steps 1/√(1-β₂) times too long."""
    p, peer = stepped(torch.optim.AdamW)
    ours = RuleOptimizer([("W", p)], Muon())
    ours.step()
    with pytest.raises(ValueError, match="'W' cannot move from Muon to 'adamw': its second moment"):
        export_state(ours, peer, "adamw")


def test_what_has_not_stepped_moves_out_as_nothing():
    p = torch.nn.Parameter(torch.ones(3, 4))
    assert export_state(RuleOptimizer([p], Muon()), torch.optim.Muon([p]), "torch")["state"] == {}
