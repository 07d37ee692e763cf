"""The committed trajectories: where runs end under this specification version.

`python -m tests.trajectories` computes them anew, in NumPy by `deva_core.Optimizer`, and writes tests/golden/trajectories.json.
It refuses while runs end elsewhere and `deva_core.SPECIFICATION` is that of the file: such a change needs a version first
(docs/versioning.md).
"""

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from deva_conformance.tolerance import DOUBLE, THRESHOLD, ratio, run_spread
from deva_core import RULES, SPECIFICATION, AdaGO, DeVA, Muon, Optimizer, Rule
from deva_core.parameter import stacks_of_out_in

FILE = Path(__file__).parent / "golden" / "trajectories.json"
STEPS = 12
SHAPES = {"wide": (3, 5), "tall": (5, 3), "vector": (4,)}
CONFIGURATIONS = [
    *(rule() for rule in RULES),
    Muon(nesterov=False, scale="rms", weight_decay=0.1, lr=lambda count: 0.02 / (1 + count)),
    AdaGO(nesterov=True, scale="original", ns_coefficients="exact", max_norm=2.0),
    DeVA(statistics="gradient", precondition_frequency=3),
    DeVA(factored=True, scale="spectral", refresh_phase=2),
    DeVA(sign_stabilization=True, max_precondition_dim=4),
]
RUNS = {f"{k} {type(rule).__name__}": rule for k, rule in enumerate(CONFIGURATIONS)}


def array(shape: tuple[int, ...], t: int) -> np.ndarray:
    """The parameter (t = 0) or a gradient: multiples of 1/16 without a pattern, the same on every machine."""
    index = np.arange(int(np.prod(shape)), dtype=np.int64) + 100 * t + 1000 * len(shape)
    return ((index**3 * 7919 + index * 104729) % 61 - 30).reshape(shape) / 16.0


def gradients(name: str) -> list[np.ndarray]:
    return [array(SHAPES[name], t) for t in range(1, STEPS + 1)]


class StackOptimizer(Optimizer):
    default_layout = staticmethod(stacks_of_out_in)


def ends(rule: Rule) -> dict[str, np.ndarray]:
    """The parameters after the run, by the specification itself."""
    optimizer, params = StackOptimizer(rule), {name: array(shape, 0) for name, shape in SHAPES.items()}
    state = optimizer.init(params)
    for t in range(STEPS):
        params, state = optimizer.step(params, {name: gradients(name)[t] for name in SHAPES}, state)
    return params


def committed() -> tuple[int, dict[str, dict[str, np.ndarray]]]:
    """The version, and the ends by run and parameter."""
    saved = json.loads(FILE.read_text(encoding="utf-8"))
    runs = {run: {name: np.array(W) for name, W in params.items()} for run, params in saved["ends"].items()}
    return saved["specification"], runs


@cache
def spread(rule: Rule, name: str) -> float:
    """σ: how far rounding by itself may take this run."""
    W = array(SHAPES[name], 0)
    [p] = StackOptimizer(rule).assignment({name: W}).values()
    return run_spread(p.rule, W, gradients(name), DOUBLE)["W"]


def differing(rule: Rule, found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The parameters that ended elsewhere, with the error in units of the expected one."""
    ratios = {name: ratio(found[name], W, spread(rule, name), DOUBLE) for name, W in expected.items()}
    return {name: r for name, r in ratios.items() if not r <= THRESHOLD}


def main() -> int:
    new = {run: ends(rule) for run, rule in RUNS.items()}
    if FILE.exists():
        version, old = committed()
        moved = {run: d for run in old.keys() & new.keys() if (d := differing(RUNS[run], new[run], old[run]))}
        if moved and version == SPECIFICATION:
            print(f"these runs end elsewhere than under specification version {version}: {moved}", file=sys.stderr)
            return 1
    lines = {run: {name: W.tolist() for name, W in params.items()} for run, params in new.items()}
    text = json.dumps({"specification": SPECIFICATION, "ends": lines}, indent=1)
    FILE.write_text(text + "\n", encoding="utf-8")
    due = [
        spread(rule, n) / float(np.linalg.norm(new[run][n] - array(SHAPES[n], 0)))
        for run, rule in RUNS.items()
        for n in SHAPES
    ]
    print(f"the error due: {min(due):.1e} to {max(due):.1e} of the distance walked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
