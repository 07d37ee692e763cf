"""What laws share: runs, single steps before and after, comparison with the oracle and of twins."""

import inspect
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from deva_conformance import oracle
from deva_conformance.cases import FULL_RANK, Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Broken, NotSupported
from deva_conformance.physical import physical, wide
from deva_conformance.precision import tell
from deva_conformance.tolerance import THRESHOLD, half_ulp, norm, ratio, step_spread, unit_roundoff
from deva_core import Rule, hyperparameters
from deva_core.costs import Costs
from deva_core.vector_half import vector_half

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Moment:
    """A run's parameters and state at one time, copied."""

    params: Arrays
    state: dict[str, dict[str, Any]]


def copied(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Own copies, whatever the backend hands out."""
    return {k: copied(v) if isinstance(v, Mapping) else np.array(v) for k, v in mapping.items()}


def moment(run: Any) -> Moment:
    """The run as it is now."""
    return Moment(copied(run.params), copied(run.state))


def ask_for(subject: Subject, **options: Any) -> dict[str, Any]:
    """Options of `start` beyond the plain ones, if it takes them."""
    try:
        parameters = inspect.signature(subject.start).parameters
    except (TypeError, ValueError):  # compiled callables have none to read
        return options
    free = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    missing = [name for name in options if name not in parameters and not free]
    if missing:
        raise NotSupported(f"start takes no {', '.join(missing)}")
    return options


def begin(subject: Subject, rule: Rule, params: Arrays, **options: Any) -> Any:
    """A run over own copies of the parameters."""
    return subject.start(rule, copied(params), **options)


def steps(subject: Subject, case: Case, rule: Rule | None = None) -> Iterator[tuple[int, Moment, Arrays, Moment]]:
    """A case's run: `(k, before, gradients, after)` for each step."""
    run = begin(subject, rule or case.rule, case.params())
    before = moment(run)
    for k in range(case.steps):
        grads = case.gradients(k)
        run.step(copied(grads))
        after = moment(run)
        yield k, before, grads, after
        before = after


def walk(subject: Subject, rule: Rule, params: Arrays, grads: list[Arrays], **options: Any) -> Moment:
    """Where a run ends."""
    run = begin(subject, rule, params, **options)
    for g in grads:
        run.step(copied(g))
    return moment(run)


@dataclass(frozen=True)
class Reference:
    """A plain run of a case: the moment before each step and at the end, and the checkpoint of the middle."""

    moments: tuple[Moment, ...]
    checkpoint: bytes | None
    traces: int | None

    @property
    def end(self) -> Moment:
        """Where it ends."""
        return self.moments[-1]


def middle(case: Case) -> int:
    """After how many steps a reference saves its state."""
    return case.steps // 2


def reference(subject: Subject, case: Case) -> Reference:
    """The plain run of a case, made once for each subject: several laws compare another run with it."""
    if case not in subject.memory:
        run = begin(subject, case.rule, case.params())
        moments, saved = [moment(run)], None
        for k in range(case.steps):
            run.step(case.gradients(k))
            moments.append(moment(run))
            if k + 1 == middle(case) and hasattr(run, "save"):
                saved = saved_bytes(run)
        subject.memory[case] = Reference(tuple(moments), saved, getattr(run, "traces", None))
    return subject.memory[case]


def saved_bytes(run: Any) -> bytes:
    """What `Run.save` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        run.save(path)
        return path.read_bytes()


def load_bytes(run: Any, data: bytes) -> None:
    """`Run.load` from a file of these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        path.write_bytes(data)
        run.load(path)


def same(label: str, x: Mapping[str, Any], y: Mapping[str, Any]) -> None:
    """Bit-identical mappings of arrays."""
    for name in x:
        need(name in y, f"{label} {name} is missing")
        if isinstance(x[name], Mapping):
            same(f"{label} {name}", x[name], y[name])
        else:
            equal(f"{label} {name}", np.asarray(x[name]), np.asarray(y[name]))


def same_moment(label: str, x: Moment, y: Moment) -> None:
    """Bit-identical parameters and state."""
    same(f"{label}: parameter", x.params, y.params)
    same(f"{label}: state of", x.state, y.state)


def well_posed(case: Case) -> Case:
    """The case; where the bases are the published ones, with square problems of full rank, for which they are defined."""
    if getattr(case.rule, "basis", "") != "eigh":
        return case
    kept = []
    for p in case.problems:
        family = p.family if p.family in FULL_RANK else FULL_RANK[p.seed % len(FULL_RANK)]
        shape = p.shape if len(p.shape) < 2 else (*p.shape[:-2], 4, 4)
        kept.append(replace(p, family=family, shape=shape))
    return replace(case, problems=tuple(kept))


def rule_for(rule: Rule, shape: tuple[int, ...]) -> Rule:
    """The rule that a parameter of this shape gets: without two axes, the vector rule beside `rule`."""
    return rule if len(shape) >= 2 else vector_half(rule)


def values(rule: Rule) -> dict[str, Any]:
    """A rule's hyperparameters as a plain dict."""
    return {name: getattr(rule, name) for name in hyperparameters(rule)}


def need(condition: bool, cause: str) -> None:
    """Raise `Broken` unless the condition holds."""
    if not condition:
        raise Broken(cause)


def within(label: str, worst: float) -> float:
    """The ratio, if it is one that honest rounding reaches."""
    need(worst <= THRESHOLD, f"{label} off by {worst:.3g} times the expected rounding error (at most {THRESHOLD:g})")
    return worst


def judged(label: str, actual: np.ndarray, value: np.ndarray, sigma: float, dtype: Any, stored: bool) -> float:
    """The ratio of one result of a step, if it is one that honest rounding reaches.

    `stored`: in the dtype itself, which may be narrower than the arithmetic.
    """
    u, ignore = unit_roundoff(dtype), half_ulp(value, dtype) if stored else 0.0
    found = ratio(actual, value, sigma, u, ignore)
    if not np.any(ignore) and norm(value):
        tell(np.dtype(dtype).name, found, sigma / (u * norm(value)))
    return within(label, found)


def equal(label: str, x: Any, y: Any) -> None:
    """Bit-identical, NaN where NaN."""
    x, y = np.asarray(x), np.asarray(y)
    same = x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes()
    if not same and x.shape == y.shape and x.dtype == y.dtype:
        same = bool(np.all((x == y) | ((x != x) & (y != y))))  # -0.0 equals 0.0
    need(same, f"{label} differ in {difference(x, y)}")


def difference(x: np.ndarray, y: np.ndarray) -> str:
    """How two arrays that should be identical differ, in words."""
    if x.shape != y.shape or x.dtype != y.dtype:
        return f"{x.dtype}{x.shape} and {y.dtype}{y.shape}"
    a, b = wide(x), wide(y)
    return f"{int(np.sum(a != b))} of {a.size} entries, by at most {np.max(np.abs(a - b), initial=0.0):.3g}"


def against_oracle(
    costs: Costs,
    rule: Rule,
    name: str,
    before: Moment,
    G: np.ndarray,
    after: Moment,
    label: str = "",
    scheduled: bool = False,
) -> float:
    """One step of one parameter, from the backend's own state, against the oracle. Returns the worst ratio.

    `costs`: the subject's, whose form of Newton–Schulz the due rounding error is.
    """
    W, fields, reached = before.params[name], before.state[name], after.state[name]
    kind = next((c.__name__ for c in type(rule).__mro__ if c.__name__ in oracle.KNOWN), None)
    if kind is None:
        raise NotSupported(f"the oracle does not know {type(rule).__name__}")
    u, t = unit_roundoff(W.dtype), int(fields["step"]) + 1
    need(int(reached["step"]) == t, f"{name}.step is {reached['step']} after update {t}")
    final = physical(reached)
    expected = predicted(kind, oracle.Step(values(rule), physical(fields), wide(W), wide(G), t, final, u), name)
    sigma = step_spread(rule, fields, W, G, t, u, costs, scheduled)
    defect = float(np.max(expected.pop("basis_defect", np.zeros(()))))
    within(f"{label}{name} basis at update {t}", defect / (30 * max(W.shape[-2:], default=1) * u) * THRESHOLD)
    worst = 0.0
    for field, value in expected.items():
        stored = field == "W"
        actual = wide(after.params[name]) if stored else final[field]
        what = f"{label}{name} {'parameter' if stored else field} at update {t}"
        worst = max(worst, judged(what, actual, value, sigma[field], W.dtype, stored))
    return worst


def predicted(kind: str, step: oracle.Step, name: str) -> Arrays:
    """The oracle's step; a state that it cannot read is the backend's fault."""
    try:
        return oracle.step(kind, step)
    except (IndexError, KeyError, ValueError) as error:
        shapes = ", ".join(f"{field} {x.shape}" for field, x in step.state.items())
        raise Broken(f"{name} has a state of other fields or shapes than documented: {shapes}") from error


def twins(label: str, x: np.ndarray, y: np.ndarray, sigma: float, dtype: Any, steps: int = 1) -> float:
    """Two honest results of one computation: each may err by σ, and at each step by a rounding to a narrow dtype."""
    x, y = wide(x), wide(y)
    ignore = steps * (half_ulp(x, dtype) + half_ulp(y, dtype))
    u = unit_roundoff(dtype)
    return within(label, ratio(x, y, max(np.sqrt(2) * sigma, u * norm(y)), u, ignore))
