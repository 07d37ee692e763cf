"""The badge: a report's verdict as a small picture, for a README. It needs no service."""

import html

from deva_conformance.report import Report

GREEN, RED = "#2a7f3e", "#b3261e"
SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {verdict}">
<title>{label}: {verdict}</title><rect width="{width}" height="20" rx="3" fill="#444"/>
<rect x="{left}" width="{right}" height="20" rx="3" fill="{colour}"/>
<g fill="#fff" font-family="Verdana,sans-serif" font-size="11"><text x="6" y="14" textLength="{label_length}">{label}</text>
<text x="{start}" y="14" textLength="{verdict_length}">{verdict}</text></g></svg>
"""
LETTER = 6.5
"""About the width of a letter; `textLength` makes it so in any font."""


def verdict(report: Report) -> str:
    """How many laws are kept, broken and not supported; a law counts once for each rule. Never without the latter."""
    counts = report.counts()
    broken, kept = len(report.broken), counts["pass"]
    if report.interrupted or not report.executed:
        return "interrupted" if report.interrupted else "nothing checked"
    words = [f"{broken} broken"] * bool(broken) + [f"{kept} laws kept"]
    for status in ("expected", "not_supported", "not_run"):
        word = "known to fail" if status == "expected" else status.replace("_", " ")
        words += [f"{counts[status]} {word}"] * bool(counts[status])
    return ", ".join(words)


def badge(report: Report) -> str:
    """An SVG image, green where the backends conform."""
    label, text = f"deva conformance, {report.profile}", verdict(report)
    left, right = (round(LETTER * len(words)) + 12 for words in (label, text))
    return SVG.format(
        width=left + right,
        left=left,
        right=right,
        start=left + 6,
        label_length=left - 12,
        verdict_length=right - 12,
        colour=GREEN if report.conforms else RED,
        label=html.escape(label),
        verdict=html.escape(text),
    )
