"""The papers again: one step of each rule in NumPy float64, by another route than the rules take.

Imports nothing of ours. A Newton–Schulz polynomial is applied to singular values; moments are kept in true units and
DeVA's momentum in the original space; stacks of matrices are taken one by one.

State is *physical*: what the paper's letters stand for, with no internal scale (`deva_conformance.physical`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deva_conformance.oracle import deva, elementwise, matrix

MATRIX = {"Muon": matrix.muon, "AdaGO": matrix.adago, "DeVA": deva.step}
VECTOR = {"DeVAVector": elementwise.deva_vector, "AdamW": elementwise.adamw}
KNOWN = (*MATRIX, *VECTOR)
"""Names of the rules that the oracle knows."""


@dataclass(frozen=True)
class Step:
    """One step to predict: everything in float64, `state` and `after` physical.

    `after` is the state that the backend reached: DeVA's oracle takes its bases from there, where the published rule
    leaves them open. `unit_roundoff` is the working dtype's: the numerical rank depends on it. Intermediate results go into
    `trace`, where there is one; of a stack, those of its last matrix.
    """

    hyper: Mapping[str, Any]
    state: Mapping[str, np.ndarray]
    W: np.ndarray
    G: np.ndarray
    t: int
    after: Mapping[str, np.ndarray] = field(default_factory=dict)
    unit_roundoff: float = 2.0**-53
    trace: dict[str, np.ndarray] | None = None

    def note(self, **intermediate: Any) -> None:
        """Keep intermediate results, if someone asks for them."""
        if self.trace is not None:
            self.trace.update({name: np.array(x, dtype=np.float64) for name, x in intermediate.items()})

    def matrix(self, index: tuple[int, ...]) -> "Step":
        """The step of one matrix of a stack."""
        state = {name: x[index] for name, x in self.state.items()}
        after = {name: x[index] for name, x in self.after.items()}
        return Step(self.hyper, state, self.W[index], self.G[index], self.t, after, self.unit_roundoff, self.trace)


def step(rule: str, s: Step) -> dict[str, np.ndarray]:
    """The parameter (`"W"`) and the physical state after one step of the rule of this name."""
    if rule in VECTOR:
        return VECTOR[rule](s)
    batch = s.W.shape[:-2]
    parts = [MATRIX[rule](s.matrix(index)) for index in np.ndindex(*batch)]
    return {name: np.stack([p[name] for p in parts]).reshape((*batch, *np.shape(x))) for name, x in parts[0].items()}


def initial(hyper: Mapping[str, Any], fields: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The physical state before the first step, in the shapes of `fields`: zero, bases the axes, v² its first value."""
    state = {}
    for name, x in fields.items():
        if name.endswith("_basis"):
            state[name] = np.broadcast_to(np.eye(x.shape[-1]), x.shape)
        else:
            state[name] = np.full(x.shape, hyper["initial_accumulator_value"] if name == "accumulator" else 0.0)
    return state
