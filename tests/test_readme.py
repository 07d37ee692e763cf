"""The README is short, and says what the pages and the recorded runs say."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FLAT = " ".join(README.split())


def page(name):
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def recorded(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def test_it_is_short_and_fits_a_phone():
    """Tables of two columns; lines of code that a page of GitHub shows whole."""
    assert len(README.splitlines()) <= 120
    assert all(line.count(" | ") <= 1 for line in README.splitlines() if line.startswith("| "))
    blocks = re.findall(r"```\w+\n(.*?)```", README, re.DOTALL)
    assert all(len(line) <= 100 for block in blocks for line in block.splitlines())


def test_how_far_two_libraries_part_is_what_was_recorded():
    ends = {name: curve[-1] for name, curve in recorded("apart")["distance over distance walked"].items()}
    theirs, layer, ours = ends.values()
    assert f"{theirs:.0%} of the distance walked apart".replace("%", " %") in FLAT
    assert f"differ by {layer:.1%}".replace("%", " %") in FLAT
    assert f"Ours differ by {ours:.0e}" in FLAT


@pytest.mark.parametrize(
    ("pair", "words"), [("torch-muon", "{} of `torch.optim.Muon`'s time"), ("jax-muon", "{} of optax's")]
)
def test_speed_is_what_was_recorded(pair, words):
    [row] = [row for row in recorded("speed")["pairs"] if (row["pair"], row["set"]) == (pair, "nano")]
    assert words.format(f"{row['ratio']['value']:.2f}") in FLAT


def test_what_the_kit_finds_is_what_its_page_says():
    killed, total, naive = re.search(
        r"\| (\d+) of (\d+) faults.*?\| (\d+) of \2 \|", page("faults"), re.DOTALL
    ).groups()
    assert killed == total
    assert f"all {total}; `allclose` after one step finds {naive}" in FLAT


def test_claims_not_seen_are_counted():
    rows = re.findall(r"^\| (?:DeVA|AdaGO) \| .*? \| (yes|no|not certain) \|$", page("evidence"), re.MULTILINE)
    seen = Counter(rows)
    said = f"{seen['yes']} of {len(rows)} were seen, {seen['no']} were not, {seen['not certain']} are uncertain"
    assert said in FLAT


def test_wins_of_the_defaults_are_what_their_page_says():
    won = dict(re.findall(r"^\| (\w+) \| [\d.]+ \| [\d.]+ \| (\d) \|", page("defaults"), re.MULTILINE))
    words = {"4": "four", "5": "five"}
    assert f"Muon and AdaGO on {words[won['Muon']]}, DeVA on {words[won['DeVA']]}" in FLAT
    assert won["Muon"] == won["AdaGO"]


def test_deviations_are_counted():
    for name, rule in (("Muon", "muon"), ("AdaGO", "adago"), ("DeVA", "deva")):
        section = re.search(r"## Deviations.*?(?=\n## )", page(f"rules/{rule}"), re.DOTALL)[0]
        listed = re.findall(r"^(\d+)\. ", section, re.MULTILINE)
        assert f"{name} {len(listed)}" in FLAT and listed == [str(k + 1) for k in range(len(listed))]


def test_every_command_of_make_is_in_the_table_of_contributing_and_no_other():
    made = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `make ([a-z]+)` \|", contributing, re.MULTILINE)) == made - {"clean"}
    assert set(re.findall(r"`make ([a-z]+)`", README)) <= made


def test_every_page_linked_to_is_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).exists(), target
