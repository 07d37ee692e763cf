"""No page, docstring, comment or message has a phrase that docs/style.md advises against."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXEMPT = {"docs/style.md", "tests/test_style.py"}
"""The page that quotes these phrases, and this list."""

PHRASES = (
    r"\b(is|are|was) no (matrix|matrices|tensor|array|fact|part|number|name|function|module)",
    r"\bsaid of (a|the)\b",
    r"\bof a group\b",
    r"\bfor what is no\b",
    r"\bin its place\b",
    r"\bgoes by the\b",
    r"\bwhat is said\b",
    r"\bby chance\b",
    r"\bhas a name\b",
    r"\btime a step\b",
    r"\bnarrower ones\b",
    r"\bthe unbroken\b",
    r"\bcould not be had\b",
    r"\bin the letters of\b",
    r"\bbeside it wins\b",
    r"\bLook once\b",
    r"\bCallables of the\b",
    r"\bother people's Muons\b",
    r"\b(the rounding|rounding error|roundoff) that is due\b",
    r"\bWhich axis is which is\b",
    r"\bRefused, (it|a)\b",
    r"\b[Nn]othing handed (in|out)\b",
)
"""Regular expressions; white space in them stands for any white space, so that a line break hides nothing."""


def patterns() -> list[re.Pattern[str]]:
    return [re.compile(phrase.replace(" ", r"\s+")) for phrase in PHRASES]


def offences(text: str) -> list[str]:
    """Each phrase found, as `line: phrase`."""
    matches = (match for pattern in patterns() for match in pattern.finditer(text))
    return [f"{text.count(chr(10), 0, match.start()) + 1}: {' '.join(match[0].split())}" for match in matches]


def tracked() -> list[str]:
    """The pages and modules under version control; a tree without git has none, and the test is skipped."""
    found = subprocess.run(["git", "ls-files", "*.md", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    return [name for name in found.stdout.split("\n") if name and name not in EXEMPT and (ROOT / name).is_file()]


def test_no_page_or_module_has_a_phrase_of_the_list():
    names = tracked()
    if not names:
        pytest.skip("not a git checkout")
    found = {name: offences((ROOT / name).read_text(encoding="utf-8")) for name in names}
    assert not [f"{name}:{offence}" for name, list_ in found.items() for offence in list_]


def test_a_phrase_is_found_across_a_line_break():
    assert offences("one line\nwhat is\n  no matrix") == ["2: is no matrix"]
    assert offences("a param group is not of interest; nor is a number") == []
