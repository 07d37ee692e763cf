"""docs/scoreboard.md from what was found: every figure and verdict comes from the JSON, every remark from `notes`."""

from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.scoreboard.judge import NEEDS_MORE, NOT_CLAIMED
from benchmarks.scoreboard.notes import KINDS, NOTES, Note
from benchmarks.scoreboard.probes import PROBES
from benchmarks.scoreboard.recipe import SHAPES, STEPS
from benchmarks.scoreboard.table import ENTRIES, Entry
from deva_conformance.diagnosis import UNIT

TEMPLATE = Path(__file__).with_name("page.md")
KEPT, ROUNDED, BROKEN, OPEN = "kept", "rounded", "broken", "not supported"
WORDS = {"version", "held against", "broken"}
"""The columns that hold words; all others hold numbers or signs."""
SIGNS = {KEPT: "✓", ROUNDED: "✓ᵇ", BROKEN: "✗", OPEN: "–"}


class Verdict(NamedTuple):
    """A law for an entry: how it stands, and the result that shows it."""

    status: str
    result: dict[str, Any]


def verdicts(found: dict[str, Any]) -> dict[str, Verdict]:
    """Each law: kept; kept but for the cast's rounding; broken; not supported."""
    shipped = {r["law"]: r for r in found["runs"]["shipped"]}
    uncast = {r["law"]: r for r in found["runs"].get("uncast", [])}
    return {law: verdict(result, uncast.get(law)) for law, result in shipped.items()}


def verdict(shipped: dict[str, Any], uncast: dict[str, Any] | None) -> Verdict:
    """As shipped; where it is off by what may be the cast's rounding, as found without the cast."""
    if shipped["status"] in ("pass", "not_supported"):
        return Verdict(KEPT if shipped["status"] == "pass" else OPEN, shipped)
    by_rounding = uncast and UNIT in shipped["cause"]
    if by_rounding and uncast["status"] == "pass":
        return Verdict(ROUNDED, uncast)
    return Verdict(BROKEN, uncast if by_rounding else shipped)


def of(found: dict[str, Any]) -> str:
    """The page."""
    entries = [(entry, found["entries"][entry.key]) for entry in ENTRIES if entry.key in found["entries"]]
    ran = [(entry, f) for entry, f in entries if "not_run" not in f]
    parts = {
        "summary": summary(ran),
        "not_run": not_run([(e, f) for e, f in entries if "not_run" in f]),
        "grid": grid(ran),
        "kinds": "\n".join(f"- *{kind}*: {meaning}" for kind, meaning in KINDS.items()),
        "findings": "\n".join(filter(None, (finding(entry, f) for entry, f in ran))),
        "probes": "\n".join(probes(entry, f) for entry, f in ran if f["probes"]),
        "recipe": recipe(ran),
        "scales": scales(ran),
        "left_out": "\n".join(f"- `{law}`: {why}" for law, why in NEEDS_MORE.items()),
        "not_claimed": "\n".join(f"- `{law}`: {why}" for law, why in NOT_CLAIMED.items()),
        "profile": found["profile"],
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace(f"<!-- {name} -->", part)
    return text


def row(*cells: Any) -> str:
    """A row of a table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(head: list[str], rows: list[str]) -> str:
    """A table with its rows made."""
    return "\n".join([row(*head), row("---", *("---" if name in WORDS else "--:" for name in head[1:])), *rows])


def note_of(entry: Entry, law: str) -> Note:
    """What was seen by hand.

    Raises:
        LookupError: nobody has looked yet.
    """
    if (entry.key, law) not in NOTES:
        raise LookupError(f"{entry.key} breaks {law} and has no note: look at it, then write one into notes.py")
    return NOTES[entry.key, law]


def broken(entry: Entry, marks: dict[str, Verdict]) -> str:
    """How many laws, by what that is."""
    kinds = [note_of(entry, law).kind for law, mark in marks.items() if mark.status == BROKEN]
    return ", ".join(f"{kinds.count(kind)} ({kind})" for kind in KINDS if kind in kinds) or "0"


def bits(found: dict[str, Any], marks: dict[str, Verdict]) -> str:
    """Measured where float32 shows fewer; its own where the oracle agrees; unknown else."""
    if found.get("bits"):
        return f"{found['bits']:g}"
    return "24" if "oracle" in marks and marks["oracle"].status == KEPT else "–"


def summary(entries: list[tuple[Entry, dict]]) -> str:
    """One line an entry."""
    rows = []
    for entry, found in entries:
        marks = verdicts(found)
        kept = [m.result for m in marks.values() if m.status in (KEPT, ROUNDED)]
        worst = f"{max(r['ratio'] for r in kept):.2g}" if entry.oracle else "–"
        unsupported = sum(mark.status == OPEN for mark in marks.values())
        cells = (
            len(kept),
            broken(entry, marks),
            unsupported,
            sum(r["checks"] for r in kept),
            worst,
            bits(found, marks),
        )
        rows.append(row(f"`{entry.title}`", found["version"], entry.words, *cells))
    return table(
        ["peer", "version", "held against", "kept", "broken", "not supported", "cases", "worst ratio", "bits"], rows
    )


def not_run(entries: list[tuple[Entry, dict]]) -> str:
    """Who could not be run."""
    return "\n".join(f"Not run either: `{entry.title}` ({found['not_run']})." for entry, found in entries)


def grid(entries: list[tuple[Entry, dict]]) -> str:
    """Law by entry."""
    marks = [verdicts(found) for _, found in entries]
    laws = dict.fromkeys(law for each in marks for law in each)
    rows = [row(f"`{law}`", *(SIGNS[m[law].status] if law in m else "" for m in marks)) for law in laws]
    heads = [f"{entry.title.replace('.optimizers', '').replace('.nn.optim', '')}" for entry, _ in entries]
    numbered = [f"{head} ({k})" if heads.count(head) > 1 else head for k, head in enumerate(heads, 1)]
    return table(["law", *numbered], rows)


def interpreter(entry: Entry) -> str:
    """The one that has the peer, from the root of a checkout."""
    return f"out/scoreboard/{entry.environment}/bin/python" if entry.environment else ".venv/bin/python"


def finding(entry: Entry, found: dict[str, Any]) -> str:
    """The broken laws of an entry, each with what was seen and the command that shows it."""
    parts = []
    for law, mark in verdicts(found).items():
        if mark.status != BROKEN:
            continue
        note = note_of(entry, law)
        command = f"{interpreter(entry)} -m deva_conformance --reproduce {mark.result['reproduce']}"
        measured = mark.result["cause"].removeprefix("error: ")
        parts.append(
            f"**`{law}`**. Measured: {measured}. {note.text}{known(note.upstream)}\n\n```console\n$ {command}\n```\n"
        )
    head = f"### {entry.title} {found['version']}\n\nHeld against: {entry.words}.\n"
    return "\n".join([head, *parts]) if parts else ""


def probes(entry: Entry, found: dict[str, Any]) -> str:
    """Programs of the peer alone, and what they print."""
    own = [probe for probe in PROBES if probe.entry == entry.key]
    return "\n".join(
        f"**{entry.title} {found['version']}** ({probe.kind}). {probe.says}{known(probe.upstream)}"
        f'\n\n```console\n$ {interpreter(entry)} -c "{probe.program}"\n{said}\n```\n'
        for probe, said in zip(own, found["probes"], strict=True)
    )


def known(upstream: str) -> str:
    """Where it is known."""
    return f" Known upstream: {upstream}." if upstream else ""


def recipe(entries: list[tuple[Entry, dict]]) -> str:
    """One recipe: the range over shapes after each number of steps."""
    head, rows = ["", *(f"T = {t}" for t in STEPS)], []
    for entry, found in entries:
        if "recipe" in found:
            ranges = [[found["recipe"]["x".join(map(str, shape))][str(t)] for shape in SHAPES] for t in STEPS]
            cells = [f"{min(r):.1e}" if min(r) == max(r) else f"{min(r):.1e} … {max(r):.1e}" for r in ranges]
            rows.append(row(f"{entry.title} {found['version']}", *cells))
    return table(head, rows)


def scales(entries: list[tuple[Entry, dict]]) -> str:
    """The first step when gradients are scaled."""
    shown = [(entry, found) for entry, found in entries if "scales" in found]
    names = list(shown[0][1]["scales"]) if shown else []
    rows = [row(f"{e.title} {f['version']}", *(f"{f['scales'][s]:.1g}" for s in names)) for e, f in shown]
    return table(["", *names], rows)
