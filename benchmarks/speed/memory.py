"""Bytes: of state by rule, from real states; and of what a step allocates besides, from torch's own allocator."""

from collections.abc import Callable
from typing import Any

from benchmarks.speed.flops import one_thread
from benchmarks.speed.makers import Make, ours_torch, torch_optim
from benchmarks.speed.pairs import MUON, TORCH_MUON
from benchmarks.speed.sets import SETS, Shape, arrays, size

SLACK = 64
"""Bytes a parameter that no formula names: AdaGO's accumulator and DeVA's scale, 0-d step counters."""


def bases(m: int, n: int) -> float:
    """Covariance and basis of both sides, float32, bytes an entry of an m × n matrix."""
    return 8 * (m * m + n * n) / (m * n)


def one_side(m: int, n: int) -> float:
    """The same of the shorter side alone."""
    return 8 * min(m, n) / max(m, n)


def sums(m: int, n: int) -> float:
    """A number for each row and column."""
    return 4 * (m + n) / (m * n)


ONE_SIDED = 128
"""max_precondition_dim of the one-sided case: the short side of the shapes below."""
SHAPES: tuple[Shape, ...] = ((128, 128), (128, 512))
Bound = Callable[[int, int], float]
RULES: dict[str, tuple[Make, str, Bound]] = {
    "Muon": (ours_torch("Muon"), "4", lambda m, n: 4),
    "AdaGO": (ours_torch("AdaGO"), "4", lambda m, n: 4),
    "DeVA": (ours_torch("DeVA"), "8 + 8 (m² + n²) / mn", lambda m, n: 8 + bases(m, n)),
    "DeVA, factored": (
        ours_torch("DeVA", factored=True),
        "4 + 8 (m² + n²) / mn + 4 (m + n) / mn",
        lambda m, n: 4 + bases(m, n) + sums(m, n),
    ),
    "DeVA, long side left alone": (
        ours_torch("DeVA", max_precondition_dim=ONE_SIDED),
        "8 + 8 m / n for m < n",
        lambda m, n: 8 + (bases(m, n) if max(m, n) <= ONE_SIDED else one_side(m, n)),
    ),
    "DeVAVector": (ours_torch("DeVAVector"), "8", lambda m, n: 8),
    "AdamW": (ours_torch("AdamW"), "8", lambda m, n: 8),
    "torch.optim.Muon": (torch_optim("Muon"), "4", lambda m, n: 4),
    "torch.optim.AdamW": (torch_optim("AdamW"), "8", lambda m, n: 8),
}
"""Each rule's optimizer, and the documented bound in words and as a function of the shape: bytes a parameter."""


def state_bytes(make: Make, shape: Shape) -> int:
    """Of the tensors in the state of one parameter after a step."""
    import torch

    side = make([shape])
    side.give(arrays([shape], seed=1))
    side.step()
    state = side.optimizer.state[side.params[0]]
    return sum(x.numel() * x.element_size() for x in state.values() if isinstance(x, torch.Tensor))


def states(tick: Callable[[], None]) -> list[dict[str, Any]]:
    """Bytes of state a parameter, for each rule and shape, beside the documented bound."""
    rows = []
    for rule, (make, formula, bound) in RULES.items():
        for shape in SHAPES:
            row = {"rule": rule, "shape": list(shape), "formula": formula, "bound": bound(*shape)}
            rows.append({**row, "bytes_per_parameter": state_bytes(make, shape) / size([shape])})
        tick()
    return rows


def extra_bytes(run: Callable[[], Any]) -> int:
    """The most that was allocated at once during `run()`, beyond what was there before, by torch's CPU allocator.

    In one thread: the profiler does not see what others allocate.
    """
    from torch.profiler import ProfilerActivity, profile

    with one_thread(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events: Any = profiler.profiler
    changes = [(e.start_ns(), e.nbytes()) for e in events.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for _, change in sorted(changes, key=lambda event: event[0]):
        live += change
        peak = max(peak, live)
    return peak


def step_extra(make: Make, shapes: list[Shape]) -> int:
    """Of the second step: the first also makes the state."""
    side = make(shapes)
    for k in range(2):
        side.give(arrays(shapes, seed=k))
        if k == 0:
            side.step()
    return extra_bytes(side.step)


PEAKS = ("nano", "many", "tall")
PEAK_BOUND = 32
"""Bytes a parameter that a step of ours may need besides, at most, for sets of equal matrices."""


def peaks(tick: Callable[[], None]) -> list[dict[str, Any]]:
    """Bytes that a step needs besides parameters, gradients and state, ours and torch.optim.Muon's."""
    rows = []
    for name in PEAKS:
        shapes = SETS[name]
        ours, theirs = (step_extra(make, shapes) for make in (TORCH_MUON, torch_optim("Muon", **MUON)))
        parameters = size(shapes)
        rows.append({"set": name, "parameters": parameters, "ours": ours, "theirs": theirs})
        tick()
    return rows


POINTS = len(RULES) + len(PEAKS)
