"""The HTML report: heat maps of the ratio, law by backend and dtype and by rule, from each broken cell to its program."""

import html
import math
from collections.abc import Callable, Iterable, Sequence

from deva_conformance.precision import HONEST
from deva_conformance.report import Report, Result, describe, program_name, unit_roundoff_of
from deva_conformance.tolerance import THRESHOLD
from deva_core import SPECIFICATION

STYLE = """
:root{color-scheme:light dark;--page:#fff;--text:#1c2330;--soft:#555;--code:#f5f6f8;--link:#1a4fb4}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:78rem;padding:0 1rem;color:var(--text);background:var(--page)}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}h3{font-size:1rem;margin:1.6rem 0 .2rem}
.map{overflow-x:auto}table{border-collapse:separate;border-spacing:3px}
th{font-weight:500;text-align:left;padding:.15rem .5rem;white-space:nowrap}
thead th{font-size:.8rem;color:var(--soft);text-align:center}
tbody th,thead th:first-child{position:sticky;left:0;background:var(--page)}
td{min-width:4.4rem;text-align:center;padding:.2rem .3rem;border-radius:4px;font-size:.8rem}
td[style],.legend [style]{color:#1c2330}.exact{background:#e3f1e6;color:#3f5f47}
.broken{background:#d64533;color:#fff;font-weight:600}
.expected{background:#e8dcf2;color:#3d2c4f}.absent{background:#eceef1;color:#666}.none{color:#bbb}
pre{background:var(--code);padding:.8rem;overflow-x:auto;border-radius:4px;font-size:.8rem}
.why{margin:.3rem 0}a{color:var(--link)}td a{color:inherit}li,.why{overflow-wrap:anywhere}.legend{line-height:2}
.legend span{display:inline-block;line-height:1.5;padding:.1rem .5rem;border-radius:4px;margin-right:.4rem;font-size:.8rem}
@media(prefers-color-scheme:dark){:root{--page:#15181d;--text:#e3e6eb;--soft:#a4abb6;--code:#1f242b;--link:#8ab0f7}
.exact{background:#1d3325;color:#a9cfb3}.expected{background:#3a2b4a;color:#e0d0f0}.absent{background:#262b33;color:#99a1ad}
.none{color:#4a515c}td[style],.legend [style]{filter:brightness(.85)}}
"""

Key = tuple[str, str]
Cell = tuple[str, str, str]
"""The attributes, the title and the text of a cell."""


def colour(ratio: float) -> str:
    """From green at an honest ratio over yellow to orange at the threshold, by its logarithm."""
    low, high = math.log(HONEST / 4), math.log(THRESHOLD)
    part = min(1.0, max(0.0, (math.log(max(ratio, 1e-9)) - low) / (high - low)))
    return f"hsl({135 - 105 * part:.0f} 62% {84 - 12 * part:.0f}%)"


def shown(ratio: float, title: str) -> Cell:
    """A law that holds."""
    if not ratio:
        return 'class="exact"', title, "exact"
    return f'style="background:{colour(ratio)}"', title, f"{ratio:.2g}"


def link(results: Sequence[Result], result: Result) -> str:
    """From a broken cell to what broke."""
    return f'<a href="#b{results.index(result)}">{result.status}</a>'


def of_results(report: Report, found: Sequence[Result]) -> Cell | None:
    """Results that share a cell, as far as they are not a ratio."""
    broken = [r for r in found if r.broken]
    if broken:
        return 'class="broken"', broken[0].cause, link(report.results, broken[0])
    for status, css in (("expected", "expected"), ("not_run", "absent")):
        if any(r.status == status for r in found):
            cause = next(r.cause for r in found if r.status == status)
            return f'class="{css}"', cause, status.replace("_", " ")
    if found and all(r.status == "not_supported" for r in found):
        return 'class="absent"', found[0].cause, "n/s"
    return None


def by_dtype(report: Report, law: str, key: Key) -> Cell | None:
    """A law of one backend in one dtype, over all rules."""
    backend, dtype = key
    results = [r for r in report.results if (r.law, r.backend) == (law, backend)]
    own = [r for r in results if not r.broken or r.case is None or r.case.problems[0].dtype == dtype]
    special = of_results(report, own)
    seen = [r.dtypes[dtype] for r in results if dtype in r.dtypes]
    if special or not seen:
        return special
    ratio, u = max(ratio for _, ratio in seen), unit_roundoff_of(dtype)
    effective = f", effective unit roundoff 2^{math.log2(u * ratio / HONEST):.1f}" if ratio else ""
    return shown(ratio, f"{sum(n for n, _ in seen)} cases, worst ratio {ratio:.3g} of {THRESHOLD:g}{effective}")


def by_rule(report: Report, law: str, key: Key) -> Cell | None:
    """A law of one backend for one rule, over all dtypes."""
    found = [r for r in report.results if (r.law, r.backend, r.rule) == (law, *key)]
    special = of_results(report, found)
    if special or not found:
        return special
    return shown(found[0].ratio, f"{found[0].checks} cases, worst ratio {found[0].ratio:.3g} of {THRESHOLD:g}")


def heat_map(report: Report, keys: Iterable[Key], cell: Callable[[Report, str, Key], Cell | None]) -> str:
    """A table of cells."""
    columns = list(dict.fromkeys(keys))
    head = "".join(f"<th>{html.escape(a)}<br>{html.escape(b)}</th>" for a, b in columns)
    rows = []
    for law in dict.fromkeys(r.law for r in report.results):
        made = (cell(report, law, key) for key in columns)
        rows.append(f"<tr><th>{html.escape(law)}</th>{''.join(map(td, made))}</tr>")
    return (
        f'<div class="map"><table><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def td(cell: Cell | None) -> str:
    """One cell."""
    if cell is None:
        return '<td class="none">·</td>'
    attributes, title, text = cell
    return f'<td {attributes} title="{html.escape(title)}">{text}</td>'


def failure(result: Result, index: int) -> str:
    """What broke, and the program that shows it."""
    title = html.escape(f"{result.law} · {result.backend} · {result.rule}")
    cause, where = html.escape(result.cause), html.escape(describe(result.case))
    start = f'<h3 id="b{index}">{title}</h3><p class="why">{cause}<br>{where}</p>'
    if not result.case:
        return start
    name = html.escape(program_name(result))
    return f'{start}<p class="why"><a href="{name}">{name}</a></p><pre>{html.escape(result.reproducer)}</pre>'


def legend() -> str:
    """What the colours mean."""
    ratios = (0.3, 1, 4, THRESHOLD)
    scale = "".join(f'<span style="background:{colour(r)}">{r:g}</span>' for r in ratios)
    return (
        f'<p class="legend"><span class="exact">exact</span>{scale}<span class="broken">broken</span>'
        '<span class="expected">expected to fail</span><span class="absent">not supported, not run</span></p>'
    )


def notes(report: Report) -> str:
    """In what precision the backends seem to compute."""
    items = "".join(f"<li>{html.escape(p.words)}</li>" for p in report.precisions)
    return f"<h2>Precision observed</h2><ul>{items}</ul>" if items else ""


def page(report: Report) -> str:
    """The HTML report, self-contained."""
    count = len(report.broken)
    verdict = "conforms" if report.conforms else f"{count} broken" if count else "nothing checked"
    verdict = "interrupted" if report.interrupted else verdict
    counts = ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in report.counts().items())
    dtypes = heat_map(report, ((r.backend, d) for r in report.results for d in sorted(dtypes_of(r))), by_dtype)
    rules = heat_map(report, ((r.backend, r.rule) for r in report.results), by_rule)
    failures = "".join(failure(r, k) for k, r in enumerate(report.results) if r.broken)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Conformance: {verdict}</title><style>{STYLE}</style><h1>Conformance: {verdict}</h1>"
        f"<p>Specification version {SPECIFICATION}, profile {report.profile}, seed {report.seed}: {report.executed} cases; "
        f"{counts}. A number is the worst error in units of the expected rounding error (at most {THRESHOLD:g}).</p>{legend()}"
        f"<h2>By dtype</h2>{dtypes}{notes(report)}<h2>By rule</h2>{rules}"
        f"{'<h2>What broke</h2>' if failures else ''}{failures}</html>\n"
    )


def dtypes_of(result: Result) -> set[str]:
    """The dtypes that a result speaks of."""
    return {*result.dtypes, *({result.case.problems[0].dtype} if result.case else ())}
