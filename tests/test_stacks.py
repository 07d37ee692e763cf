"""Equal parameters step together, large ones in parts: neither changes anything but the time."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import deva_torch
from deva_core import AdaGO, AdamW, Backend, DeVA, DeVAVector, Muon, Optimizer, observe
from deva_core.costs import Costs
from deva_core.parameter import Parameter
from deva_torch import RuleOptimizer
from deva_torch._blocks import CACHED

RULES = [Muon(), AdaGO(weight_decay=0.1), DeVA(precondition_frequency=2), DeVAVector(nesterov=True), AdamW()]
SHAPES = [(4, 6)] * 3 + [(6, 4)] * 2 + [(5,)] * 3 + [(2, 3, 4)] * 2 + [()]


class Plain(RuleOptimizer):
    """One by one, without replacements."""

    replacements = False


def parameters(shapes, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=g, dtype=torch.float64).to(dtype)) for shape in shapes]


def walked(kind, rule, shapes, steps=4, dtype=torch.float64, missing=(), **options):
    """Where the parameters end; `missing` holds (step, index) of gradients that are None."""
    params, g = parameters(shapes, dtype), torch.Generator().manual_seed(1)
    optimizer = kind(params, rule, layout=lambda name, shape: "... out in" if len(shape) > 1 else None, **options)
    for t in range(steps):
        for k, p in enumerate(params):
            G = torch.randn(p.shape, generator=g, dtype=torch.float64).to(dtype)
            p.grad = None if (t, k) in missing else G
        optimizer.step()
    return params, optimizer


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_stacked_is_one_by_one(rule):
    """To the last digits, with gradients that miss: those parameters count their own steps and leave the stack."""
    missing = {(1, 0), (2, 0), (2, 4), (1, 6)}
    fast, fast_optimizer = walked(RuleOptimizer, rule, SHAPES, missing=missing)
    plain, plain_optimizer = walked(Plain, rule, SHAPES, missing=missing)
    for p, q in zip(fast, plain, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-11, atol=1e-12)
        assert fast_optimizer.state[p]["step"] == plain_optimizer.state[q]["step"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_a_nan_stays_with_its_parameter(rule):
    """The others of its stack are bit-identical."""
    ends = []
    for poison in (False, True):
        params = parameters([(4, 6)] * 3)
        for p in params:
            p.grad = torch.ones_like(p) * torch.arange(1.0, 7.0, dtype=torch.float64)
        if poison:
            params[1].grad[2, 3] = torch.nan
        RuleOptimizer(params, rule).step()
        ends.append(params)
    assert torch.isnan(ends[1][1]).any()
    for k in (0, 2):
        assert torch.equal(ends[0][k], ends[1][k])


def storages(optimizer, params):
    """The memory that momenta lie in, by its address, and their own size."""
    momenta = [optimizer.state[p]["momentum"] for p in params if optimizer.state.get(p)]
    held = {M.untyped_storage().data_ptr(): M.untyped_storage().nbytes() for M in momenta}
    return held, sum(M.numel() * M.itemsize for M in momenta)


def test_states_lie_in_one_stack_and_are_saved_once(tmp_path):
    """From the first step on, so that the next does not copy them together; a file holds each number once."""
    params, optimizer = walked(RuleOptimizer, Muon(), [(40, 60)] * 5)
    held, size = storages(optimizer, params)
    assert list(held.values()) == [size]
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    assert (tmp_path / "state.pt").stat().st_size < 1.1 * size


def test_states_hold_no_more_memory_whatever_gradients_are_missing():
    """A view keeps all of its stack alive: parameters that join one by one must not leave stack after stack behind."""
    missing = {(t, k) for t in range(6) for k in range(6) if k > t or (t + k) % 3 == 2}
    params, optimizer = walked(RuleOptimizer, Muon(), [(4, 6)] * 6, steps=6, missing=missing)
    held, size = storages(optimizer, params)
    assert sum(held.values()) == size


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_parameters_that_are_alike_are_no_steps_of_their_own(rule, monkeypatch):
    """Python's work for each is what small matrices pay for; the numbers are those of steps of their own, bit for bit."""
    shapes, asked = [(4, 6)] * 3 + [(5,)] * 3, []
    steps = Parameter.steps
    monkeypatch.setattr(Parameter, "steps", lambda self, *given: asked.append(self.name) or steps(self, *given))
    params, _ = walked(RuleOptimizer, rule, shapes)
    assert not asked
    with observe():
        others, _ = walked(RuleOptimizer, rule, shapes)
    assert len(asked) == 4 * len(shapes)
    for p, q in zip(params, others, strict=True):
        assert torch.equal(p, q)


def test_narrow_parameters_round_once():
    """bfloat16 parameters in a stack are those one by one."""
    fast, _ = walked(RuleOptimizer, Muon(), [(4, 6)] * 3, dtype=torch.bfloat16)
    plain, _ = walked(Plain, Muon(), [(4, 6)] * 3, dtype=torch.bfloat16)
    for p, q in zip(fast, plain, strict=True):
        torch.testing.assert_close(p, q, rtol=2**-7, atol=2**-9)


class Operations(TorchDispatchMode):
    """Counts what torch is asked to do."""

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen[str(func)] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("size", [1, 16])
def test_the_number_of_operations_is_that_of_kinds(size):
    """*many* is 128 of one shape and 64 of another: at most 100, whatever their number."""
    params = parameters([(64, 64)] * (8 * size) + [(32, 128)] * (4 * size), torch.float32)
    optimizer = deva_torch.Muon(params, compute_dtype="bfloat16", weight_decay=0.1)
    for p in params:
        p.grad = p.detach().clone()
    optimizer.step()
    with Operations() as operations:
        optimizer.step()
    assert operations.seen.total() <= 100, operations.seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_large_embedding_is_stepped_in_parts(dtype):
    """As it would be whole."""
    shape = (CACHED // 64 + 7, 64)
    fast, _ = walked(RuleOptimizer, AdamW(lr=0.01), [shape], dtype=dtype)
    plain, _ = walked(Plain, AdamW(lr=0.01), [shape], dtype=dtype)
    torch.testing.assert_close(fast[0], plain[0], rtol=2e-6 if dtype == torch.float32 else 2**-7, atol=1e-6)


def test_several_large_embeddings_are_in_parts_too_and_in_no_stack():
    """A stack of them would be copied, and be out of a cache between any two operations."""
    params = parameters([(CACHED // 64 + 7, 64)] * 2, torch.float32)
    optimizer = RuleOptimizer(params, AdamW())
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer.step()
    with Operations() as operations:
        optimizer.step()
    assert not operations.seen["aten.stack.default"]
    assert all(optimizer.state[p]["exp_avg"]._base is None for p in params)


@pytest.mark.parametrize("shape", [(300, 400), (400, 300)])
@pytest.mark.parametrize("rule", [Muon(weight_decay=0.1), AdaGO(), DeVA()], ids=lambda rule: type(rule).__name__)
def test_large_matrices_are_stepped_in_parts(rule, shape):
    """Larger than a part, of either orientation, gradients stored by columns too."""
    ends = []
    for kind in (RuleOptimizer, Plain):
        params = parameters([shape])
        optimizer = kind(params, rule)
        for t in range(2):
            G = torch.randn(shape[::-1], generator=torch.Generator().manual_seed(t), dtype=torch.float64).mT
            params[0].grad = G
            optimizer.step()
        ends.append(params[0])
    torch.testing.assert_close(*ends, rtol=1e-9, atol=1e-10)


def test_numpy_stacks_too():
    """The functional host, by the same cost model."""
    shapes = [(4, 6)] * 3 + [(5,)] * 2
    W = {str(k): np.random.default_rng(k).normal(size=shape) for k, shape in enumerate(shapes)}
    plain, products = Backend.of(*W.values()), []

    def matmul(A, B):
        products.append(A.shape)
        return A @ B

    ends = []
    for stacked_rows in (0, 64):
        b = replace(plain, matmul=matmul, costs=Costs(stacked_rows=stacked_rows))
        optimizer = Optimizer(Muon(), backend=b)
        products.clear()
        ends.append(optimizer.step(W, W, optimizer.init(W))[0])
        assert len(products) == (45 if stacked_rows == 0 else 15)
    for name in W:
        np.testing.assert_allclose(ends[0][name], ends[1][name], rtol=1e-12, atol=1e-14)


def test_a_stack_is_no_larger_than_the_model_allows():
    """Memory beyond the parameters' own is bounded."""
    costs = Costs(stacked_rows=8, stack_bytes=4 * 24 * 2)
    W = {str(k): np.ones((4, 6)) * (k + 1) for k in range(5)}
    sizes = []

    def matmul(A, B):
        sizes.append(A.shape)
        return A @ B

    optimizer = Optimizer(Muon(ns_steps=1), backend=replace(Backend.of(*W.values()), matmul=matmul, costs=costs))
    optimizer.step(W, W, optimizer.init(W))
    assert {shape[0] for shape in sizes if len(shape) == 3} == {2}


@pytest.fixture
def two_threads():
    """As many as CI has cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("rule", [Muon(), DeVA(precondition_frequency=2)], ids=lambda rule: type(rule).__name__)
def test_threads_change_nothing_but_the_last_digits(rule, two_threads):
    """Large parameters, alone and side by side; the caller's number of threads stays."""
    shapes = [(130, 160), (160, 130), (150, 140)]
    side_by_side, _ = walked(RuleOptimizer, rule, shapes)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    alone, _ = walked(RuleOptimizer, rule, shapes)
    for p, q in zip(side_by_side, alone, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-10)


def test_each_thread_computes_in_one(two_threads):
    """Two threads that each use two wait for one another: a hundred times slower."""
    from os import getpid

    from deva_torch._workers import pool

    def operations_in(k):
        torch.ones(2**17).add_(1)
        return torch.get_num_threads()

    assert list(pool(2, getpid()).map(operations_in, range(8))) == [1] * 8
    assert torch.get_num_threads() == 2


def test_an_error_in_a_thread_is_the_steps(two_threads):
    """Not lost, and not waited for."""

    class Broken(Muon):
        """Raises in its update."""

        def update(self, G, S, W, t, b):
            raise RuntimeError("no update today")

    params = parameters([(130, 160)] * 4)
    optimizer = RuleOptimizer(params, Broken())
    for p in params:
        p.grad = p.detach().clone()
    with pytest.raises(RuntimeError, match="no update today"):
        optimizer.step()


def test_uneven_work_is_cut_inside():
    """One long piece would leave the other threads idle."""
    from deva_torch._workers import is_even

    assert is_even([3, 3, 2], 2)
    assert not is_even([10, 1, 1], 2)
    assert not is_even([10], 2)


def test_the_plan_says_what_is_chosen_and_can_be_pinned():
    """Wide matrices by their Gram matrix, small ones in stacks."""
    params = parameters([(96, 384)] + [(16, 16)] * 3 + [(5,)], torch.float32)
    optimizer = RuleOptimizer(params, Muon())
    rows = [line.split() for line in optimizer.plan().splitlines()[1:]]
    assert [row[1:5] for row in rows] == [
        ["96×384", "1", "gram", "1"],
        ["16×16", "3", "plain", "3"],
        ["5", "1", "-", "1"],
    ]
    optimizer.costs = Costs(form="plain")
    assert "gram" not in optimizer.plan()


def test_a_form_that_fails_its_trial_is_not_used(monkeypatch):
    """A trial on a matrix that is hard for it comes first."""
    from deva_core.coefficients import JORDAN, schedule
    from deva_core.costs import Tried

    steps = schedule(JORDAN, 5)
    assert Tried(form="auto", trial=lambda shape, steps: True).prefers_gram((96, 384), steps)
    assert not Tried(form="auto", trial=lambda shape, steps: False).prefers_gram((96, 384), steps)
    from deva_torch import _backend

    monkeypatch.setattr("deva_core.costs.SEGMENT", 9)
    monkeypatch.setattr("deva_core.costs.GROWTH", float("inf"))
    from deva_core.coefficients import POLAR_EXPRESS

    assert not _backend.trial.__wrapped__("cpu", torch.bfloat16, (96, 384), schedule(POLAR_EXPRESS, 5))
    monkeypatch.undo()
    assert _backend.trial.__wrapped__("cpu", torch.bfloat16, (96, 384), schedule(POLAR_EXPRESS, 5))


@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_that_share_no_stack_are_joined(threads, two_threads):
    """Of a fused parameter each large block is stepped for itself; the parameter moves when the last is there."""
    torch.set_num_threads(threads)
    ends = []
    for kind in (RuleOptimizer, Plain):
        params = parameters([(3 * 130, 130)])
        optimizer = kind(params, Muon(), layout="(q k v) in")
        params[0].grad = params[0].detach().clone()
        optimizer.step()
        ends.append(params[0])
    torch.testing.assert_close(*ends, rtol=1e-10, atol=1e-11)


def test_pinned_costs_are_copied_with_their_optimizer():
    """As every other choice is."""
    import copy

    optimizer = RuleOptimizer(parameters([(96, 384)]), Muon())
    optimizer.costs = Costs(form="plain")
    assert "gram" not in copy.deepcopy(optimizer).plan()
