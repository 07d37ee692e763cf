"""The tables of a result: cells for the terminal and for the page alike."""

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.speed.floors import whole_share
from benchmarks.speed.result import Result, Row

Rows = list[list[str]]


def milliseconds(seconds: float) -> str:
    """Three digits.

    Example:
        >>> milliseconds(0.0123456), milliseconds(1.5)
        ('12.3', '1500')
    """
    ms = 1e3 * seconds
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}"


def interval(ratio: Any) -> str:
    """A ratio with its interval."""
    return f"{ratio['value']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})"


def verdict(ratio: Any) -> tuple[str, str]:
    """The target and whether it is met; that the interval holds the target is said."""
    if "target" not in ratio:
        return "–", "–"
    word = "yes" if ratio["met"] else "no"
    sure = ratio.get("high", 0) <= ratio["target"] if ratio["met"] else ratio.get("low", 9e9) > ratio["target"]
    return f"≤ {ratio['target']:g}", word if sure else f"{word}, not certain"


def range_of(side: Any) -> str:
    """Median, mean and range in milliseconds."""
    numbers = (side["median"], side["mean"], side["min"], side["max"])
    median, mean, low, high = map(milliseconds, numbers)
    return f"{median} · {mean} · {low}–{high}"


PAIR_HEAD = ["pair", "set", "ours, ms", "theirs, ms", "ours / theirs", "target", "met"]


def pair_rows(result: Result) -> Rows:
    """Every pair on every set: median · mean · range, and the ratio."""
    return [
        [
            row["title"],
            row["set"],
            range_of(row["ours"]),
            range_of(row["theirs"]),
            interval(row["ratio"]),
            *verdict(row["ratio"]),
        ]
        for row in result["pairs"]
    ]


COMPILE_HEAD = ["pair", "set", "ours, s", "theirs, s", "ours / theirs", "target", "met"]


def compile_rows(result: Result) -> Rows:
    """Compilation."""
    rows = []
    for row in result["pairs"]:
        if "compile" in row:
            c = row["compile"]
            cells = [f"{c['ours']:.2f}", f"{c['theirs']:.2f}", f"{c['ratio']['value']:.2f}"]
            rows.append([row["title"], row["set"], *cells, *verdict(c["ratio"])])
    return rows


FLOOR_HEAD = [
    "pair",
    "set",
    "side",
    "algorithm",
    "GFLOP a step",
    "products alone, GFLOP/s",
    "floor, ms",
    "share",
    "in the algorithm's operations",
    "target",
]


def floor_rows(result: Result) -> Rows:
    """Floors and shares of both sides."""
    return [floor_cells(row, side) for row in result["pairs"] if "floor" in row for side in ("ours", "theirs")]


def floor_cells(row: Row, side: str) -> list[str]:
    """One side."""
    found = row.get("floor", {})[side]
    head = [row["title"], row["set"], side, algorithms(found["groups"])]
    rate, seconds = found["rate_gflops_per_second"], milliseconds(found["seconds"])
    figures = [f"{found['flops'] / 1e9:.3g}", f"{rate:.0f}", seconds, f"{found['share']:.0%}"]
    figures.append(f"{whole_share(found['groups'], row[side]['median']):.0%}")
    target = f"≥ {found['target']:.0%}: {'yes' if found.get('met') else 'no'}" if "target" in found else "–"
    return [*head, *figures, target]


def algorithms(groups: list[dict[str, Any]]) -> str:
    """What is multiplied, by shape where it differs."""
    by_name: dict[str, list[str]] = {}
    for group in groups:
        by_name.setdefault(group["algorithm"], []).append("×".join(map(str, group["shape"])))
    if len(by_name) == 1:
        return next(iter(by_name))
    return "; ".join(f"{name}: {', '.join(shapes)}" for name, shapes in by_name.items())


XLA_HEAD = [
    "pair",
    "set",
    "in a loop, ms",
    "batched, ms",
    "the faster / ours",
    "the faster / theirs",
    "target of the pair",
]


def xla_rows(result: Result) -> Rows:
    """What XLA takes for the plain iteration's products alone, beside the steps that were timed with them."""
    return [xla_cells(row) for row in result["pairs"] if "xla" in row]


def xla_cells(row: Row) -> list[str]:
    """One pair."""
    found = row.get("xla", {})
    times = [milliseconds(found[form]) for form in ("loop", "batched")]
    shares = [f"{min(found.values()) / row[side]['median']:.2f}" for side in ("ours", "theirs")]
    target = row["ratio"].get("target")
    return [row["title"], row["set"], *times, *shares, "–" if target is None else f"≤ {target:g}"]


COMPILED_HEAD = ["set", "plain, ms", "compiled, ms", "compiled / plain", "first compiled step, s"]


def compiled_rows(result: Result) -> Rows:
    """`torch.compile` of a step of Muon."""
    return [
        [
            row["set"],
            range_of(row["plain"]),
            range_of(row["compiled"]),
            interval(row["ratio"]),
            f"{row['seconds']:.1f}",
        ]
        for row in result.get("compiled", [])
    ]


GROWTH_HEAD = ["matrices", "parameters", "ours, ms", "theirs, ms", "ours / theirs"]


def growth_rows(result: Result, curve: str) -> Rows:
    """One curve."""
    if "growth" not in result:
        return []
    rows = []
    for point in result["growth"][curve]["rows"]:
        shape = "×".join(map(str, result["growth"][curve]["shape"]))
        times = [milliseconds(point["ours"]), milliseconds(point["theirs"])]
        cells = [f"{point['count']} × ({shape})", f"{point['parameters'] / 1e6:.3g} M", *times]
        rows.append([*cells, f"{point['ours'] / point['theirs']:.2f}"])
    return rows


STATE_HEAD = ["rule", "bound, bytes a parameter (m × n)", "matrix", "bound", "measured"]


def state_rows(result: Result) -> Rows:
    """Bytes of state."""
    rows = []
    for row in result.get("states", []):
        figures = [f"{row[key]:.2f}" for key in ("bound", "bytes_per_parameter")]
        rows.append([row["rule"], row["formula"], "×".join(map(str, row["shape"])), *figures])
    return rows


PEAK_HEAD = ["set", "parameters", "ours, MB", "theirs, MB", "ours, bytes a parameter", "theirs"]


def peak_rows(result: Result) -> Rows:
    """Bytes of temporaries."""
    rows = []
    for row in result.get("peaks", []):
        sides = row["ours"], row["theirs"]
        megabytes = [f"{x / 1e6:.3g}" for x in sides]
        each = [f"{x / row['parameters']:.2f}" for x in sides]
        rows.append([row["set"], f"{row['parameters'] / 1e6:.3g} M", *megabytes, *each])
    return rows


DISPATCH_HEAD = ["matrices", "number", "ours", "theirs", "ours a matrix", "theirs a matrix"]


def dispatch_rows(result: Result) -> Rows:
    """Operations."""
    rows = []
    for row in result.get("dispatches", []):
        each = [f"{row[side] / row['matrices']:.1f}" for side in ("ours", "theirs")]
        rows.append([row["case"], str(row["matrices"]), str(row["ours"]), str(row["theirs"]), *each])
    return rows


def tables(result: Result) -> list[tuple[str, list[str], Rows]]:
    """Title, head and rows of every table that has rows."""
    found = [
        ("Time a step: median · mean · min–max", PAIR_HEAD, pair_rows(result)),
        ("Compilation, tracing included", COMPILE_HEAD, compile_rows(result)),
        ("Muon, torch.compile(optimizer.step)", COMPILED_HEAD, compiled_rows(result)),
        ("Floors: the products at the measured rate", FLOOR_HEAD, floor_rows(result)),
        ("Plain Newton–Schulz's products alone, by XLA", XLA_HEAD, xla_rows(result)),
        ("Muon by parameters", GROWTH_HEAD, growth_rows(result, "by_parameters")),
        ("Muon by number of matrices", GROWTH_HEAD, growth_rows(result, "by_number")),
        ("State", STATE_HEAD, state_rows(result)),
        ("Peak of a step's temporaries", PEAK_HEAD, peak_rows(result)),
        ("Operations that a step of Muon makes torch dispatch", DISPATCH_HEAD, dispatch_rows(result)),
        ("Left out", ["pair", "reason"], [[s["pair"], s["reason"]] for s in result["skipped"]]),
    ]
    return [table for table in found if table[2]]


def show(result: Result) -> None:
    """Print everything."""
    console = Console(width=180)
    found = result["machine"]
    load = " ".join(map(str, result["load_average"]["begin"]))
    console.print(f"{found['cpu']}, {found['cores']} cores, {found['threads']} threads, load at begin {load}")
    console.print(", ".join(f"{name} {version}" for name, version in result["versions"].items()), highlight=False)
    for title, head, rows in tables(result):
        view = Table(*head, title=title, title_justify="left")
        for cells in rows:
            view.add_row(*cells)
        console.print(view)
