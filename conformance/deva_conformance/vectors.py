"""Test vectors: steps to check an implementation against that no Python runs in.

    python -m deva_conformance vectors --out DIR

One safetensors file for each case, complete in itself, and `vectors.json`, which says the same in words. Values are the
oracle's, intermediate results too; budgets are the kit's own (`deva_conformance.tolerance`). docs/vectors.md describes both.
"""

import hashlib
import inspect
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import array_api_compat.numpy as numpy
import numpy as np

from deva_conformance import oracle
from deva_conformance.cases import Problem, Shape
from deva_conformance.laws._steps import values
from deva_conformance.oracle.matrix import table
from deva_conformance.physical import physical, wide
from deva_conformance.tolerance import DOUBLE, SINGLE, THRESHOLD, exported, norm, rule_state, step_spread
from deva_core import Backend, Rule, hyperparameters
from deva_core.hyperparameter import plain

FORMAT = 1
STEPS = 3
BUDGETS = {"float64": DOUBLE, "float32": SINGLE}
MATRICES: tuple[tuple[str, Shape, float], ...] = (
    ("gaussian", (4, 4), 1.0),
    ("gaussian", (5, 3), 1.0),
    ("gaussian", (3, 5), 1.0),
    ("rank_one", (3, 4), 1.0),
    ("zero", (3, 4), 1.0),
    ("gaussian", (3, 4), 2.0**30),
    ("gaussian", (3, 4), 2.0**-30),
)
"""Families of gradients, shapes and scales."""
ARRAYS: tuple[tuple[str, Shape, float], ...] = (
    ("gaussian", (5,), 1.0),
    ("gaussian", (2, 3), 1.0),
    ("zero", (5,), 1.0),
    ("gaussian", (5,), 2.0**30),
    ("gaussian", (5,), 2.0**-30),
)
"""The same for rules of arrays of any shape."""

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Vector:
    """A rule, by its dialect or the paper's way, and gradients for it."""

    rule: Rule
    problem: Problem
    dialect: str = ""

    @property
    def name(self) -> str:
        """The name of its file."""
        p, exponent = self.problem, int(np.log2(self.problem.scale))
        shape = "x".join(map(str, p.shape))
        scale = [f"2^{exponent}"] if exponent else []
        return "-".join([type(self.rule).__name__, *filter(None, [self.dialect]), p.family, shape, *scale]).lower()


def vectors(rules: Sequence[type[Rule]], seed: int) -> Iterator[Vector]:
    """Every rule on all inputs, every dialect that determines its result on one."""
    for rule in rules:
        made = [Problem(*given, seed, "float32") for given in (MATRICES if rule.matrix else ARRAYS)]
        yield from (Vector(rule().with_values(weight_decay=0.125), problem) for problem in made)
        for name in rule.DIALECTS:
            dialect = rule.dialect(name)
            if getattr(dialect, "basis", "") != "eigh":  # these leave their bases to LAPACK
                yield Vector(dialect, made[1], name)


def stored(fields: Any) -> dict[str, np.ndarray]:
    """A state that float32 holds, so that every implementation begins at the same numbers."""
    return {name: np.asarray(x).astype(np.float32).astype(np.float64) for name, x in fields.items()}


def steps(vector: Vector) -> Iterator[Tensors]:
    """The tensors of each step, which begins where the one before arrived, to float32."""
    rule, p = vector.rule, vector.problem
    b, W = Backend(xp=numpy), wide(p.weights())
    state = rule.init(W, b)
    for t in range(1, STEPS + 1):
        G, fields = wide(p.gradient(t - 1)), stored(state._asdict())
        delta, state = rule.update(G, rule_state(rule, fields, numpy), W, t, b)
        after = exported(state)
        trace: Tensors = {}
        asked = oracle.Step(values(rule), physical(fields), W, G, t, after, trace=trace)
        expected = oracle.step(type(rule).__name__, asked)
        expected.pop("basis_defect", None)
        yield {
            **prefixed("before", {"W": W, **{name: x for name, x in physical(fields).items() if x.size}}),
            "gradient": G,
            **prefixed("intermediate", {**trace, "delta": expected["W"] - W}),
            **prefixed("expected", expected),
            **budgets(rule, fields, W, G, t, expected),
        }
        W = stored({"W": W + delta})["W"]


def budgets(rule: Rule, fields: Tensors, W: np.ndarray, G: np.ndarray, t: int, expected: Tensors) -> Tensors:
    """How far, in the Euclidean norm, each result may be from the expected one in each arithmetic."""
    made = {}
    for dtype, u in BUDGETS.items():
        sigma = step_spread(rule, fields, W, G, t, u)
        allowed = {name: THRESHOLD * max(sigma[name], u * norm(x)) for name, x in expected.items()}
        made |= prefixed(f"budget/{dtype}", {name: np.array(float(f"{x:.2e}")) for name, x in allowed.items()})
    return made


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    """The tensors in a folder."""
    return {f"{prefix}/{name}": x for name, x in tensors.items()}


def numbers(rule: Rule) -> Tensors:
    """The hyperparameters that are numbers; the Newton–Schulz triples, one a step."""
    found = {name: getattr(rule, name) for name, h in hyperparameters(rule).items() if h.numeric}
    for name, x in values(rule).items():
        if name not in found and isinstance(x, bool | int | float):
            found[name] = x
    triples = getattr(rule, "ns_coefficients", "exact")
    if triples != "exact":
        found["ns_coefficients"] = table(triples, values(rule)["ns_steps"])
    return {name: np.array(x, dtype=np.float64) for name, x in found.items()}


def tensors(vector: Vector) -> Tensors:
    """All of a file."""
    made = prefixed("hyper", numbers(vector.rule))
    for t, found in enumerate(steps(vector), 1):
        made |= prefixed(f"step{t}", found)
    return {name: np.ascontiguousarray(x, dtype="<f8") if x.ndim else x for name, x in made.items()}


def described(vector: Vector) -> dict[str, Any]:
    """What a file is, in words."""
    rule, p = vector.rule, vector.problem
    return {
        "rule": type(rule).__name__,
        "dialect": vector.dialect or None,
        "hyperparameters": {name: plain(x) for name, x in values(rule).items()},
        "gradients": {"family": p.family, "shape": list(p.shape), "scale": p.scale, "seed": p.seed},
        "steps": STEPS,
    }


def formula(rule: type[Rule]) -> str:
    """The algorithm box."""
    return inspect.cleandoc(inspect.getdoc(inspect.getmodule(rule)) or "")


def write(folder: Path, rules: Sequence[type[Rule]], seed: int = 0) -> dict[str, Any]:
    """Write the files; returns what `vectors.json` holds.

    Raises:
        ValueError: a rule that the oracle does not know.
    """
    from safetensors.numpy import save

    if unknown := [rule.__name__ for rule in rules if rule.__name__ not in oracle.KNOWN]:
        raise ValueError(f"the oracle does not know {', '.join(unknown)}")
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for vector in vectors(rules, seed):
        words = described(vector)
        data = save(tensors(vector), {"deva_vectors": json.dumps({"format": FORMAT, **words}, sort_keys=True)})
        file = f"{vector.name}.safetensors"
        (folder / file).write_bytes(data)
        files[file] = {**words, "sha256": hashlib.sha256(data).hexdigest()}
    index = {
        "format": FORMAT,
        "seed": seed,
        "formulas": {rule.__name__: formula(rule) for rule in rules},
        "files": files,
    }
    (folder / "vectors.json").write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return index
