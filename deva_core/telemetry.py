"""Telemetry: what a step did to each parameter, in a few numbers, computed only inside `observe()`.

The rules know nothing of it. An observed step runs them on a backend whose `polar` and `descent` record what they compute;
the other numbers come from what `update` returns. The step is the same, bit for bit.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, NamedTuple

from deva_core.backend import Array, Backend
from deva_core.elementwise import descent, or_one
from deva_core.linalg import max_abs, mean, parameter_axes, polar, transpose

PROBES = 8
"""The number of probe vectors for a polar factor. With at most that many rows or columns the error is exact."""

PRIME = 46337
"""The largest prime whose residues' products fit in 32 bits, so that every library computes the same signs."""

WEYL = round(PRIME * (5**0.5 - 1) / 2)
"""The golden ratio modulo this prime: its multiples by squares are spread evenly."""


class Telemetry(NamedTuple):
    """One parameter's step in seven numbers: 0-d arrays of its library, in working precision and on its device.

    A number that a rule does not have is NaN. For several matrices (blocks, heads, experts) it covers all of them.

    `update_rms`: the root mean square of the change's entries, decay included, before the parameter is rounded.
    `effective_lr`: the factor of the direction: lr times the shape factor in Muon and DeVA, α in AdaGO, lr in a vector rule
    (the mean over matrices).
    `orthogonality_error`: the root mean square of σ² - 1 over the singular values σ of the polar factor (of the worst
    matrix); exact up to 8 rows or columns, otherwise estimated from 8 fixed vectors.
    `momentum_rms`: the root mean square of the momentum's entries, in units of the gradient.
    `momentum_cosine`: the cosine of the angle between the step (-change) and the momentum.
    `second_moment_min`, `second_moment_max`: the range of V, in units of the gradient squared.

    Example:
        >>> import numpy as np
        >>> from deva_core import Muon, Optimizer, observe
        >>> optimizer, params = Optimizer(Muon(lr=0.1, ns_coefficients="exact")), {"weight": np.eye(4)}
        >>> with observe() as seen:
        ...     params, state = optimizer.step(params, {"weight": 3 * np.eye(4)}, optimizer.init(params))
        >>> {name: round(float(x), 6) for name, x in seen["weight"]._asdict().items()}  # doctest: +NORMALIZE_WHITESPACE
        {'update_rms': 0.05, 'effective_lr': 0.1, 'orthogonality_error': 0.0, 'momentum_rms': 0.075,
         'momentum_cosine': 1.0, 'second_moment_min': nan, 'second_moment_max': nan}
    """

    update_rms: Array
    effective_lr: Array
    orthogonality_error: Array
    momentum_rms: Array
    momentum_cosine: Array
    second_moment_min: Array
    second_moment_max: Array


_observer: ContextVar[dict[str, Telemetry] | None] = ContextVar("observer", default=None)


@contextmanager
def observe() -> Iterator[dict[str, Telemetry]]:
    """Record the `Telemetry` of every step in this context, in any host, in the dict it yields, by parameter name.

    Outside the context no telemetry is computed. Inside, no value is read from a device until you read it. A later step
    overwrites an earlier one's entry. Under `jax.jit` open the context inside the jitted function and return the dict.

    Example:
        >>> import numpy as np
        >>> from deva_core import AdamW, Optimizer, observe
        >>> optimizer, params = Optimizer(AdamW(lr=lambda count: 0.01)), {"bias": np.zeros(3)}
        >>> with observe() as seen:
        ...     params, state = optimizer.step(params, {"bias": np.ones(3)}, optimizer.init(params))
        >>> round(float(seen["bias"].effective_lr), 6)
        0.01
    """
    seen: dict[str, Telemetry] = {}
    token = _observer.set(seen)
    try:
        yield seen
    finally:
        _observer.reset(token)


def watched(b: Backend) -> Backend:
    """The backend with this context's observer, if there is one. Hosts call this once per step."""
    seen = _observer.get()
    return b if seen is None else replace(b, observer=seen)


class Look:
    """What one update computes on the way: its step length and its polar factor's error; NaN until recorded."""

    def __init__(self, W: Array, b: Backend) -> None:
        unknown = b.zeros(W.shape[:-2], W) + float("nan")
        self.b, self.dtype, self.batch, self.unknown, self.shown = b, W.dtype, W.shape[:-2], unknown, (unknown, unknown)

    def backend(self) -> Backend:
        """The same backend, recording."""
        looks = {"polar": self.polar, "descent": self.descent}
        return replace(self.b, observer=None, cond=self.cond, replacements={**self.b.replacements, **looks})

    def unseen(self, b: Backend) -> Backend:
        """A rule's backend without the recording."""
        return replace(b, replacements=self.b.replacements)

    def polar(self, X: Array, how: Any, b: Backend) -> Array:
        """`deva_core.linalg.polar`, with its error recorded."""
        O = polar(X, how, self.unseen(b))
        self.shown = self.shown[0], orthogonality_error(b.xp.astype(O, self.dtype, copy=False), b)
        return O

    def descent(self, direction: Array, length: Any, W: Array, decay: Any, b: Backend) -> Array:
        """`deva_core.elementwise.descent`, with its length recorded."""
        like = b.zeros((*self.batch, *(1 for _ in parameter_axes(W))), W) + length
        self.shown = b.xp.reshape(mean(like, b), self.batch), self.shown[1]
        return descent(direction, length, W, decay, self.unseen(b))

    def cond(self, predicate: Any, true: Callable, false: Callable, *operands: Any) -> Any:
        """The backend's `cond`. Branches also return what they recorded: under tracing, values leave a branch only so."""
        before = self.shown

        def showing(branch: Callable) -> Callable:
            def run(*operands: Any) -> Any:
                self.shown = before
                return branch(*operands), self.shown

            return run

        out, self.shown = self.b.cond(predicate, showing(true), showing(false), *operands)
        return out


def observed(rule: Any, G: Array, S: Any, W: Array, t: Any, b: Backend) -> tuple[Array, Any, Telemetry]:
    """`rule.update` and its telemetry, whose shape is W's without the axes of a matrix (or vector)."""
    look = Look(W, b)
    delta, S = rule.update(G, S, W, t, look.backend())
    (M, V), (lr, error) = rule.moments(S, b), look.shown
    length, momentum, cosine = rms(delta, b), look.unknown, look.unknown
    if M is not None:
        momentum = rms(M, b)
        cosine = -mean((delta / or_one(length, b)) * (M / or_one(momentum, b)), b)
    low, high = (look.unknown, look.unknown) if V is None else (extreme(V, f, b) for f in (b.xp.min, b.xp.max))
    return delta, S, Telemetry(*(b.xp.reshape(x, look.batch) for x in (length, lr, error, momentum, cosine, low, high)))


def extreme(V: Array, function: Callable, b: Backend) -> Array:
    """The least or largest entry of each matrix (or of a vector)."""
    return function(V, axis=parameter_axes(V)) if V.ndim else V + 0.0  # a new array: states may be written in place


def rms(X: Array, b: Backend) -> Array:
    """The root mean square of each matrix (or of a vector), axes kept, without overflow or underflow."""
    size = max_abs(X, b)
    return size * b.xp.sqrt(mean((X / or_one(size, b)) ** 2, b))


def orthogonality_error(O: Array, b: Backend) -> Array:
    """The root mean square of σ² - 1 over the singular values of each matrix: ‖(O Oᵀ - I) P‖ / ‖P‖."""
    X = O if O.shape[-2] <= O.shape[-1] else transpose(O, b)
    P = b.zeros((*X.shape[:-2], 1, 1), X) + probes(X.shape[-2], X, b)
    Y = b.matmul(X, b.matmul(transpose(X, b), P)) - P
    return b.xp.sqrt(b.xp.sum(Y * Y, axis=(-2, -1)) / b.xp.sum(P * P, axis=(-2, -1)))


def probes(n: int, like: Array, b: Backend) -> Array:
    """Probe vectors `(n, 8)` of ±1, the same in every library: binary digits of a pseudo-random sequence. Up to 8, the axes."""
    if n <= PROBES:
        return b.eye(n, like)
    xp, device = b.xp, b.device_of(like)
    rows = xp.arange(n, dtype=xp.int32, device=device) % PRIME
    places = 2 ** xp.arange(PROBES, dtype=xp.int32, device=device)
    digits = (((rows * rows) % PRIME * WEYL) % PRIME)[:, None] * places % PRIME
    ones = b.zeros(digits.shape, like) + 1.0
    return xp.where(2 * digits < PRIME, ones, -ones)


def gathered(parts: Sequence[Telemetry], sizes: Sequence[int], b: Backend) -> Telemetry:
    """A parameter's telemetry from that of its blocks, each a stack of matrices; `sizes`: the number of entries of each."""
    if len(parts) == 1 and parts[0].update_rms.ndim == 0:
        return parts[0]
    xp, every = b.xp, Telemetry(*(flattened(column, b) for column in zip(*parts, strict=True)))
    counts = [math.prod(part.update_rms.shape) for part in parts]
    shares = [n / k / sum(sizes) for n, k in zip(sizes, counts, strict=True)]
    weights = flattened([xp.ones_like(part.update_rms) * s**0.5 for part, s in zip(parts, shares, strict=True)], b)
    updates, momenta = every.update_rms * weights, every.momentum_rms * weights
    lengths = [rms(x, b) * sum(counts) ** 0.5 for x in (updates, momenta)]
    products = updates / or_one(lengths[0], b) * (momenta / or_one(lengths[1], b))
    return Telemetry(
        update_rms=xp.reshape(lengths[0], ()),
        effective_lr=xp.mean(every.effective_lr),
        orthogonality_error=xp.max(every.orthogonality_error),
        momentum_rms=xp.reshape(lengths[1], ()),
        momentum_cosine=xp.sum(products * every.momentum_cosine),
        second_moment_min=xp.min(every.second_moment_min),
        second_moment_max=xp.max(every.second_moment_max),
    )


def flattened(arrays: Sequence[Array], b: Backend) -> Array:
    """The entries of all arrays in one vector."""
    return b.xp.concat([b.xp.reshape(x, (-1,)) for x in arrays])
