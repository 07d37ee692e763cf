"""What only a device can show of torch: captured graphs, waits for the device, peak memory."""

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

from benchmarks.gpu import devices
from benchmarks.speed.sets import SETS, Shape, arrays, size

CAPTURABLE = ("Muon", "AdaGO", "AdamW", "DeVAVector")
RULES = (*CAPTURABLE, "DeVA")
STEPS = 30
SHAPES: list[Shape] = [(64, 64), (64, 64), (32, 128), (384, 1152), (48,)]


def parameters(shapes: list[Shape], seed: int = 0) -> list[Any]:
    """On the device, gradients with them."""
    import torch

    params = [torch.nn.Parameter(torch.from_numpy(W).to(devices.TORCH_DEVICE)) for W in arrays(shapes, seed)]
    give(params, shapes, seed + 1)
    return params


def give(params: list[Any], shapes: list[Shape], seed: int) -> None:
    """New values into the gradients, or new gradients."""
    import torch

    for p, G in zip(params, arrays(shapes, seed), strict=True):
        fresh = torch.from_numpy(G).to(p.device)
        p.grad = fresh if p.grad is None else p.grad.copy_(fresh)


def made(kind: str, params: list[Any], **options: Any) -> Any:
    """One of `deva_torch`'s optimizers."""
    import deva_torch

    return getattr(deva_torch, kind)(params, lr=0.02, **options)


def captured(optimizer: Any) -> Any:
    """A CUDA graph of one step, after three that warm up on a side stream."""
    import torch

    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            optimizer.step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        optimizer.step()
    return graph


def graph_error(kind: str, shapes: list[Shape], replays: int = 6) -> float:
    """How far repetitions of a captured step, each with other gradients, end from steps that Python makes.

    The largest distance over the distance walked, of any parameter.
    """
    ours, plain, begin = (parameters(shapes) for _ in range(3))
    graph, optimizer = captured(made(kind, ours, capturable=True)), made(kind, plain)
    for _ in range(3):
        optimizer.step()
    for k in range(replays):  # capturing makes no step
        give(ours, shapes, 10 + k)
        give(plain, shapes, 10 + k)
        graph.replay()
        optimizer.step()
    walked = [((p - q).norm() / (q - start).norm()).item() for p, q, start in zip(ours, plain, begin, strict=True)]
    return max(walked)


def waits(kind: str) -> dict[str, int]:
    """How often torch notices a wait for the device in twelve steps, by what it says; cuSOLVER's own it does not see."""
    import torch

    optimizer = made(kind, parameters(SHAPES))
    optimizer.step()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for _ in range(12):
                optimizer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    said = [f"{w.filename.rpartition('/')[2]}:{w.lineno}: {str(w.message).partition('(')[0].strip()}" for w in seen]
    return {text: said.count(text) for text in dict.fromkeys(said)}


def peak(make: Callable[[list[Any]], Any], shapes: list[Shape]) -> int:
    """Bytes that the third step needs besides parameters, gradients and state."""
    import torch

    params = parameters(shapes)
    optimizer = make(params)
    for _ in range(2):
        optimizer.step()
    torch.cuda.synchronize()
    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    optimizer.step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - held


def graph_times(name: str) -> dict[str, float]:
    """Medians in milliseconds of a step of Muon: by Python, by Python with `capturable`, and as a captured graph."""
    import torch

    def timed(step: Callable[[], Any]) -> float:
        found = []
        for _ in range(STEPS):
            torch.cuda.synchronize()
            begun = time.perf_counter()
            step()
            torch.cuda.synchronize()
            found.append(1e3 * (time.perf_counter() - begun))
        return statistics.median(found[3:])

    shapes = SETS[name]
    plain, capturable = (made("Muon", parameters(shapes), capturable=x) for x in (False, True))
    graph = captured(made("Muon", parameters(shapes), capturable=True))
    return {"plain": timed(plain.step), "capturable": timed(capturable.step), "graph": timed(graph.replay)}


def of_torch() -> dict[str, Any]:
    """Everything."""
    import torch

    import deva_torch

    peers = {"ours": deva_torch.Muon, "torch.optim.Muon": torch.optim.Muon}
    sets = ("nano", "many", "tall")
    found: dict[str, Any] = {
        "graph_errors": {kind: attempted(lambda kind=kind: graph_error(kind, SHAPES)) for kind in CAPTURABLE},
        "waits": {kind: attempted(lambda kind=kind: waits(kind)) for kind in RULES},
        "graph_ms": {name: attempted(lambda name=name: graph_times(name)) for name in sets},
    }
    found["peak_bytes"] = {
        name: {who: peak(make, SETS[name]) for who, make in peers.items()} | {"parameters": size(SETS[name])}
        for name in sets
    }
    return found


def attempted(measure: Callable[[], Any]) -> Any:
    """What is measured, or how that failed: the others are worth having."""
    try:
        return measure()
    except Exception as error:  # whatever a library raises on a device that this was not written on
        return {"error": f"{type(error).__name__}: {error}"}
