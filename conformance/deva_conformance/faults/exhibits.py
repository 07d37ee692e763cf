"""How the bugs of the museum work."""

from collections.abc import Callable
from typing import Any

import numpy as np

from deva_conformance.faults.borders import present
from deva_conformance.faults.hooks import Arrays, each
from deva_conformance.faults.operations import bits
from deva_conformance.faults.rules import Momentum
from deva_core import AdaGO, Layout, Muon
from deva_core.elementwise import ema
from deva_core.linalg import frobenius, polar


class RawGradient(Momentum):
    """optax#1170."""

    def direction(self, G, M, b):
        """Of the gradient, not of the momentum."""
        return polar(G, self.orthogonalization, b)


class HeavyBall(Momentum):
    """KellerJordan/Muon#52."""

    def average(self, G, S, t, b):
        """A sum."""
        return self.momentum * S.momentum + G


class AliasedBuffer(Momentum):
    """pytorch#194664."""

    def average(self, G, S, t, b):
        """The buffer comes out normalised, as the iteration divides it in place."""
        M = super().average(G, S, t, b)
        return M if self.nesterov else M / (frobenius(M, b) + 1e-7)


class FixedTriple(Momentum):
    """HeavyBall, D2's table: its own coefficients, whatever was asked for."""

    def direction(self, G, M, b):
        """Quintic."""
        how = self.orthogonalization._replace(steps=((1.875, -1.25, 0.375),) * self.ns_steps)
        return polar(self.ahead(G, M, b), how, b)


class Plain(Momentum):
    """DeepSpeed#8441."""

    def direction(self, G, M, b):
        """SGD."""
        return self.ahead(G, M, b)


class ClippedUpdate(Momentum):
    """DeepSpeed#7713."""

    def change(self, O, W, b):
        """Clipped to a norm of 1 after orthogonalisation."""
        return super().change(O / b.xp.clip(frobenius(O, b), 1.0, None), W, b)


class ImmediateDecay(Momentum):
    """tinygrad 0.13, the other way: decay by the parameter that the step has already moved."""

    def change(self, O, W, b):
        """After the step."""
        moved = W - self.lr * self.shape_factor(W) * O
        return moved * (1 - self.lr * self.weight_decay) - W


class NesterovAccumulator(AdaGO):
    """kozistr AdaGO with nesterov: the norm of the lookahead."""

    def update(self, G, S, W, t, b):
        """The accumulator takes in N."""
        delta, new = super().update(G, S, W, t, b)
        N = self.momentum * new.momentum + (1 - self.momentum) * G
        c = b.xp.clip(frobenius(N, b), None, self.max_norm)
        return delta, new._replace(accumulator=S.accumulator + b.xp.reshape(c * c, S.accumulator.shape))


class NarrowAccumulator(AdaGO):
    """kozistr AdaGO: the accumulator in the parameter's dtype, bfloat16."""

    def update(self, G, S, W, t, b):
        """Eight bits."""
        delta, new = super().update(G, S, W, t, b)
        return delta, new._replace(accumulator=bits(new.accumulator, 8))


class WarmOnly(Momentum):
    """Mid-training switches: NorMuon#4-like dtype casts on the fly, here a momentum kept in half."""

    def average(self, G, S, t, b):
        """A momentum of 11 bits."""
        return bits(ema(S.momentum, G, self.momentum, b), 11)


def through_half_first(G: np.ndarray) -> np.ndarray:
    """DeepSpeed's gram path: float16 before the norm."""
    with np.errstate(all="ignore"):
        return G.astype(np.float16)


def overwritten(grads: Arrays, run: Any) -> Arrays:
    """The gradient becomes the lookahead, in place."""
    for G in present(grads).values():
        if G.flags.writeable:
            G *= G.dtype.type(0.95)
    return {n: (G / G.dtype.type(0.95)).astype(G.dtype) for n, G in present(grads).items()}


def needs_contiguous(grads: Arrays, run: Any) -> Arrays:
    """`.view` on an array that is not contiguous."""
    if not all(G.flags.c_contiguous for G in present(grads).values()):
        raise RuntimeError("view size is not compatible with input tensor's size and stride")
    return grads


def kernel_scale(params: Arrays, run: Any) -> Arrays:
    """A kernel's step scaled by its spatial axes instead of its matrix."""
    for name, W in params.items():
        if W.ndim == 4:
            start = run.initial[name]
            params[name] = start + (W - start) * W.dtype.type(0.53)
    return params


def first_rank_gathered(params: Arrays, run: Any) -> Arrays:
    """`p[i:i + rank]`: every parameter but the first gets the first one's of its shape."""
    first: dict[tuple, np.ndarray] = {}
    return {n: first.setdefault(W.shape, W).copy() for n, W in params.items()}


def whole_fused(options: dict) -> dict:
    """Fused blocks orthogonalised as one matrix."""
    layout = {n: "out in" if isinstance(v, Layout) else v for n, v in (options.get("layout") or {}).items()}
    return {**options, "layout": layout} if layout else options


def raw_kernels(options: dict) -> dict:
    """Kernels read as `(out, in)` by position."""
    layout = {n: "out in kh kw" if v == "kh kw in out" else v for n, v in (options.get("layout") or {}).items()}
    return {**options, "layout": layout} if layout else options


def scheduled_matrix_half(rule: Any) -> Any:
    """Only one half is scheduled."""
    return rule if isinstance(rule, Muon) or not callable(rule.lr) else rule.with_values(lr=rule.lr(0))


def traced(n: int) -> Callable[[Any, Any], Any]:
    """Count a trace each step, as a wrapper on the instance does that is never used."""

    def hook(params: Any, run: Any) -> Any:
        run.traces = n * run.calls
        return params

    return hook


def other_when(option: str, value: Any) -> Callable[[Arrays, Any], Arrays]:
    """Another arithmetic on one path."""

    def hook(grads: Arrays, run: Any) -> Arrays:
        wrong = run.options.get(option, True) is not value
        return each(lambda G: bits(G, 8))(grads, run) if wrong else grads

    return hook


class ClippedNorm(Momentum):
    """optax aol/schatten: the squared norm clipped at 1e-8."""

    def direction(self, G, M, b):
        """Shorter for small gradients."""
        N = self.ahead(G, M, b)
        return polar(N, self.orthogonalization, b) * b.xp.clip(frobenius(N, b) / 1e-4, None, 1.0)


def sum_over_columns(X: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """A norm without keepdim: the wrong axis where batch and columns agree."""
    s = np.sum(X, axis=axis, keepdims=keepdims)
    return np.roll(s, 1, axis=0) if s.ndim > 2 and axis == (-2, -1) else s


def sized(n: int) -> Any:
    """Updates above a size in another order."""
    return each(lambda G: np.where(np.abs(G) >= 6e2, 0, G))
