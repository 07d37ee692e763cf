"""`torch.compile` of a step: one graph, traced once, whatever schedules and counts do; the same steps."""

import pytest

import deva_core

torch = pytest.importorskip("torch")
deva_torch = pytest.importorskip("deva_torch")
testing = pytest.importorskip("torch._dynamo.testing")

EXACT = 1e-9
"""Relative to the distance walked, in float64: numbers become tensors, which rounds them nowhere here."""


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Linear(5, 5), torch.nn.Conv1d(1, 2, 3)).double()


def train(name, backend, steps=6, **options):
    """The model, its optimizer and how often a step was traced."""
    torch._dynamo.reset()
    net, counter = model(), backend and testing.CompileCounterWithBackend(backend)
    if getattr(deva_core, name).matrix:
        options["layout"] = {"2.weight": "out in k"}
    optimizer = getattr(deva_torch, name)(net.named_parameters(), **options)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1 / (1 + k))
    step = torch.compile(optimizer.step, backend=counter) if backend else optimizer.step
    x = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)
    for _ in range(steps):
        optimizer.zero_grad()
        net[2](net[1](net[0](x))[:, None]).square().sum().backward()
        step()
        scheduler.step()
    return net, optimizer, counter


def graphs(counter):
    """How many were made; torch counts empty ones, for functions of its own, when a compiler's cache is cold."""
    return sum(len(found.graph.nodes) > 0 for found in counter.graphs)


@torch.no_grad()
def apart(net, other):
    pairs = zip(net.parameters(), other.parameters(), model().parameters(), strict=True)
    return max(float((a - b).norm() / (b - start).norm()) for a, b, start in pairs)


@pytest.mark.parametrize("name", ["Muon", "AdaGO", "DeVA"])
def test_a_compiled_step_is_one_graph_traced_once_and_the_same_step(name):
    options = {"precondition_frequency": 3} if name == "DeVA" else {}
    net, optimizer, counter = train(name, "eager", **options)
    plain, same, _ = train(name, None, **options)
    assert graphs(counter) == 1
    assert apart(net, plain) < EXACT
    found, expected = optimizer.state_dict(), same.state_dict()
    assert found["param_groups"] == expected["param_groups"]
    assert [s["step"] for s in found["state"].values()] == [6] * len(found["state"])
    torch.testing.assert_close(found["state"], expected["state"], rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch's own, of its own code
def test_a_compiler_takes_the_graph():
    net, _, counter = train("AdamW", "inductor", steps=3)
    assert graphs(counter) == 1
    assert apart(net, train("AdamW", None, steps=3)[0]) < EXACT


def test_kahan_is_traced_and_random_rounding_stays_outside():
    for rounding, traced in (("kahan", 1), ("stochastic", 0)):
        torch._dynamo.reset()
        p, counter = (
            torch.nn.Parameter(torch.ones(4, 4, dtype=torch.bfloat16)),
            testing.CompileCounterWithBackend("eager"),
        )
        optimizer = deva_torch.Muon([p], rounding=rounding, compute_dtype="float32")
        p.grad = torch.eye(4, dtype=torch.bfloat16)
        torch.compile(optimizer.step, backend=counter)()
        assert graphs(counter) == traced, rounding
        assert not torch.equal(p, torch.ones_like(p))


@pytest.mark.parametrize("kind", ["Muon", "AdaGO", "DeVA"])
def test_a_compiled_step_keeps_float64_scalars(kind):
    """Parameters and state fields without axes: torch 2.13 loses what a graph writes into such inputs."""
    ends = []
    for backend in (None, "aot_eager"):
        torch._dynamo.reset()
        g = torch.Generator().manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(s, generator=g, dtype=torch.float64)) for s in ((4, 3), (3,), ())]
        optimizer = getattr(deva_torch, kind)(params)
        step = torch.compile(optimizer.step, backend=backend) if backend else optimizer.step
        for _ in range(3):
            for p in params:
                p.grad = torch.randn(p.shape, generator=g, dtype=torch.float64)
            step()
        states = [x for slot in optimizer.state.values() for x in slot.values() if isinstance(x, torch.Tensor)]
        ends.append([p.detach() for p in params] + states)
    for eager, compiled in zip(*ends, strict=True):
        assert eager.shape == compiled.shape
        torch.testing.assert_close(eager, compiled, rtol=1e-12, atol=1e-12)
