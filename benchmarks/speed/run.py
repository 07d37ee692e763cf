"""The whole run: every pair on every set, growth, memory, dispatches, as one `Result`."""

import gc
import shlex
import statistics as median_of
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.speed import compiled, dispatches, growth, machine, memory, peers
from benchmarks.speed import sides as side_by_side
from benchmarks.speed.alternating import alternate, in_turn
from benchmarks.speed.floors import counted, floor
from benchmarks.speed.pairs import Pair, chosen, targets
from benchmarks.speed.products import Products
from benchmarks.speed.result import SCHEMA, Compile, Result, Row
from benchmarks.speed.sets import DESCRIPTIONS, SETS, Gradients, Shape
from benchmarks.speed.statistics import ratio, summary
from benchmarks.speed.xla import XlaProducts

PARTS = ("pairs", "compiled", "growth", "memory", "dispatches")
COMPILES = {"cpu": 2, "cuda": 1}
"""How often both sides of a pair are compiled; a GPU's compiler tries kernels out, and takes long."""

Tick = Callable[[], None]
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure.

    Args:
        pairs, sets: names; None means all. parts: of `PARTS`.
        rounds: counted rounds of a pair, more or less (`Pair.counted_rounds`).
        threads: of every library.
        whole: DeVA on whole sets, not on a block of each.
    """

    pairs: list[str] | None = None
    sets: list[str] | None = None
    parts: tuple[str, ...] = PARTS
    rounds: int = 15
    threads: int = 2
    whole: bool = False
    cases: list[tuple[Pair, str]] = field(init=False)

    def __post_init__(self) -> None:
        """Find the cases: pairs that can run, with each of their sets."""
        pairs = [pair for pair in chosen(self.pairs) if pair.skipped() is None] if "pairs" in self.parts else []
        cases = [(pair, self.full(name)) for pair in pairs for name in pair.sets if self.wants(name)]
        object.__setattr__(self, "cases", cases)

    def full(self, name: str) -> str:
        """The set, or what it is a block of."""
        return name.partition("/")[0] if self.whole else name

    def wants(self, name: str) -> bool:
        """Whether a set, or what it is a block of, was asked for."""
        return not self.sets or name in self.sets or name.partition("/")[0] in self.sets

    def ticks(self) -> int:
        """How often `tick` will be called."""
        rounds = sum(pair.warm_up + pair.counted_rounds(self.rounds) for pair, _ in self.cases)
        others = {"compiled": len(compiled.NAMES), "growth": growth.POINTS, "memory": memory.POINTS, "dispatches": 1}
        return rounds + sum(others.get(part, 0) for part in self.parts)


def run(plan: Plan, tick: Tick, say: Say) -> Result:
    """Measure."""
    begun, load = time.monotonic(), machine.load_average()
    skipped = [{"pair": pair.name, "reason": why} for pair in chosen(plan.pairs) if (why := pair.skipped())]
    skipped += [{"pair": name, "reason": why} for name, why in peers.NOT_TIMED.items() if not plan.pairs]
    rows = all_rows(plan, skipped, tick, say)
    parts = other_parts(plan, skipped, tick, say)
    result: Any = {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command(),
        "machine": machine.machine(plan.threads),
        "load_average": {"begin": load, "end": machine.load_average()},
        "minutes": (time.monotonic() - begun) / 60,
        "versions": peers.versions(),
        "rounds": plan.rounds,
        "sets": {name: DESCRIPTIONS.get(name, name) for name in dict.fromkeys(row["set"] for row in rows)},
        "pairs": rows,
        "skipped": skipped,
        **parts,
    }
    return result


def command() -> str:
    """How this was called, places on this machine by their names alone."""
    arguments = [Path(x).name if Path(x).is_absolute() else x for x in sys.argv[1:]]
    return shlex.join(["python", "-m", "benchmarks.speed", *arguments])


def all_rows(plan: Plan, skipped: list[dict[str, str]], tick: Tick, say: Say) -> list[Row]:
    """Every case; one that fails is noted among the skipped, and the others go on. Control-C keeps what was measured."""
    rows: list[Row] = []
    for pair, name in plan.cases:
        say(f"{pair.name} on {name}")
        try:
            rows.append(row(pair, name, SETS[name], plan.rounds, tick))
        except KeyboardInterrupt:
            skipped.append({"pair": f"{pair.name} on {name}, and what follows", "reason": "interrupted"})
            break
        except Exception as error:  # whatever a peer raises must not hide the others
            skipped.append({"pair": f"{pair.name} on {name}", "reason": f"{type(error).__name__}: {error}"})
        gc.collect()
    return rows


PART_FUNCTIONS: dict[str, tuple[str, str, Callable[[Tick], Any]]] = {
    "compiled": ("compiled", "compiled steps", lambda tick: compiled.compiled(tick)),
    "dispatches": ("dispatches", "dispatched operations", lambda tick: dispatches.dispatches(tick)),
    "states": ("memory", "bytes of state", lambda tick: memory.states(tick)),
    "peaks": ("memory", "bytes of temporaries", lambda tick: memory.peaks(tick)),
    "growth": ("growth", "growth", lambda tick: growth.growth(tick)),
}
"""By key of the result: the part that it belongs to, the progress message, and the function that measures it."""


def other_parts(plan: Plan, skipped: list[dict[str, str]], tick: Tick, say: Say) -> dict[str, Any]:
    """Growth, memory and dispatches, where asked for; here too what fails is noted, and nothing else is lost."""
    parts: dict[str, Any] = {}
    for key, (part, words, measure) in PART_FUNCTIONS.items():
        if part in plan.parts:
            say(words)
            try:
                parts[key] = measure(tick)
            except Exception as error:
                skipped.append({"pair": words, "reason": f"{type(error).__name__}: {error}"})
    return parts


def row(pair: Pair, name: str, shapes: list[Shape], asked: int, tick: Tick) -> Row:
    """One pair on one set."""
    rounds = pair.counted_rounds(asked)
    sides, compiled = built(pair, name, shapes)
    products = Products(shapes, pair.products) if pair.products else None
    xla = XlaProducts(shapes) if products and compiled else None
    timed = {**sides, **{name: side for name, side in (("products", products), ("xla", xla)) if side}}
    times = alternate(timed, Gradients(shapes), rounds, pair.warm_up, tick)
    settings = {"ours": pair.our_settings, "theirs": pair.their_settings}
    sums: Any = {
        side: {"settings": settings[side], **summary(times.rounds[side]), "first": times.first[side]} for side in sides
    }
    ratios: Any = with_target(ratio(times.rounds["ours"], times.rounds["theirs"], pair.statistic), pair.name, name)
    result: Any = {"pair": pair.name, "title": pair.title, "set": name, "rounds": rounds, **sums, "ratio": ratios}
    if products:
        result["products"] = str(pair.products)
        result["floor"] = floors(pair, name, shapes, products, result)
    if xla:
        result["xla"] = {form: median_of.median(x[pair.warm_up :]) for form, x in xla.seconds.items()}
    if compiled:
        result["compile"] = compiled
    return result


def floors(pair: Pair, name: str, shapes: list[Shape], products: Any, result: Row) -> Any:
    """Of both sides; the share's target is ours."""
    made = {"ours": pair.ours, "theirs": pair.theirs}
    found: Any = {
        side: floor(products, counted(make, shapes), result[side]["median"], pair.warm_up)
        for side, make in made.items()
    }
    target = targets().get(pair.name, {}).get(f"share {name}")
    if target is not None:
        found["ours"] |= {"target": target, "met": found["ours"]["share"] >= target}
    return found


def built(pair: Pair, name: str, shapes: list[Shape]) -> tuple[dict[str, Any], Compile | None]:
    """Both sides; where they compile, several times in turn, and how long that took."""
    sides: dict[str, Any] = {"ours": pair.ours(shapes), "theirs": pair.theirs(shapes)}
    if sides["ours"].compile() is None:
        return sides, None
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for k in range(COMPILES[side_by_side.DEVICE]):  # the compilation just before warmed the compiler up
        for side in in_turn(list(sides), k):
            clear_jax()
            seconds[side].append(sides[side].compile())
    ours, theirs = seconds["ours"], seconds["theirs"]
    ratios: Any = with_target(ratio(ours, theirs), pair.name, f"compile {name}")
    medians = {"ours": median_of.median(ours), "theirs": median_of.median(theirs)}
    compiled: Any = {**medians, "ours_seconds": ours, "theirs_seconds": theirs, "ratio": ratios}
    return sides, compiled


def clear_jax() -> None:
    """Forget what was compiled."""
    import jax

    jax.clear_caches()


def with_target(found: dict[str, Any], pair: str, name: str) -> dict[str, Any]:
    """A ratio with its target, where it has one; a block's is its whole set's."""
    wanted = targets().get(pair, {})
    target = wanted.get(name, wanted.get(name.partition("/")[0]))
    return found if target is None else {**found, "target": target, "met": found["value"] <= target}
