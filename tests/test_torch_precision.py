"""Narrow weights and narrow state: what is lost, and what is not (docs/decisions/0014, 0015)."""

import copy
import io
import math
import pickle

import pytest

torch = pytest.importorskip("torch")

import deva_core  # noqa: E402
import deva_torch  # noqa: E402
from deva_core import RULES, AdamW, DeVA, Muon  # noqa: E402
from deva_torch import RuleOptimizer  # noqa: E402
from deva_torch._blocks import CACHED  # noqa: E402
from deva_torch._precision import stochastic  # noqa: E402
from tests.forced_backends import small_thresholds  # noqa: E402

ROUNDINGS = ("nearest", "stochastic", "kahan")
SHAPES = [(4, 6), (4, 6), (6, 3), (5,)]


def run(rule, steps=5, dtype=torch.bfloat16, shapes=SHAPES, seed=0, **options):
    """Parameters and optimizer after some steps under gradients of their own."""
    g = torch.Generator().manual_seed(seed)
    params = [torch.nn.Parameter(torch.randn(s, generator=g).to(dtype)) for s in shapes]
    optimizer = RuleOptimizer(params, rule, **options)
    onward(params, optimizer, g, steps)
    return params, optimizer


def onward(params, optimizer, g, steps=3):
    for _ in range(steps):
        for p in params:
            p.grad = torch.randn(p.shape, generator=g).to(p.dtype)
        optimizer.step()


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_updates_below_half_an_ulp_move_a_weight_on_average_as_in_float32_and_plain_rounding_does_not():
    """400 steps of a sixteenth of an ulp: 25 ulps of 2**-7 downward from 1.5. The mean of 4096 weights, each a sum of
    400 draws of deviation about ulp/4, has a deviation of at most ulp * sqrt(400/16/4096) = 0.08 ulp: five of them."""
    ulp, steps = 2.0**-7, 400
    mean = {}
    for rounding in ROUNDINGS:
        W = torch.nn.Parameter(torch.full((4096,), 1.5, dtype=torch.bfloat16))
        rule = AdamW(lr=ulp / 16, weight_decay=0.0, beta1=0.0)
        optimizer = RuleOptimizer([W], rule, rounding=rounding, generator=torch.Generator().manual_seed(0))
        W.grad = torch.ones_like(W)
        for _ in range(steps):
            optimizer.step()
        mean[rounding] = W.detach().double().mean().item()
    expected = 1.5 - steps * ulp / 16
    assert mean["nearest"] == 1.5
    assert abs(mean["stochastic"] - expected) < 5 * 0.08 * ulp
    assert abs(mean["kahan"] - expected) <= ulp / 2


@pytest.mark.parametrize(("dtype", "lost"), [(torch.bfloat16, 2**-17), (torch.float16, 2**-21)], ids=str)
@pytest.mark.parametrize("rule", [Muon(), DeVA(), AdamW()], ids=lambda rule: type(rule).__name__)
def test_with_kahan_a_narrow_weight_and_its_compensation_are_the_float32_weight(rule, dtype, lost):
    """A pair of bfloat16s holds a weight to 2**-17 of its size, of float16s to 2**-22; a float32 rounding beside it.

    So much is lost in each of 30 steps, at most.
    """
    g = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(s, generator=g).to(dtype)) for s in SHAPES]
    exact = [torch.nn.Parameter(p.detach().float()) for p in params]
    narrow, full = RuleOptimizer(params, rule, rounding="kahan"), RuleOptimizer(exact, rule)
    for _ in range(30):
        for p, q in zip(params, exact, strict=True):
            p.grad = torch.randn(p.shape, generator=g).to(dtype)
            q.grad = p.grad.float()
        narrow.step()
        full.step()
    for p, q in zip(params, exact, strict=True):
        rest = narrow.state[p]["compensation"]
        torch.testing.assert_close(p.detach().float() + rest.float(), q.detach(), rtol=0, atol=30 * lost)
        assert (rest.abs() <= p.abs() * torch.finfo(dtype).eps / 2).all(), "half an ulp at most"


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_rounding_changes_nothing_in_float32_and_float64(rounding):
    for dtype in (torch.float32, torch.float64):
        plain, _ = run(Muon(), dtype=dtype)
        torch.manual_seed(0)
        before = torch.get_rng_state()
        other, optimizer = run(Muon(), dtype=dtype, rounding=rounding)
        assert same(plain, other) and torch.equal(before, torch.get_rng_state())
        assert all("compensation" not in slot for slot in optimizer.state.values())


def test_stochastic_rounding_takes_the_two_neighbours_in_proportion_and_leaves_what_is_exact():
    x = torch.tensor([1 + 2**-9, -(1 + 2**-9), 1.0, -0.0, math.inf, -math.inf, 3e-40]).repeat(40000, 1)
    y = stochastic(x, torch.bfloat16, torch.Generator().manual_seed(0)).float()
    assert set(y[:, 0].tolist()) == {1.0, 1 + 2**-7} and set(y[:, 1].tolist()) == {-1.0, -(1 + 2**-7)}
    assert abs((y[:, 0] > 1).float().mean().item() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 40000)
    assert torch.equal(y[:, 2:6], x[:, 2:6])
    nan = torch.tensor([0x7FFFFFFF, -1], dtype=torch.int32).view(torch.float32)
    assert torch.isnan(stochastic(nan, torch.bfloat16, None)).all()
    half = stochastic(torch.full((40000,), 1 + 2**-12), torch.float16, torch.Generator().manual_seed(0)).float()
    assert set(half.tolist()) == {1.0, 1 + 2**-10}
    assert abs((half > 1).float().mean().item() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 40000)


def test_stochastic_rounding_is_reproducible_from_the_generator_or_the_global_one():
    ends = [run(Muon(), rounding="stochastic", generator=torch.Generator().manual_seed(k))[0] for k in (7, 7, 8)]
    assert same(ends[0], ends[1]) and not same(ends[0], ends[2])
    ends = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        ends.append(run(Muon(), rounding="stochastic")[0])
    assert same(ends[0], ends[1]) and not same(ends[0], ends[2])


@pytest.mark.parametrize("rounding", ["stochastic", "kahan"])
def test_parts_stacks_and_threads_change_no_rounding(rounding):
    """A large parameter goes in parts, several to threads; the draws are each parameter's own."""
    shapes, rule = [(CACHED // 64 + 7, 64), (100, 300), (100, 300)], AdamW()
    options = {"rounding": rounding}
    ends = []
    for kind in ("", "threads", "plain"):
        torch.set_num_threads(2 if kind == "threads" else 1)
        torch.manual_seed(0)
        params, optimizer = run(rule, 1, shapes=shapes, **options, foreach=kind != "plain")
        ends.append([*params, *(slot["compensation"] for slot in optimizer.state.values() if rounding == "kahan")])
    torch.set_num_threads(1)
    assert same(ends[0], ends[1]) and same(ends[0], ends[2])


@pytest.mark.parametrize("options", [{"rounding": "kahan"}, {"rounding": "stochastic"}, {"state_dtype": "bfloat16"}])
@pytest.mark.parametrize("way", ["state_dict", "deepcopy", "pickle"])
def test_a_run_continues_bitwise_with_its_compensation_its_generator_and_its_narrow_state(options, way):
    generator = torch.Generator().manual_seed(5)
    params, optimizer = run(DeVA(), **options, generator=generator)
    if way == "state_dict":
        file = io.BytesIO()
        torch.save(optimizer.state_dict(), file)
        file.seek(0)
        resumed = [torch.nn.Parameter(p.detach().clone()) for p in params]
        source = torch.Generator()
        source.set_state(generator.get_state())
        other = RuleOptimizer(resumed, DeVA(), **options, generator=source)
        other.load_state_dict(torch.load(file, weights_only=True))
    else:
        copier = copy.deepcopy if way == "deepcopy" else lambda x: pickle.loads(pickle.dumps(x))
        resumed, other = copier((params, optimizer))
    for p, q in ((params, optimizer), (resumed, other)):
        onward(p, q, torch.Generator().manual_seed(2))
    assert same(params, resumed)
    for p, q in zip(params, resumed, strict=True):
        assert optimizer.state[p].keys() == other.state[q].keys()
        assert {name: x.dtype for name, x in optimizer.state[p].items() if name != "step"} == {
            name: x.dtype for name, x in other.state[q].items() if name != "step"
        }


def test_a_state_loaded_into_another_precision_takes_that_one():
    wide_params, wide = run(AdamW())
    for options, dtype in (({"state_dtype": "bfloat16"}, torch.bfloat16), ({}, torch.float32)):
        params, optimizer = run(AdamW(), 1, **options, rounding="kahan")
        optimizer.load_state_dict(wide.state_dict())
        slot = optimizer.state[params[0]]
        assert slot["exp_avg"].dtype == dtype and slot["exp_avg_sq"].dtype == torch.float32
        assert not slot["compensation"].any()
        wide.load_state_dict(optimizer.state_dict())
        assert wide.state[wide_params[0]].keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert wide.state[wide_params[0]]["exp_avg"].dtype == torch.float32


@pytest.mark.parametrize("options", [{"state_dtype": "bfloat16"}, {"rounding": "kahan"}])
def test_portable_checkpoints_hold_wide_state_without_compensation(options, tmp_path):
    params, optimizer = run(Muon(), **options)
    deva_torch.save(tmp_path / "state", optimizer)
    other = RuleOptimizer(params, Muon())  # any other host: no options
    deva_torch.load(tmp_path / "state", other)
    for p in params:
        assert other.state[p]["step"] == 5 and "compensation" not in other.state[p]
        for name in other._parameters[p].field_names:
            assert other.state[p][name].dtype == torch.float32
            assert torch.equal(other.state[p][name], optimizer.state[p][name].float())
    deva_torch.load(tmp_path / "state", optimizer)
    kept = torch.float32 if "rounding" in options else torch.bfloat16
    assert optimizer.state[params[0]]["momentum"].dtype == kept


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_only_averages_of_gradients_are_narrowed_and_float64_never(rule):
    assert set(rule.narrowable) <= {"momentum", "exp_avg"} & set(rule.State._fields)
    params, optimizer = run(rule(), 2, torch.float32, state_dtype="bfloat16")
    for p in params:
        names = optimizer._parameters[p].rule.narrowable
        for name, x in optimizer.state[p].items():
            if name != "step":
                assert x.dtype == (torch.bfloat16 if name in names else torch.float32)
    params, optimizer = run(rule(), 2, torch.float64, state_dtype="bfloat16")
    assert all(x.dtype == torch.float64 for p in params for n, x in optimizer.state[p].items() if n != "step")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_narrow_state_is_the_float32_step_from_the_rounded_momentum(rule):
    """One step from a common state: the arithmetic is float32, only what is put away is rounded."""
    params, optimizer = run(rule(), 3, torch.float32, state_dtype="bfloat16")
    copied = [torch.nn.Parameter(p.detach().clone()) for p in params]
    wide = RuleOptimizer(copied, rule())
    wide.load_state_dict(optimizer.state_dict())
    for p, q in ((params, optimizer), (copied, wide)):
        onward(p, q, torch.Generator().manual_seed(9), 1)
    assert same(params, copied)
    for p, q in zip(params, copied, strict=True):
        for name in optimizer._parameters[p].rule.narrowable:
            assert torch.equal(optimizer.state[p][name], wide.state[q][name].bfloat16())


def test_narrow_state_survives_blocks_and_layouts_with_several_matrices():
    shapes = [(6, 4), (9, 4)]
    layouts = deva_core.Layout("(q k v) in", q=2, k=2, v=2)
    options = {"layout": lambda name, shape: layouts if shape[0] == 6 else "vector", "vector_rule": AdamW()}
    params, optimizer = run(Muon(), 2, shapes=shapes, state_dtype="bfloat16", rounding="kahan", **options)
    assert optimizer.state[params[0]]["q.momentum"].dtype == torch.bfloat16
    assert optimizer.state[params[1]]["exp_avg"].dtype == torch.bfloat16
    with small_thresholds():
        other, _ = run(Muon(), 2, shapes=shapes, state_dtype="bfloat16", rounding="kahan", **options)
    for p, q in zip(params, other, strict=True):
        torch.testing.assert_close(p, q, rtol=2**-7, atol=2**-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rounding": "down"}, r"rounding must be one of 'nearest', 'stochastic', 'kahan', got 'down'"),
        ({"state_dtype": "float16"}, r'state_dtype must be None, "float32" or "bfloat16", got \'float16\''),
        ({"state_dtype": torch.int8}, "state_dtype must be"),
    ],
)
def test_what_is_no_rounding_and_no_state_dtype_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        deva_torch.Muon([torch.nn.Parameter(torch.zeros(2, 2))], **options)
