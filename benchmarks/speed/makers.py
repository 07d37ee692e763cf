"""What makes a side of each framework from shapes, with the hyperparameters that both sides of a pair share."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks.speed.flops import oriented, plain
from benchmarks.speed.published_numpy import SingleDeviceMuon
from benchmarks.speed.sets import Shape, arrays
from benchmarks.speed.sides import SEED, JaxSide, NumpySide, TorchSide, deva_numpy_side

LR, DECAY = 1e-3, 0.1
"""The same on both sides, and not zero, so that the decay is computed."""

BASES: dict[str, Any] = dict(lr=3e-3, betas=(0.95, 0.95), eps=1e-8, weight_decay=0.01, precondition_frequency=10)
"""The defaults of DeVA's and SOAP's authors."""

Make = Callable[[list[Shape]], Any]
"""A side over parameters of these shapes."""


def torch_side(make: Callable[..., Any], **options: Any) -> Make:
    """A torch optimizer with these options."""
    return lambda shapes: TorchSide(lambda params: make(params, **options), shapes)


def ours_torch(name: str, **options: Any) -> Make:
    """A class of `deva_torch`."""

    def make(params: list[Any]) -> Any:
        import deva_torch

        return getattr(deva_torch, name)(params, **options)

    return partial(TorchSide, make)


def torch_optim(name: str, **options: Any) -> Make:
    """A class of `torch.optim`."""

    def make(params: list[Any]) -> Any:
        import torch

        return getattr(torch.optim, name)(params, **options)

    return partial(TorchSide, make)


def deva_in_dialect(shapes: list[Shape]) -> TorchSide:
    """DeVA as its authors' code computes it."""
    from deva_core import DeVA
    from deva_torch import RuleOptimizer

    beta1, beta2 = BASES["betas"]
    shared = {name: value for name, value in BASES.items() if name != "betas"}
    rule = DeVA.dialect("authors", beta1=beta1, beta2=beta2, **shared)
    return TorchSide(lambda params: RuleOptimizer(params, rule, compute_dtype="bfloat16"), shapes)


def ours_jax(name: str, **options: Any) -> Make:
    """A factory of `deva_jax`."""

    def make(shapes: list[Shape]) -> JaxSide:
        import deva_jax

        return JaxSide(getattr(deva_jax, name)(**options), shapes)

    return make


def optax_muon(shapes: list[Shape], precision: str | None = "highest") -> JaxSide:
    """optax's Muon, its products in the precision of its arrays; None: as JAX chooses, which on GPUs is TF32."""
    import jax
    import optax

    peer = optax.contrib.muon(LR, weight_decay=DECAY)

    def update(grads: Any, state: Any, params: Any) -> Any:
        with jax.default_matmul_precision(precision):
            return peer.update(grads, state, params)

    return JaxSide(optax.GradientTransformation(peer.init, update), shapes)


def optax_adamw(shapes: list[Shape]) -> JaxSide:
    """optax's AdamW."""
    import optax

    return JaxSide(optax.adamw(LR, weight_decay=DECAY), shapes)


def vector_layout(name: str, shape: Shape) -> str:
    """Every parameter is under the vector rule."""
    return "vector"


def numpy_ours(shapes: list[Shape]) -> NumpySide:
    """`deva_numpy.Optimizer` with Muon."""
    from deva_core import Muon

    return deva_numpy_side(Muon(lr=LR, weight_decay=DECAY), shapes)


def numpy_published(shapes: list[Shape]) -> NumpySide:
    """The published Muon in NumPy."""
    operations = sum(plain(*oriented(shape)) for shape in shapes)
    return NumpySide(SingleDeviceMuon(arrays(shapes, SEED), lr=LR, weight_decay=DECAY).step, operations)


def vector_adamw() -> Any:
    """The vector half of our Muon, with AdamW's settings of the pair."""
    from deva_core import AdamW

    return AdamW(lr=LR, weight_decay=DECAY)


@contextmanager
def unwarned() -> Iterator[None]:
    """Without the warning that Muon was given no matrices, which is intended here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*was given no matrices")
        yield


def our_vector_half(shapes: list[Shape]) -> TorchSide:
    """`deva_torch.Muon` whose parameters all go to its AdamW."""

    def make(params: list[Any]) -> Any:
        import deva_torch

        return deva_torch.Muon(params, lr=LR, vector_rule=vector_adamw(), layout=vector_layout)

    with unwarned():
        return TorchSide(make, shapes)


def our_jax_vector_half(shapes: list[Shape]) -> JaxSide:
    """`deva_jax.muon` whose leaves all go to its AdamW."""
    import deva_jax

    with unwarned():
        return JaxSide(deva_jax.muon(LR, vector_rule=vector_adamw(), layout=vector_layout), shapes)
