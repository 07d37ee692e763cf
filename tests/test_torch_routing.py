"""`deva_torch.param_groups`: what each module type's parameters are."""

import copy
import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import deva_torch  # noqa: E402
from deva_core import AdaGO, AdamW, DeVA, EmbeddingWarning, Layout, Muon, NoMatrixWarning  # noqa: E402
from deva_torch import param_groups  # noqa: E402


class Zoo(nn.Module):
    """A module of each type."""

    def __init__(self):
        super().__init__()
        self.wte, self.bag = nn.Embedding(50, 8), nn.EmbeddingBag(7, 8)
        self.pos_embed, self.cls_token = nn.Parameter(torch.zeros(1, 12, 8)), nn.Parameter(torch.zeros(1, 1, 8))
        self.attention, self.cross = nn.MultiheadAttention(8, 2), nn.MultiheadAttention(8, 2, kdim=4, add_bias_kv=True)
        self.lstm, self.gru, self.rnn = nn.LSTM(8, 8, proj_size=4), nn.GRUCell(8, 8), nn.RNN(8, 8)
        self.conv1, self.conv2, self.conv3 = nn.Conv1d(4, 8, 3), nn.Conv2d(4, 8, 3), nn.Conv3d(4, 8, 3)
        self.grouped, self.depthwise = nn.Conv2d(4, 8, 3, groups=2), nn.Conv1d(4, 4, 3, groups=4)
        self.up, self.grouped_up = nn.ConvTranspose2d(4, 8, 3), nn.ConvTranspose1d(4, 8, 3, groups=2)
        self.plane, self.rms, self.batch = nn.LayerNorm((4, 4)), nn.RMSNorm((2, 8)), nn.BatchNorm2d(8)
        self.scale = nn.Parameter(torch.ones(8, 1, 1))  # LayerScale
        self.normed = nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 8, 3))
        self.bilinear = nn.Bilinear(3, 4, 5)
        self.experts = nn.Parameter(torch.zeros(2, 4, 3))
        self.classifier = nn.Sequential(nn.Linear(8, 6), nn.Linear(6, 3))
        self.inner = nn.Linear(8, 50, bias=False)  # no head: it only happens to be as wide as the vocabulary is long
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.tied = nn.Linear(8, 50, bias=False)
        self.tied.weight = self.wte.weight
        self.to_words = nn.Linear(8, 50, bias=False)


EXPECTED = {
    "wte.weight": ("embeddings", "-"),
    "bag.weight": ("embeddings", "-"),
    "pos_embed": ("embeddings", "-"),
    "cls_token": ("vectors", "-"),
    "attention.in_proj_weight": ("matrices", "(q k v) in"),
    "attention.out_proj.weight": ("matrices", "out in"),
    "cross.k_proj_weight": ("matrices", "out in"),
    "cross.bias_k": ("vectors", "-"),
    "lstm.weight_ih_l0": ("matrices", "(i f g o) in"),
    "lstm.weight_hr_l0": ("matrices", "out in"),
    "gru.weight_hh": ("matrices", "(r z n) in"),
    "rnn.weight_ih_l0": ("matrices", "out in"),
    "conv1.weight": ("matrices", "out in k"),
    "conv2.weight": ("matrices", "out in kh kw"),
    "conv3.weight": ("matrices", "out in kd kh kw"),
    "grouped.weight": ("matrices", "(batch out) in kh kw batch=2"),
    "depthwise.weight": ("vectors", "-"),
    "up.weight": ("matrices", "in out kh kw"),
    "grouped_up.weight": ("matrices", "(batch in) out k batch=2"),
    "plane.weight": ("vectors", "-"),
    "plane.bias": ("vectors", "-"),
    "rms.weight": ("vectors", "-"),
    "batch.weight": ("vectors", "-"),
    "scale": ("vectors", "-"),
    "normed.parametrizations.weight.original0": ("vectors", "-"),
    "normed.parametrizations.weight.original1": ("matrices", "out in k"),
    "bilinear.weight": ("matrices", "out in in_second"),
    "experts": ("matrices", "experts out in"),
    "classifier.0.weight": ("matrices", "out in"),
    "classifier.1.weight": ("heads", "-"),
    "to_words.weight": ("heads", "-"),
    "inner.weight": ("matrices", "out in"),
    "frozen.weight": None,
    "tied.weight": None,
}


def routed(optimizer):
    """Each parameter's group and layout, as the optimizer has them."""
    return {
        optimizer._parameters[p].name: (group["name"], str(optimizer._parameters[p].layout or "-"))
        for group in optimizer.param_groups
        for p in group["params"]
    }


def test_every_module_type_is_known():
    optimizer = deva_torch.Muon(param_groups(Zoo(), layout={"exp*": "experts out in"}))
    found = routed(optimizer)
    assert {name: found.get(name) for name in EXPECTED} == EXPECTED
    assert {group for name, (group, _) in found.items() if name.endswith("bias")} == {"vectors"}
    assert "Embedding, tied to tied.weight" in optimizer.explain()


def test_transformers_transposed_linear_is_known():
    conv1d = pytest.importorskip("transformers.pytorch_utils").Conv1D
    optimizer = deva_torch.Muon(param_groups(nn.ModuleDict({"c_attn": conv1d(24, 8)})))
    assert routed(optimizer)["c_attn.weight"] == ("matrices", "in out")


def test_a_stack_must_be_named_and_the_message_says_how():
    with pytest.raises(ValueError, match=r"'experts' of shape \(2, 4, 3\) needs a layout: 'batch out in'"):
        param_groups(Zoo())


def test_names_that_do_not_exist_and_modules_without_shapes_are_errors():
    net = nn.Sequential(nn.Linear(4, 4))
    with pytest.raises(ValueError, match="heads names a module 'lm_head' that does not exist"):
        param_groups(net, heads=["lm_head"])
    with pytest.raises(ValueError, match=r"layout names a parameter '1\.weight' that does not exist; did you mean"):
        param_groups(net, layout={"1.weight": "out in"})
    with pytest.raises(ValueError, match=r"'0\.weight' has no shape yet: run the model once"):
        param_groups(nn.Sequential(nn.LazyLinear(4)))


def test_heads_are_those_given_or_found_by_name_through_wrappers():
    net = nn.ModuleDict({"body": nn.ModuleDict({"fc": nn.Linear(4, 4)}), "fc": nn.Linear(4, 3)})
    wrapped = nn.ModuleDict({"module": net})
    for heads, expected in ((None, ["module.fc.weight"]), (["*.body.*"], ["module.body.fc.weight"]), ([], [])):
        groups = {g["name"]: [name for name, _ in g["params"]] for g in param_groups(wrapped, heads=heads)}
        assert groups.get("heads", []) == expected


def test_vectors_do_not_decay_and_the_rest_does():
    """A weight decay set on a group applies to both halves; without one the vector rule keeps its own."""
    net = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4), nn.LayerNorm(4))
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    vector_rule = AdamW(lr=1e-2, weight_decay=0.5)
    optimizer = deva_torch.Muon(param_groups(net), lr=0.1, weight_decay=0.2, vector_rule=vector_rule)
    optimizer.step()
    shrunk = {name: (p.detach() / before[name]) for name, p in net.named_parameters()}
    torch.testing.assert_close(shrunk["0.weight"], torch.full((9, 4), 1 - 1e-2 * 0.5))
    torch.testing.assert_close(shrunk["1.weight"], torch.full((4, 4), 1 - 0.1 * 0.2))
    assert torch.equal(net[1].bias, before["1.bias"]) and torch.equal(net[2].weight, before["2.weight"])
    assert {rule.weight_decay for _, _, rule in optimizer.live_rules()} == {0.5, 0.2, 0.0}
    for group in optimizer.param_groups:  # a scheduler of weight decay reaches both halves where it was said
        group["weight_decay"] = 0.3
    assert {rule.weight_decay for _, _, rule in optimizer.live_rules()} == {0.5, 0.3}
    decaying = deva_torch.Muon(param_groups(net, decay_vectors=True), vector_rule=vector_rule)
    assert {rule.weight_decay for _, p, rule in decaying.live_rules() if not p.layout} == {0.5}


def test_groups_of_roles_survive_state_dicts_and_copies(tmp_path):
    net = nn.Sequential(nn.Embedding(9, 4), nn.Conv2d(1, 4, 3), nn.Linear(4, 9))
    optimizer = deva_torch.DeVA(param_groups(net))
    optimizer.init_state()
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    other = deva_torch.DeVA(param_groups(copy.deepcopy(net)))
    other.load_state_dict(saved)
    assert other.explain() == optimizer.explain() == copy.deepcopy(optimizer).explain()
    assert other.state_dict()["param_groups"] == saved["param_groups"]


FUSED = {
    "(q k v) in": ((24, 8), {"q": slice(0, 8), "k": slice(8, 16), "v": slice(16, 24)}, {}),
    "(q k v) in grouped": ((16, 8), {"q": slice(0, 8), "k": slice(8, 12), "v": slice(12, 16)}, {"q": 8}),
    "(gate up) in": ((24, 8), {"gate": slice(0, 12), "up": slice(12, 24)}, {}),
}


@pytest.mark.parametrize("fused", FUSED)
@pytest.mark.parametrize(
    "rule", [Muon(), AdaGO(lr=0.1), DeVA(precondition_frequency=2)], ids=lambda r: type(r).__name__
)
def test_a_fused_linear_equals_separate_ones(fused, rule):
    """Four steps in float64, grouped queries among them."""
    shape, rows, sizes = FUSED[fused]
    pattern = Layout(" ".join(fused.split()[: -1 if sizes else None]), **sizes)
    generator = torch.Generator().manual_seed(3)
    W = torch.randn(shape, dtype=torch.float64, generator=generator)
    one = nn.Linear(shape[1], shape[0], bias=False, dtype=torch.float64)
    one.weight.data.copy_(W)
    parts = {name: nn.Parameter(W[cut].clone()) for name, cut in rows.items()}
    together = deva_torch.RuleOptimizer(param_groups(one, layout={"weight": pattern}), rule)
    apart = deva_torch.RuleOptimizer(parts.items(), rule)
    for _ in range(4):
        one.weight.grad = torch.randn(shape, dtype=torch.float64, generator=generator)
        for name, cut in rows.items():
            parts[name].grad = one.weight.grad[cut].clone()
        together.step()
        apart.step()
    torch.testing.assert_close(one.weight.detach(), torch.cat([p.detach() for p in parts.values()]), rtol=0, atol=1e-9)


def convolved(net, optimizer, grads):
    for G in grads:
        net.weight.grad = G.to(memory_format=torch.channels_last) if G.ndim == 4 else G
        kept = net.weight.grad.clone()
        optimizer.step()
        assert torch.equal(net.weight.grad, kept), "a gradient was written"
    return net.weight.detach()


CONVOLUTIONS = {
    "plain": (nn.Conv2d(4, 6, 3, bias=False), lambda W: [W.reshape(6, -1)]),
    "channels_last": (
        nn.Conv2d(4, 6, 3, bias=False).to(memory_format=torch.channels_last),
        lambda W: [W.reshape(6, -1)],
    ),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2, bias=False), lambda W: [W[:3].reshape(3, -1), W[3:].reshape(3, -1)]),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, bias=False), lambda W: [W.transpose(0, 1).reshape(6, -1)]),
    "grouped, transposed": (
        nn.ConvTranspose1d(4, 6, 3, groups=2, bias=False),
        lambda W: [W[g : g + 2].transpose(0, 1).reshape(3, -1) for g in (0, 2)],
    ),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_a_convolution_equals_its_flattened_matrices(kind):
    """Whatever the memory format; three steps of each matrix rule in float64."""
    module, matrices = CONVOLUTIONS[kind]
    for rule in (Muon(), AdaGO(lr=0.1), DeVA(precondition_frequency=2)):
        net = copy.deepcopy(module).double()
        grads = [torch.randn(net.weight.shape, dtype=torch.float64) for _ in range(3)]
        flat = [nn.Parameter(W.detach().clone().contiguous()) for W in matrices(net.weight)]
        end = convolved(net, deva_torch.RuleOptimizer(param_groups(net), rule), grads)
        optimizer = deva_torch.RuleOptimizer(flat, rule)
        for G in grads:
            for p, g in zip(flat, matrices(G), strict=True):
                p.grad = g.contiguous()
            optimizer.step()
        for W, p in zip(matrices(end), flat, strict=True):
            torch.testing.assert_close(W, p.detach(), rtol=0, atol=1e-9)


def test_an_attentions_fused_projection_is_three_matrices():
    attention = nn.MultiheadAttention(8, 2, dtype=torch.float64)
    optimizer = deva_torch.AdaGO(param_groups(attention))
    attention.in_proj_weight.grad = torch.randn(24, 8, dtype=torch.float64)
    optimizer.step()
    assert {name for name in optimizer.state[attention.in_proj_weight] if "accumulator" in name} == {
        "q.accumulator",
        "k.accumulator",
        "v.accumulator",
    }


def test_an_embedding_sized_matrix_without_a_layout_warns_with_the_remedy():
    wte, meant = nn.Embedding(32000, 8), "To keep Muon, write layout={'weight': 'out in'}"
    with pytest.warns(EmbeddingWarning, match=r"'weight' \(32000×8\).*layout=\{'weight': 'vector'\}") as seen:
        deva_torch.Muon(wte.named_parameters())
    assert meant in str(seen[0].message)
    with pytest.warns(EmbeddingWarning):
        deva_torch.Muon(wte.named_parameters(), layout="out in")  # for all is not for this one
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        deva_torch.Muon(wte.named_parameters(), layout={"weight": "out in"})
        deva_torch.Muon([{"params": wte.parameters(), "layout": "out in"}])
        deva_torch.AdamW(wte.named_parameters())
        deva_torch.Muon([*nn.Linear(4, 4).parameters(), nn.Parameter(torch.zeros(53248, 16384, device="meta"))])
        deva_torch.Muon(param_groups(nn.Sequential(wte, nn.Linear(8, 32000), nn.Linear(8, 8))))
        deva_torch.Muon(param_groups(nn.Linear(8, 40000)))  # by its type, a matrix


def test_groups_without_a_matrix_warn():
    with pytest.warns(NoMatrixWarning):
        deva_torch.Muon(param_groups(nn.Embedding(5, 3)))


def test_the_groups_layout_goes_before_the_arguments():
    W = nn.Parameter(torch.zeros(4, 6))
    optimizer = deva_torch.Muon([{"params": [("W", W)], "layout": "in out"}], layout={"W": "out in"})
    assert str(optimizer._parameters[W].layout) == "in out"
