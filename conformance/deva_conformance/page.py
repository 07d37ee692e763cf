"""The HTML report: law by backend and rule, coloured by ratio, from each broken cell to its reproducer."""

import html

from deva_conformance.report import Report, Result
from deva_conformance.tolerance import THRESHOLD

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1c2330}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:separate;border-spacing:3px}
th{font-weight:500;text-align:left;padding:.15rem .5rem}thead th{font-size:.85rem;color:#555}
td{min-width:4.6rem;text-align:center;padding:.2rem .3rem;border-radius:4px;font-size:.8rem}
.pass{background:#d8f0dd}.near{background:#fbeec2}.fail,.error{background:#f6c5c0;font-weight:600}
.not_supported{background:#e6e8ec;color:#666}.none{color:#bbb}
pre{background:#f5f6f8;padding:.8rem;overflow-x:auto;border-radius:4px}.why{margin:.3rem 0}
td a{color:inherit}.legend span{padding:.1rem .5rem;border-radius:4px;margin-right:.5rem}
"""


def cell(result: Result | None, index: int) -> str:
    """One cell of the grid: the worst ratio, or what went wrong."""
    if result is None:
        return '<td class="none">·</td>'
    if result.broken:
        return f'<td class="{result.status}"><a href="#b{index}">{result.status}</a></td>'
    if result.status == "not_supported":
        return f'<td class="not_supported" title="{html.escape(result.cause)}">n/s</td>'
    text = f"{result.ratio:.2g}" if result.ratio else "exact"
    title = f"{result.checks} cases, worst ratio {result.ratio:.3g} of {THRESHOLD:g}"
    return f'<td class="{"near" if result.ratio > THRESHOLD / 2 else "pass"}" title="{title}">{text}</td>'


def grid(report: Report) -> str:
    """Law by backend and rule."""
    columns = list(dict.fromkeys((r.backend, r.rule) for r in report.results))
    found = {(r.law, r.backend, r.rule): (r, k) for k, r in enumerate(report.results)}
    head = "".join(f"<th>{html.escape(b)}<br>{html.escape(rule)}</th>" for b, rule in columns)
    rows = []
    for law in dict.fromkeys(r.law for r in report.results):
        cells = "".join(cell(*found.get((law, *column), (None, 0))) for column in columns)
        rows.append(f"<tr><th>{html.escape(law)}</th>{cells}</tr>")
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def failure(result: Result, index: int) -> str:
    """What broke, and the program that shows it."""
    title = html.escape(f"{result.law} · {result.backend} · {result.rule}")
    cause, code = html.escape(result.cause), html.escape(result.reproducer)
    return f'<h2 id="b{index}">{title}</h2><p class="why">{cause}</p><pre>{code}</pre>'


def page(report: Report) -> str:
    """The HTML report, self-contained."""
    verdict = (
        "conforms" if report.conforms else f"{len(report.broken)} broken" if report.executed else "nothing checked"
    )
    counts = ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in report.counts().items())
    failures = "".join(failure(r, k) for k, r in enumerate(report.results) if r.broken)
    legend = (
        '<p class="legend"><span class="pass">ratio, or exact</span><span class="near">past half the threshold</span>'
        '<span class="fail">broken</span><span class="not_supported">not supported</span></p>'
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Conformance: {verdict}</title><style>{STYLE}</style><h1>Conformance: {verdict}</h1>"
        f"<p>Profile {report.profile}, seed {report.seed}: {report.executed} cases; {counts}. A number is the worst error in "
        f"units of the rounding error that is due (at most {THRESHOLD:g}).</p>{legend}{grid(report)}{failures}</html>\n"
    )
