"""The laws of the kit that speak of an optimizer alone, on one entry. Runs in the entry's own environment.

python -m benchmarks.scoreboard.judge torch/TorchMuon out.json
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.scoreboard import recipe
from benchmarks.scoreboard.table import ENTRIES, Entry
from deva_conformance import LAWS, Law, Problem, Subject, load
from deva_conformance.diagnosis import SEEDS, SHAPE, bits
from deva_conformance.laws import NotSupported
from deva_conformance.plan import PROFILES
from deva_conformance.report import Result
from deva_conformance.runner import run_law
from deva_core import AdaGO, Muon, Rule

NEEDS_MORE = {
    "enclosure": "the state in float64 beside its enclosure",
    "operations": "a backend's single operations",
    "batched": "stacks of matrices",
    "layouts": "layouts",
    "save-load": "the portable checkpoint",
    "replacements": "replaceable functions",
    "compiled": "a switch for compilation",
    "schedules": "hyperparameters that are callables of the update count",
    "bad-hyperparameters": "our hyperparameters' domains",
    "refresh-cadence": "DeVA's bases",
    "well-posedness": "DeVA's bases",
}
"""Laws of what a peer has no notion of: neither kept nor broken."""
NOT_CLAIMED = {"scale": "its eps is absolute, by the recipe that it follows"}
PAPER_ONLY = ("singular-values",)
"""Of AdaGO: the law knows no floor beside the shape factor, only under it, as the paper has it."""
AT_SCALE_ONE = ("singular-values",)
"""Laws of the bare polynomials, which an absolute eps leaves alone only where gradients are far above it."""
WITHOUT_ORACLE = ("purity", "dtype-and-shape", "determinism", "missing-gradient")


def asked(entry: Entry) -> list[Law]:
    """The laws for an entry, on matrices and inside its claim."""
    left_out = {*NEEDS_MORE, *NOT_CLAIMED, *entry.not_claimed, *(PAPER_ONLY if issubclass(entry.claim, AdaGO) else ())}
    kept = [law for law in LAWS if law.id not in left_out and law.domain.applies(entry.claim)]
    return [narrowed(law) for law in kept if entry.oracle or law.id in WITHOUT_ORACLE]


def narrowed(law: Law) -> Law:
    """The law on matrices only, and on what the claim supports."""
    panels = tuple(tuple(shape for shape in panel if len(shape) == 2) for panel in law.domain.matrix_panels)

    def restricted(rule: type[Rule]) -> dict[str, tuple]:
        supports: Any = rule.supports  # type: ignore[attr-defined]
        own = {name: tuple(values) for name, values in law.domain.restricted(rule).items()}
        both = {k: tuple(v for v in values if v in own.get(k, values)) for k, values in supports.items()}
        if empty := [name for name, values in both.items() if not values]:
            raise NotSupported(f"no {', '.join(empty)} that this law speaks of")
        return {**own, **both}

    scales = (lambda rule: (1.0,)) if law.id in AT_SCALE_ONE else law.domain.scales
    domain = replace(law.domain, matrix_panels=tuple(filter(None, panels)), restricted=restricted, scales=scales)
    return replace(law, domain=domain)


def judged(entry: Entry, profile: str) -> dict[str, Any]:
    """What was found, as shipped and without the cast."""
    found: dict[str, Any] = {"key": entry.key, "version": entry.version, "runs": {}}
    for name in ("shipped", *(["uncast"] if entry.uncast else [])):
        subject = load(entry.spec(name == "uncast"))
        results = (run_law(law, entry.claim, subject, PROFILES[profile], costly=entry.costly) for law in asked(entry))
        found["runs"][name] = [plain(result) for result in results]
    if entry.oracle:
        found["bits"] = significant_bits(load(entry.spec()), entry.claim)
    if issubclass(entry.claim, Muon):
        found |= {
            "recipe": recipe.distances(load(entry.spec()), entry.claim),
            "scales": recipe.scales(load(entry.spec()), entry.claim),
        }
    return found


def significant_bits(subject: Subject, claim: type[Rule]) -> float | None:
    """With how many bits three float32 steps from zero seem to be computed; None: with float32's."""
    found = [bits(subject, claim(), Problem("gaussian", SHAPE, 1.0, seed, "float32")) for seed in SEEDS]
    return round(min(b for b in found if b is not None), 1) if None not in found else None


def plain(result: Result) -> dict[str, Any]:
    """What the page needs of a result."""
    whole = result.as_dict()
    return {name: whole[name] for name in ("law", "status", "checks", "ratio", "cause", "case", "reproduce")}


def main(key: str, out: str, profile: str = "quick") -> None:
    """Judge one entry."""
    entry = next(entry for entry in ENTRIES if entry.key == key)
    Path(out).write_text(json.dumps(judged(entry, profile), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
