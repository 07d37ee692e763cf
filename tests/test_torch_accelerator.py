"""What only accelerators go through, without one: on CUDA tensors that have no data, and on a CPU taken for an accelerator.

Simulated: no kernel of a GPU runs here (docs/gpu.md).
"""

import pytest

torch = pytest.importorskip("torch")

import deva_torch  # noqa: E402
from deva_core import AdaGO, AdamW, DeVA, DeVAVector, Muon  # noqa: E402
from deva_core.linalg import frobenius, unit  # noqa: E402
from deva_torch import RuleOptimizer  # noqa: E402
from deva_torch._backend import backend  # noqa: E402
from tests.fake_cuda import NoReads, fake_cuda  # noqa: E402
from tests.forced_backends import no_host  # noqa: E402
from tests.test_stacks import SHAPES, Plain, walked  # noqa: E402

RULES = {
    "Muon": Muon(weight_decay=0.1),
    "Muon corrected": Muon.dialect("optax"),
    "Muon exact": Muon(ns_coefficients="exact"),
    "AdaGO": AdaGO(scale="rms", nesterov=True),
    "DeVA": DeVA(precondition_frequency=2),
    "DeVA factored": DeVA(precondition_frequency=2, factored=True, sign_stabilization=True, statistics="gradient"),
    "DeVA published": DeVA.dialect("authors", precondition_frequency=2),
    "DeVAVector": DeVAVector(nesterov=True),
    "AdamW": AdamW(),
}
MODEL = [(96, 64)] * 3 + [(64, 200), (7,), (7,), (4, 3, 2, 2), (1200, 40), (1, 5), (0, 3), ()]
"""Stacks and single ones, Gram and plain, a convolution, sides of one and none."""

OPTIONS = {
    "plain": {},
    "kahan": {"rounding": "kahan", "state_dtype": "bfloat16"},
    "one by one": {"foreach": False},
    "maximize": {"maximize": True},
    "capturable": {"capturable": True},
}
CASES = [(rule, "plain", dtype) for rule in RULES for dtype in ("float32", "bfloat16")]
CASES += [("AdaGO", option, "bfloat16") for option in OPTIONS if option != "plain"]
CASES += [(rule, "capturable", "float32") for rule in RULES if not RULES[rule].branches]


@pytest.mark.parametrize(("name", "option", "dtype"), CASES)
def test_a_step_reads_nothing_from_the_device_and_stays_there(name, option, dtype):
    """On CUDA tensors without data: parameters, gradients, states and what is between them; the lr is one from step 2 on."""
    with fake_cuda():
        shapes = [torch.empty(shape, device="cuda", dtype=getattr(torch, dtype)) for shape in MODEL]
        params = [torch.nn.Parameter(x) for x in shapes]
        optimizer = RuleOptimizer(params, RULES[name], **OPTIONS[option])
        for _ in range(3):
            for p in params:
                p.grad = torch.empty_like(p)
            optimizer.step()
            optimizer.param_groups[0]["lr"] = torch.full((), 0.01, device="cuda")
        states = [x for p in params for x in optimizer.state[p].values() if isinstance(x, torch.Tensor)]
    assert states
    assert {x.device.type for x in states} == {"cuda"}
    assert optimizer.param_groups[0]["capturable"] == isinstance(optimizer.state[params[0]]["step"], torch.Tensor)


def test_blocks_and_layouts_stay_on_the_device_too():
    with fake_cuda():
        p = torch.nn.Parameter(torch.empty(96, 32, device="cuda"))
        optimizer = deva_torch.DeVA([("qkv", p)], layout={"qkv": "(q k v) in"}, precondition_frequency=2)
        for _ in range(3):
            p.grad = torch.empty_like(p)
            optimizer.step()
        assert len(optimizer._parameters[p].blocks) == 3


def test_the_simulation_notices():
    """Reading, counting a mask, copying to the host, and mixing devices: each is an error there."""
    aten = torch.ops.aten
    with fake_cuda():
        x, mask = torch.empty(3, device="cuda"), torch.empty(3, device="cuda", dtype=torch.bool)
        bad = [
            lambda: aten._local_scalar_dense(x.sum()),
            lambda: aten.equal(x, x),
            lambda: aten.index_put_(x, [mask], torch.zeros((), device="cuda")),
            lambda: x.to("cpu"),
            lambda: x + torch.zeros(()),
        ]
        for do in bad:
            with pytest.raises(AssertionError, match=r"the host reads|on tensors of"):
                do()


@pytest.mark.parametrize("name", [name for name in RULES if name != "DeVA published"])  # which rounding moves far
def test_off_the_host_the_numbers_are_the_plain_ones(name):
    """The lines that an accelerator takes, on a CPU: no value is read, the steps are core's own to the last digits."""
    rule, missing = RULES[name], {(1, 0), (2, 0), (2, 4), (1, 6)}
    with no_host(), NoReads():
        found, _ = walked(RuleOptimizer, rule, SHAPES, missing=missing)
    plain, _ = walked(Plain, rule, SHAPES, missing=missing)
    for p, q in zip(found, plain, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-11, atol=1e-12)


def test_without_a_host_choices_are_the_accelerators():
    """bfloat16 products by default, stacks of larger matrices, no threads."""
    params = [torch.nn.Parameter(torch.randn(200, 200)) for _ in range(2)]
    optimizer = deva_torch.Muon(params)
    assert optimizer._backend(params[0]).compute_dtype is None
    assert not optimizer._backend(params[0]).costs.stacks((200, 200))
    with no_host():
        assert optimizer._backend(params[0]).compute_dtype == torch.bfloat16
        assert optimizer._backend(params[0]).costs.stacks((200, 200))


def test_zero_stays_zero_where_subnormal_numbers_are_flushed():
    """As some devices do: what zero is divided by must be no such number."""
    X = torch.zeros(2, 3, 4)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor does not flush")
    try:
        with no_host():
            b = backend("cpu", torch.float32)
            assert not unit(X, torch.float32, b).any() and not frobenius(X, b).any()
    finally:
        torch.set_flush_denormal(False)


def test_small_and_large_matrices_are_as_long_as_core_says():
    """Where squares leave float32's range, and below its normal numbers."""
    X = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    X = X * torch.tensor([1e-42, 1e-30, 1.0, 1e25, 1e37]).reshape(-1, 1, 1)
    with no_host():
        b = backend("cpu", torch.float32)
        for function, given in ((unit, (X, torch.float32)), (frobenius, (X,))):
            torch.testing.assert_close(function(*given, b), function.__wrapped__(*given, b), rtol=1e-5, atol=0)
