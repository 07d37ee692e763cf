"""Optimizers of each framework behind one `Side`: parameters of their own, gradients given, one finished step."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.speed import flops
from benchmarks.speed.sets import Shape, arrays

DEVICE = "cpu"
"""torch's, which `--device` sets. JAX computes on its own default, of the same kind (`machine.use`)."""

SEED = 0
"""Of the parameters: both sides of a pair start from the same values."""


class TorchSide:
    """A `torch.optim.Optimizer`; `make` is given the list of parameters."""

    def __init__(self, make: Callable[[list[Any]], Any], shapes: list[Shape]) -> None:
        import torch

        self.params = [torch.nn.Parameter(torch.from_numpy(W).to(DEVICE)) for W in arrays(shapes, SEED)]
        self.optimizer = make(self.params)

    def give(self, gradients: list[np.ndarray]) -> None:
        """Fresh tensors: some peers write into gradients."""
        import torch

        for p, G in zip(self.params, gradients, strict=True):
            p.grad = torch.from_numpy(G).to(DEVICE, copy=True)
        wait()

    def step(self) -> None:
        """One step, waited for."""
        self.optimizer.step()
        wait()

    def flops(self, gradients: list[np.ndarray]) -> int | None:
        """Operations of the products of one step, counted in the second: the first may also set up."""
        self.give(gradients)
        self.step()
        self.give(gradients)
        return flops.torch_count(self.step)

    def compile(self) -> float | None:
        """Nothing to compile."""
        return None


class JaxSide:
    """An optax transformation and `apply_updates`, compiled together; parameters and state are donated."""

    def __init__(self, optimizer: Any, shapes: list[Shape]) -> None:
        import jax
        import optax

        self.params = named(arrays(shapes, SEED))
        self.state = jax.jit(optimizer.init)(self.params)

        def stepped(params: Any, state: Any, grads: Any) -> Any:
            updates, state = optimizer.update(grads, state, params)
            return optax.apply_updates(params, updates), state

        self.stepped = stepped
        self.grads = named(arrays(shapes, SEED))

    def compile(self) -> float | None:
        """Trace, lower and compile the step; the seconds that it took."""
        import jax

        begun = time.perf_counter()
        self.compiled = jax.jit(self.stepped, donate_argnums=(0, 1)).lower(*self.arguments()).compile()
        return time.perf_counter() - begun

    def arguments(self) -> tuple[Any, Any, Any]:
        """Of a step."""
        return self.params, self.state, self.grads

    def give(self, gradients: list[np.ndarray]) -> None:
        """Fresh arrays on the device."""
        import jax

        self.grads = jax.block_until_ready(named(gradients))

    def step(self) -> None:
        """One step, waited for."""
        import jax

        self.params, self.state = jax.block_until_ready(self.compiled(*self.arguments()))

    def flops(self, gradients: list[np.ndarray]) -> int | None:
        """Operations of the products of one step, counted in its jaxpr."""
        import jax

        return flops.jaxpr_count(jax.make_jaxpr(self.stepped)(*self.arguments()).jaxpr)


class NumpySide:
    """Any `advance(gradients)` over NumPy arrays, and the operations of its products where they are known."""

    def __init__(self, advance: Callable[[list[np.ndarray]], None], operations: int | None = None) -> None:
        self.advance, self.operations = advance, operations
        self.gradients: list[np.ndarray] = []

    def give(self, gradients: list[np.ndarray]) -> None:
        """Copies."""
        self.gradients = [G.copy() for G in gradients]

    def step(self) -> None:
        """One step."""
        self.advance(self.gradients)

    def flops(self, gradients: list[np.ndarray]) -> int | None:
        """As given: NumPy has nothing that counts."""
        return self.operations

    def compile(self) -> float | None:
        """Nothing to compile."""
        return None


def wait() -> None:
    """Until torch's device has done what it was asked to."""
    if DEVICE != "cpu":
        import torch

        torch.cuda.synchronize()


def named(values: list[np.ndarray]) -> dict[str, Any]:
    """JAX arrays under names whose order is the list's."""
    import jax.numpy as jnp

    return {f"p{k:04}": jnp.array(x) for k, x in enumerate(values)}


def deva_numpy_side(rule: Any, shapes: list[Shape]) -> NumpySide:
    """`deva_numpy.Optimizer`, pure: it returns new parameters and states."""
    from deva_numpy import Optimizer

    optimizer = Optimizer(rule)
    live: dict[str, Any] = {"params": arrays(shapes, SEED)}
    live["state"] = optimizer.init(live["params"])

    def advance(gradients: list[np.ndarray]) -> None:
        live["params"], live["state"] = optimizer.step(live["params"], gradients, live["state"])

    return NumpySide(advance)
