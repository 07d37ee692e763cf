"""A step of each rule on one parameter, by library, with and without replacements."""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.gpu import devices
from deva_core import AdaGO, DeVA, Muon, Rule

SHAPES = ((1024, 1024), (1024, 4096), (64, 128, 512), (4, 1024, 1024))
RULES = (Muon(), AdaGO(), DeVA())
Stepper = tuple[Callable[[], None], Callable[[], Any]]
"""One step, and the wait for all that was enqueued."""


def torch_stepper(rule: Rule, W: np.ndarray, G: np.ndarray, compute_dtype: str, replacements: bool) -> Stepper:
    """A step of `deva_torch` on one parameter."""
    import torch

    from deva_torch import RuleOptimizer

    p = torch.nn.Parameter(torch.tensor(W, device=devices.TORCH_DEVICE))
    p.grad = torch.tensor(G, device=devices.TORCH_DEVICE)
    optimizer = RuleOptimizer([("w", p)], rule, layout="... out in", compute_dtype=compute_dtype)
    optimizer.replacements = replacements
    return optimizer.step, getattr(torch, devices.TORCH_DEVICE).synchronize


def jax_stepper(rule: Rule, W: np.ndarray, G: np.ndarray, compute_dtype: str, replacements: bool) -> Stepper:
    """A compiled step of `deva_jax` on one parameter."""
    import jax
    import optax

    from deva_jax import transform

    optimizer = transform(rule, layout="... out in", compute_dtype=compute_dtype, replacements=replacements)
    live = {"params": {"w": jax.numpy.array(W)}}
    live["state"], grads = optimizer.init(live["params"]), {"w": jax.numpy.array(G)}

    @jax.jit
    def advanced(params: Any, state: Any, grads: Any) -> Any:
        updates, state = optimizer.update(grads, state, params)
        return {"params": optax.apply_updates(params, updates), "state": state}

    return lambda: live.update(advanced(**live, grads=grads)), lambda: jax.block_until_ready(live)


def cupy_stepper(rule: Rule, W: np.ndarray, G: np.ndarray, compute_dtype: str, replacements: bool) -> Stepper:
    """A step of `deva_cupy` on one parameter."""
    import cupy  # pyright: ignore[reportMissingImports]

    from deva_cupy import Optimizer

    optimizer = Optimizer(rule, None, "... out in", compute_dtype=compute_dtype, replacements=replacements)
    live: dict[str, Any] = {"params": {"w": cupy.asarray(W)}}
    live["state"], grads = optimizer.init(live["params"]), {"w": cupy.asarray(G)}

    def step() -> None:
        live["params"], live["state"] = optimizer.step(live["params"], grads, live["state"])

    return step, cupy.cuda.Device().synchronize


def reads_back(rule: Rule) -> str:
    """Whether CuPy itself notices a wait for the device in the second step of `deva_cupy`; it does not see cuSOLVER's."""
    import cupyx  # pyright: ignore[reportMissingImports]

    W = np.random.default_rng(0).normal(size=(64, 96)).astype(np.float32)
    step, wait = cupy_stepper(rule, W, W, "auto", True)
    step()
    wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CuPy may remove this check one day, and says so
        with cupyx.allow_synchronize(False):
            try:
                step()
            except cupyx.DeviceSynchronized as error:
                return f"yes: {error}"
    return "none seen"


def all_reads_back() -> dict[str, str]:
    """By rule."""
    return {type(rule).__name__: reads_back(rule) for rule in RULES}


STEPPERS = {"torch": torch_stepper, "jax": jax_stepper, "cupy": cupy_stepper}


def timed(stepper: Stepper, steps: int) -> dict[str, float]:
    """Medians over steps, after three that warm up (compilation, memory pools, DeVA's first bases)."""
    step, wait = stepper
    held, whole = [], []
    for k in range(steps + 3):
        wait()
        begun = time.perf_counter()
        step()
        enqueued = time.perf_counter()
        wait()
        if k >= 3:
            held.append(enqueued - begun)
            whole.append(time.perf_counter() - begun)
    return {"enqueue_ms": 1e3 * statistics.median(held), "step_ms": 1e3 * statistics.median(whole), "steps": steps}


def timings(library: str, steps: int, shapes: Any = SHAPES) -> Iterator[dict[str, Any]]:
    """Every rule and shape in float32, with float32 and automatic products, with and without replacements (JAX has none)."""
    r = np.random.default_rng(0)
    for rule in RULES:
        for shape in shapes:
            W, G = (r.normal(size=shape).astype(np.float32) for _ in range(2))
            for compute_dtype in ("float32", "auto"):
                for replacements in (True,) if library == "jax" else (True, False):
                    case = {"rule": type(rule).__name__, "shape": shape, "compute_dtype": compute_dtype}
                    try:
                        figures = timed(STEPPERS[library](rule, W, G, compute_dtype, replacements), steps)
                    except Exception as error:  # one combination that fails must not hide the others
                        figures = {"error": f"{type(error).__name__}: {error}"}
                    yield {**case, "replacements": replacements, **figures}
