"""The thresholds of the cost models on a GPU, each tried on both sides: which choice is quicker, by shape."""

import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.gpu import devices
from benchmarks.speed.alternating import alternate

COUNT = 16
SIDES = (64, 128, 256, 512, 1024, 2048, 4096)
FORMS = (128, 256, 384, 512, 768, 1024, 2048)
RATIOS = (1.5, 2, 4)
LOOPED = (64, 256, 1024)
ROUNDS = 15


class Waited:
    """A side of `alternate`: a function, and the wait for what it enqueued."""

    def __init__(self, run: Callable[[], Any], wait: Callable[[], Any]) -> None:
        self.run, self.wait = run, wait

    def give(self, gradients: Any) -> None:
        """Nothing new; the device is idle when the clock starts."""
        self.wait()

    def step(self) -> None:
        """One, finished."""
        self.run()
        self.wait()


def alternating(steps: dict[str, Callable[[], Any]], wait: Callable[[], Any]) -> dict[str, float]:
    """Medians of milliseconds, one step of each in turn."""
    sides = {name: Waited(step, wait) for name, step in steps.items()}
    times = alternate(sides, range(ROUNDS + 2), ROUNDS, warm_up=2).rounds
    return {name: 1e3 * statistics.median(found) for name, found in times.items()}


def torch_step(shape: tuple[int, int], count: int, **costs: Any) -> Callable[[], Any]:
    """A step of Muon on equal matrices, under other costs than the default's."""
    import torch

    import deva_torch
    from deva_torch._backend import default_costs

    params = [torch.nn.Parameter(torch.randn(shape, device=devices.TORCH_DEVICE)) for _ in range(count)]
    for p in params:
        p.grad = torch.randn(shape, device=devices.TORCH_DEVICE)
    optimizer = deva_torch.Muon(params)
    optimizer.costs = replace(default_costs(devices.TORCH_DEVICE, torch.bfloat16), **costs)
    return optimizer.step


def of_torch() -> list[dict[str, Any]]:
    """Stacks or one by one, for square matrices; plain or Gram, by ratio."""
    import torch

    wait, rows = torch.cuda.synchronize, []
    for n in SIDES:
        steps = {name: torch_step((n, n), COUNT, stacked_rows=rows) for name, rows in (("stacks", 2**20), ("alone", 0))}
        rows.append({"question": "stacked_rows", "shape": (n, n), "count": COUNT, **alternating(steps, wait)})
    for n in FORMS:
        for ratio in RATIOS:
            shape = (n, int(n * ratio))
            steps = {form: torch_step(shape, COUNT, form=form) for form in ("plain", "gram")}
            rows.append({"question": "form", "shape": shape, "count": COUNT, **alternating(steps, wait)})
    return rows


def of_jax() -> list[dict[str, Any]]:
    """Matrices of a stack batched, or in a loop."""
    import jax

    from benchmarks.speed.sides import named
    from deva_jax import muon
    from deva_jax._stack import Stacking

    rows = []
    for n in LOOPED:
        params = named([np.random.default_rng(k).standard_normal((n, n), dtype=np.float32) for k in range(COUNT)])
        steps: dict[str, Callable[[], Any]] = {}
        for name, loop in (("batched", False), ("loop", True)):
            with patch.object(Stacking, "loops", lambda self, leaf, loop=loop: loop):
                optimizer = muon(0.02)
                arguments = params, optimizer.init(params), params
                compiled = jax.jit(optimizer.update).lower(*arguments).compile()
            steps[name] = lambda run=compiled, x=arguments: jax.block_until_ready(run(*x))
        rows.append({"question": "loops", "shape": (n, n), "count": COUNT, **alternating(steps, lambda: None)})
    return rows


def of_cupy() -> list[dict[str, Any]]:
    """bfloat16 stacks widened to one batched float32 product, or multiplied one by one."""
    import cupy  # pyright: ignore[reportMissingImports]

    from deva_cupy._backend import bfloat16, one_by_one

    rows = []
    for n in SIDES:
        A = cupy.random.standard_normal((COUNT, n, n), dtype=cupy.float32).astype(bfloat16())
        steps = {
            "widened": lambda A=A: (A.astype(cupy.float32) @ A.astype(cupy.float32)).astype(A.dtype),
            "one by one": lambda A=A: one_by_one(A, A),
        }
        timed = alternating(steps, cupy.cuda.Device().synchronize)
        rows.append({"question": "WORTH_A_LAUNCH", "shape": (n, n), "count": COUNT, **timed})
    return rows


TRIED = {"torch": of_torch, "jax": of_jax, "cupy": of_cupy}
