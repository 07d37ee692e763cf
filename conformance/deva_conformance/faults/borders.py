"""Faults at the border of a run: gradients in, parameters and state out, steps."""

from collections.abc import Callable
from typing import Any

import numpy as np

from deva_conformance.faults.hooks import Arrays, Fault, each, field_of
from deva_core import AdaGO, AdamW, DeVA, DeVAVector
from deva_core.capabilities import Capabilities
from deva_core.parameter import fields

COMPILES = Capabilities(dtypes=("float64", "float32"), compiled=True)


def finite(X: Any) -> bool:
    """Whether an array has no NaN or infinity."""
    return bool(np.all(np.isfinite(np.asarray(X, dtype=np.float64))))


def present(grads: Arrays) -> Arrays:
    """Without the missing."""
    return {n: G for n, G in grads.items() if G is not None}


def missing_as_zero(grads: Arrays, run: Any) -> Arrays:
    """Zeros where nothing was given."""
    return {n: np.zeros_like(W) if grads.get(n) is None else grads[n] for n, W in run.inner.params.items()}


def none_as_zero(grads: Arrays, run: Any) -> Arrays:
    """Zeros for None; absent ones are left alone."""
    return {n: np.zeros_like(run.inner.params[n]) if G is None else G for n, G in grads.items()}


def previous_for_missing(grads: Arrays, run: Any) -> Arrays:
    """The last gradient again where none was given."""
    run.memory.update({n: np.array(G) for n, G in present(grads).items()})
    return dict(run.memory)


def nan_everywhere(grads: Arrays, run: Any) -> Arrays:
    """One bad gradient spoils all, as a global norm does."""
    bad = not all(finite(G) for G in present(grads).values())
    return {n: np.full_like(G, np.nan) if bad else G for n, G in present(grads).items()}


def skip_if_nan(grads: Arrays, run: Any) -> Arrays | None:
    """As a gradient scaler does: no step at all."""
    return grads if all(finite(G) for G in present(grads).values()) else None


def skipped_alone(grads: Arrays, run: Any) -> Arrays:
    """A parameter whose gradient is not finite is left out, in silence."""
    return {n: G for n, G in present(grads).items() if finite(G)}


def written(grads: Arrays, run: Any) -> Arrays:
    """Doubled where they are."""
    for G in present(grads).values():
        if G.flags.writeable:
            G *= G.dtype.type(2)
    return grads


def twins_swapped(grads: Arrays, run: Any) -> Arrays:
    """Gradients of parameters of one shape, each handed to the next."""
    names: dict[tuple, list[str]] = {}
    for n, G in present(grads).items():
        names.setdefault(np.shape(G), []).append(n)
    return {n: grads[m] for group in names.values() for n, m in zip(group, group[1:] + group[:1], strict=True)}


def last_of_many(grads: Arrays, run: Any) -> Arrays:
    """From the third parameter of a shape on, the gradient of the second: a loop variable captured late."""
    seen: dict[tuple, list[str]] = {}
    out = {}
    for n, G in present(grads).items():
        names = seen.setdefault(np.shape(G), [])
        names.append(n)
        out[n] = grads[names[min(len(names) - 1, 1)]]
    return out


def clipped_together(grads: Arrays, run: Any) -> Arrays:
    """Clipped by the global norm."""
    total = np.sqrt(sum(float(np.sum(np.asarray(G, dtype=np.float64) ** 2)) for G in present(grads).values()))
    factor = min(1.0, 2.0 / total) if total > 0 else 1.0
    return {n: (G * factor).astype(G.dtype) for n, G in present(grads).items()}


def shortened_row(G: np.ndarray) -> np.ndarray:
    """The first row at half."""
    G = G.copy()
    if G.ndim > 1:
        G[..., 0, :] *= G.dtype.type(0.5)
    return G


def noisy(grads: Arrays, run: Any) -> Arrays:
    """A little noise, another each time, as of stochastic rounding."""
    random = np.random.default_rng()
    return {n: (G * (1 + 1e-3 * random.standard_normal(G.shape))).astype(G.dtype) for n, G in present(grads).items()}


def stale(grads: Arrays, run: Any) -> Arrays:
    """The gradients of the step before."""
    old = run.memory.get("grads", grads)
    run.memory["grads"] = {n: np.array(G) for n, G in present(grads).items()}
    return old


def by_memory(grads: Arrays, run: Any) -> Arrays:
    """Entries read in the order of memory."""
    return {n: np.ravel(G, order="K").reshape(G.shape) for n, G in present(grads).items()}


CALLS = {"count": 0}
"""A state that outlives runs."""


def across_runs(grads: Arrays, run: Any) -> Arrays:
    """Something kept in the module: runs see each other."""
    CALLS["count"] += 1
    factor = 1 + 1e-3 * (CALLS["count"] % 7)
    return {n: (G * factor).astype(G.dtype) for n, G in present(grads).items()}


def lost_every(k: int) -> Callable[[Arrays, Any], Arrays | None]:
    """Each k-th step is lost."""
    return lambda grads, run: None if run.calls % k == 0 else grads


def counted_but_lost(params: Arrays, run: Any) -> Arrays:
    """Update 10 is counted, and its parameters forgotten."""
    if run.calls == 9:
        run.memory["kept"] = params
    return run.memory["kept"] if run.calls == 10 else params


def alive(what: str) -> Callable[[Any, Any], Any]:
    """The same array each time, written into in place."""

    def hook(arrays: Any, run: Any) -> Any:
        kept = run.memory.setdefault(what, arrays)
        for n, X in arrays.items():
            for k, x in X.items() if isinstance(X, dict) else [(None, X)]:
                if isinstance(x, np.ndarray):
                    target = kept[n] if k is None else kept[n][k]
                    np.copyto(target, x)
        return kept

    return hook


def live_state(state: Any, run: Any) -> Any:
    """The very arrays that it works with."""
    return {n: {"step": s.step, **fields(s.state)} for n, s in run.inner._state.slots.items()}


def cast_state(dtype: Any) -> Callable[[Any, Any], Any]:
    """State in another dtype."""
    return lambda state, run: {
        n: {k: x.astype(dtype) if isinstance(x, np.ndarray) else x for k, x in s.items()} for n, s in state.items()
    }


def with_transposed(grads: Arrays, run: Any) -> Arrays:
    """m×n matrices batched with transposed n×m ones, the first row of the latter lost."""
    shapes = {np.shape(G) for G in present(grads).values()}
    out = dict(grads)
    for n, G in present(grads).items():
        if G.ndim == 2 and G.shape[0] > G.shape[1] > 1 and G.shape[::-1] in shapes:
            out[n] = G * (np.arange(len(G)) > 0)[:, None].astype(G.dtype)
    return out


def square_stacks(G: np.ndarray) -> np.ndarray:
    """Batch and columns confused where both could be meant."""
    return np.swapaxes(G, -1, -2) if G.ndim == 3 and G.shape[-1] == G.shape[-2] else G


def widened(params: Arrays, run: Any) -> Arrays:
    """float64 out."""
    return {n: W.astype(np.float64) for n, W in params.items()}


def without(name: str) -> Callable[[Any, Any], Any]:
    """A field missing from the state."""
    return lambda state, run: {n: {k: x for k, x in s.items() if k != name} for n, s in state.items()}


FAULTS = {
    "missing-as-zero": Fault(about="missing gradients as zero", law="missing-gradient", given=missing_as_zero),
    "none-as-zero": Fault(
        about="None as zero, absent left alone", law="missing-gradient", on=AdamW, given=none_as_zero
    ),
    "missing-repeated": Fault(
        about="a missing gradient is the last one", law="missing-gradient", given=previous_for_missing
    ),
    "nan-spreads": Fault(about="NaN spreads", law="independence", on=AdamW, given=nan_everywhere),
    "nan-skips-all": Fault(about="a NaN skips everybody's step", law="independence", on=DeVAVector, given=skip_if_nan),
    "nan-hidden": Fault(about="NaN left out in silence", law="independence", given=skipped_alone),
    "nan-repaired": Fault(about="NaN as zero", law="independence", on=AdaGO, given=each(np.nan_to_num)),
    "written": Fault(about="gradients written", law="purity", given=written),
    "twins-swapped": Fault(about="twins swapped", law="independence", on=AdamW, given=twins_swapped),
    "late-closure": Fault(about="the third of a shape moves as the second", law="missing-gradient", given=last_of_many),
    "clipped-together": Fault(about="clipped by the global norm", law="independence", on=AdaGO, given=clipped_together),
    "entries-clipped": Fault(about="entries clipped", law="rotation", given=each(lambda G: np.clip(G, -1, 1))),
    "first-row": Fault(about="first row at half", law="permutation", given=each(shortened_row)),
    "first-of-stack": Fault(
        about="a stack moves as its first matrix",
        law="batched",
        given=each(lambda G: np.broadcast_to(G[:1], G.shape) if G.ndim == 3 else G),
    ),
    "stack-reversed": Fault(
        about="a stack's matrices in the wrong order",
        law="batched",
        given=each(lambda G: G[::-1] if G.ndim == 3 else G),
    ),
    "with-transposed": Fault(about="twins m×n and n×m in one batch", law="transposition", given=with_transposed),
    "square-stacks": Fault(about="stacks of squares transposed", law="batched", given=each(square_stacks)),
    "extra-field": Fault(
        about="a field too many in the state",
        law="dtype-and-shape",
        on=AdamW,
        state=lambda S, run: {n: {**s, "max_exp_avg_sq": s["exp_avg_sq"]} for n, s in S.items()},
    ),
    "transposed-square": Fault(
        about="square gradients transposed",
        law="oracle",
        given=each(lambda G: G.T if G.ndim == 2 and G.shape[0] == G.shape[1] else G),
    ),
    "zero-to-nan": Fault(
        about="0 / 0", law="zero-gradient", on=DeVA, given=each(lambda G: G if np.any(G) else np.full_like(G, np.nan))
    ),
    "zero-kicked": Fault(
        about="a tiny push where the gradient is zero",
        law="zero-gradient",
        on=AdamW,
        given=each(lambda G: G if np.any(G) else G + 1e-8),
    ),
    "flushed": Fault(
        about="tiny gradients flushed", law="scale", given=each(lambda G: np.where(np.abs(G) < 1e-8, 0, G))
    ),
    "flushed-deep": Fault(
        about="gradients below 1e-20 flushed",
        law="scale",
        on=DeVA,
        given=each(lambda G: np.where(np.abs(G) < 1e-20, 0, G)),
    ),
    "saturated": Fault(about="gradients above 1e15 cut", law="scale", given=each(lambda G: np.clip(G, -1e15, 1e15))),
    "half-gradients": Fault(
        about="gradients through float16", law="oracle", on=AdamW, given=each(lambda G: G.astype(np.float16))
    ),
    "single-gradients": Fault(
        about="float64 gradients through float32", law="oracle", given=each(lambda G: G.astype(np.float32))
    ),
    "noise": Fault(about="another result each time", law="determinism", given=noisy),
    "across-runs": Fault(about="runs share a counter", law="determinism", on=AdaGO, given=across_runs),
    "stale-gradient": Fault(about="the last step's gradient", law="oracle", on=DeVAVector, given=stale),
    "by-memory": Fault(about="entries in the order of memory", law="strides", given=by_memory),
    "by-memory-start": Fault(
        about="initial parameters in the order of memory",
        law="strides",
        started=lambda P: {n: np.ravel(W, order="K").reshape(W.shape) for n, W in P.items()},
    ),
    "tenth-lost": Fault(about="each tenth step lost", law="long-run", given=lost_every(10)),
    "second-lost": Fault(about="each second step lost", law="oracle", on=AdamW, given=lost_every(2)),
    "tenth-forgotten": Fault(about="step 10 counted, not made", law="long-run", params=counted_but_lost),
    "late-decay-of-precision": Fault(
        about="float16 from step 8 on",
        law="long-run",
        on=DeVAVector,
        given=lambda G, run: each(lambda X: X.astype(np.float16))(G, run) if run.calls > 7 else G,
    ),
    "half-parameters": Fault(
        about="parameters through float16", law="oracle", params=each(lambda W: W.astype(np.float16))
    ),
    "widened": Fault(about="float64 out for float32 in", law="dtype-and-shape", params=widened),
    "flattened": Fault(
        about="vectors for 1×n matrices",
        law="dtype-and-shape",
        params=lambda P, run: {n: W.ravel() if 1 in W.shape else W for n, W in P.items()},
    ),
    "half-state": Fault(about="state in float16", law="dtype-and-shape", state=cast_state(np.float16)),
    "no-step": Fault(about="no step in the state", law="dtype-and-shape", on=AdamW, state=without("step")),
    "state-renamed": Fault(
        about="another framework's names",
        law="dtype-and-shape",
        state=lambda S, run: {
            n: {k.replace("momentum", "momentum_buffer"): x for k, x in s.items()} for n, s in S.items()
        },
    ),
    "state-sign": Fault(about="momentum reported negated", law="oracle", state=field_of("momentum", lambda M: -M)),
    "params-alive": Fault(about="parameters handed out alive", law="purity", on=AdamW, params=alive("params")),
    "state-alive": Fault(about="state handed out alive", law="purity", on=AdamW, state=alive("state")),
    "state-live": Fault(about="writing to the state handed out is felt", law="purity", state=live_state),
}
