"""`capturable=True`: counts on the device, nothing read, nothing moved from where a graph found it; the same steps.

No CUDA graph is captured here. What stands for one is `Recorded`, which repeats a step's operations on the same memory.
"""

import copy
from unittest import mock

import pytest

torch = pytest.importorskip("torch")

from torch.optim import lr_scheduler  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_map  # noqa: E402

import deva_torch  # noqa: E402
from deva_core import AdamW, DeVA, DeVAVector, Muon, Rule  # noqa: E402
from tests.fake_cuda import NoReads  # noqa: E402
from tests.forced_backends import no_host  # noqa: E402

CLOSE = dict(rtol=1e-12, atol=1e-12)
KINDS = ["Muon", "AdaGO", "AdamW", "DeVAVector"]
SHAPES = [(6, 4), (6, 4), (4, 6), (5,), (5,), (7,)]


def parameters(dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(s, generator=g, dtype=torch.float64).to(dtype)) for s in SHAPES]


def gradients(t, params, missing=()):
    g = torch.Generator().manual_seed(100 + t)
    for k, p in enumerate(params):
        G = torch.randn(p.shape, generator=g, dtype=torch.float64).to(p.dtype)
        p.grad = None if (t, k) in missing else G


def walk(optimizer, params, steps, scheduler=None, missing=()):
    for t in steps:
        gradients(t, params, missing)
        optimizer.step()
        if scheduler:
            scheduler.step()


def made(kind, capturable, lr=0.05, **options):
    params = parameters()
    lr = torch.tensor(lr, dtype=torch.float64) if capturable else lr
    optimizer = getattr(deva_torch, kind)(params, lr=lr, capturable=capturable, **options)
    return params, optimizer, lr_scheduler.CosineAnnealingLR(optimizer, 10)


def assert_same(params, others):
    for p, q in zip(params, others, strict=True):
        torch.testing.assert_close(p, q, **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
def test_the_steps_are_those_without_it_and_nothing_is_read(kind):
    """Under a schedule, with gradients that miss: counts that differ within a stack are stacked, not compared."""
    missing = {(1, 0), (2, 0), (2, 3), (3, 5)}
    params, optimizer, scheduler = made(kind, True)
    walk(optimizer, params, range(1), scheduler)
    with no_host():
        for t in range(1, 6):
            gradients(t, params, missing)
            with NoReads():
                optimizer.step()
            scheduler.step()
    plain, other, same = made(kind, False)
    walk(other, plain, range(6), same, missing)
    assert_same(params, plain)
    counts = [optimizer.state[p]["step"] for p in params]
    assert all(isinstance(t, torch.Tensor) and t.dtype == torch.int64 for t in counts)
    assert [int(t) for t in counts] == [other.state[p]["step"] for p in plain] == [4, 6, 6, 5, 6, 5]


class Recorded(TorchDispatchMode):
    """Notes operations with their arguments; `replay` does them again, results into the memory of the first time.

    What a CUDA graph does: Python between the operations is not run again.
    """

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, out))
        return out

    @torch.no_grad()
    def replay(self):
        for func, args, kwargs, out in self.operations:
            tree_map(put, out, func(*args, **kwargs))


def put(old, new):
    """Into the old tensor; in place operations and views are there already."""
    if isinstance(old, torch.Tensor) and old is not new and old.data_ptr() != new.data_ptr():
        old.copy_(new)


@pytest.mark.parametrize("options", [{}, {"state_dtype": "bfloat16"}, {"foreach": False}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_step_repeated_is_as_many_steps(kind, options):
    """Counts, states and the learning rate are read anew from where they were; the scheduler writes into it."""
    with no_host():
        params, optimizer, scheduler = made(kind, True, **options)
        walk(optimizer, params, range(2), scheduler)
        gradients(2, params)
        with Recorded() as recorded:
            optimizer.step()
        scheduler.step()
        for t in range(3, 7):
            grads = [p.grad for p in params]
            gradients(t, params)
            for p, G in zip(params, grads, strict=True):
                p.grad = G.copy_(p.grad)
            recorded.replay()
            scheduler.step()
    plain, other, same = made(kind, False, **options)
    walk(other, plain, range(7), same)
    assert_same(params, plain)
    assert {int(optimizer.state[p]["step"]) for p in params} == {7}
    assert int(optimizer.param_groups[0]["count"]) == 7


def test_callables_are_given_the_count_as_a_tensor():
    def lr(count):
        return 0.05 * 0.9**count

    ends = []
    for capturable in (True, False):
        params = parameters()
        optimizer = deva_torch.Muon(params, lr=lr, capturable=capturable)
        walk(optimizer, params, range(4))
        ends.append(params)
    assert_same(*ends)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["state_dict", "portable"])
@pytest.mark.parametrize("saved", [False, True])
def test_a_checkpoint_of_either_kind_is_loaded_by_the_other(tmp_path, kind, way, saved):
    params, optimizer, _ = made(kind, saved)
    walk(optimizer, params, range(3))
    others, other, _ = made(kind, not saved)
    with torch.no_grad():
        for p, q in zip(params, others, strict=True):
            q.copy_(p)
    if way == "portable":
        deva_torch.save(tmp_path / "x.safetensors", optimizer)
        deva_torch.load(tmp_path / "x.safetensors", other)
    else:
        torch.save(optimizer.state_dict(), tmp_path / "x.pt")
        other.load_state_dict(torch.load(tmp_path / "x.pt", weights_only=True))
    assert [group["capturable"] for group in other.param_groups] == [not saved]
    assert isinstance(other.state[others[0]]["step"], torch.Tensor) is not saved
    assert isinstance(other.param_groups[0]["count"], torch.Tensor) is not saved
    assert int(other.param_groups[0]["count"]) == 3
    walk(optimizer, params, range(3, 5))
    walk(other, others, range(3, 5))
    assert_same(params, others)


def test_what_is_loaded_is_no_longer_the_saved():
    params, optimizer, _ = made("Muon", True)
    walk(optimizer, params, range(2))
    saved = optimizer.state_dict()
    before = copy.deepcopy(saved)
    others, other, scheduler = made("Muon", True)
    other.load_state_dict(saved)
    walk(other, others, range(2), scheduler)
    assert str(saved) == str(before)


def test_copies_have_counts_of_their_own():
    params, optimizer, _ = made("Muon", True)
    walk(optimizer, params, range(2))
    other = copy.deepcopy(optimizer)
    walk(other, other.param_groups[0]["params"], range(2, 3))
    assert [int(o.param_groups[0]["count"]) for o in (optimizer, other)] == [2, 3]
    assert int(optimizer.state[params[0]]["step"]) == 2


def test_groups_choose_and_may_change_their_mind():
    params = parameters()
    groups = [{"params": params[:3]}, {"params": params[3:], "capturable": True}]
    optimizer = deva_torch.Muon(groups, lr=0.05)
    walk(optimizer, params, range(2))
    assert [isinstance(optimizer.state[p]["step"], torch.Tensor) for p in params] == [False] * 3 + [True] * 3
    optimizer.param_groups[0]["capturable"] = True
    walk(optimizer, params, range(2, 4))
    plain, other, _ = made("Muon", False)
    walk(other, plain, range(4))
    assert_same(params, plain)


def test_kahan_is_captured_and_compiled_steps_are_the_same():
    ends = []
    for capturable, compiled in ((False, False), (True, False), (True, True)):
        torch._dynamo.reset()
        params = parameters(torch.bfloat16)
        optimizer = deva_torch.Muon(params, rounding="kahan", compute_dtype="float32", capturable=capturable)
        step = torch.compile(optimizer.step, backend="eager") if compiled else optimizer.step
        for t in range(3):
            gradients(t, params)
            step()
        ends.append(params)
    for found in ends[1:]:
        for p, q in zip(found, ends[0], strict=True):
            torch.testing.assert_close(p, q, rtol=2**-7, atol=2**-9)
    assert int(optimizer.state[params[0]]["step"]) == 3


class Wavering(Muon):
    """Says nothing of branches."""

    branches = Rule.branches


class WaveringVector(DeVAVector):
    """Likewise."""

    branches = Rule.branches


class Ranks:
    """In the place of a process group."""

    def size(self):
        return 2


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda p: deva_torch.DeVA(p, capturable=True), "DeVA, the rule of .*repeats one step.*torch.compile"),
        (lambda p: deva_torch.RuleOptimizer(p, Wavering(), capturable=True), "may call b.cond"),
        (lambda p: deva_torch.Muon(p, vector_rule=WaveringVector(), capturable=True), "the rule of 'group0.3'"),
        (lambda p: deva_torch.Muon(p, capturable=True, rounding="stochastic"), "seed.*kahan"),
        (lambda p: deva_torch.Muon(p, capturable=True, process_group=Ranks()), "ranks exchange parts"),
    ],
)
def test_what_cannot_be_captured_is_refused_and_says_why(make, advice):
    with pytest.raises(ValueError, match=f"capturable=True: .*{advice}"):
        make(parameters())


def test_a_refused_group_is_not_added():
    params = parameters()
    optimizer = deva_torch.Muon(params[:2], capturable=True)
    with pytest.raises(ValueError, match="capturable"):
        optimizer.add_param_group({"params": params[2:], "rule": DeVA()})
    assert len(optimizer.param_groups) == 1


def test_a_branch_on_a_tensor_is_refused_in_the_step():
    """Where the flag was set by hand, past the check."""
    params = parameters()
    optimizer = deva_torch.DeVA(params)
    optimizer.param_groups[0]["capturable"] = True
    with pytest.raises(RuntimeError, match="branches on a tensor"):
        walk(optimizer, params, range(1))


def test_a_capture_without_it_is_refused():
    """torch's optimizers do: the graph would repeat this step's count."""
    for capturable in (False, True):
        params, optimizer, _ = made("Muon", capturable)
        gradients(0, params)
        capturing = mock.patch("torch.cuda.is_current_stream_capturing", lambda: True)
        with mock.patch("torch.cuda.is_initialized", lambda: True), capturing:
            if capturable:
                optimizer.step()
                continue
            with pytest.raises(RuntimeError, match="construct the optimizer with capturable=True"):
                optimizer.step()
            assert not optimizer.state


def test_import_takes_the_count_over():
    params = parameters()
    peer = torch.optim.AdamW(params, capturable=False)
    gradients(0, params)
    peer.step()
    optimizer = deva_torch.RuleOptimizer(params, AdamW(), capturable=True)
    deva_torch.import_state(optimizer, peer, "adamw")
    assert isinstance(optimizer.state[params[0]]["step"], torch.Tensor)
    walk(optimizer, params, range(1, 2))
    exported = deva_torch.export_state(optimizer, peer, "adamw")
    assert float(exported["state"][0]["step"]) == 2.0
