"""The scoreboard: its page is what was found, every finding is explained and shows itself again, and it runs."""

import json
import subprocess
from importlib.metadata import version
from importlib.util import find_spec

import pytest

from benchmarks.scoreboard import page, run
from benchmarks.scoreboard.__main__ import PAGE, PUBLISHED
from benchmarks.scoreboard.judge import judged
from benchmarks.scoreboard.notes import KINDS, NOTES
from benchmarks.scoreboard.table import ENTRIES
from deva_conformance.__main__ import reproduce
from deva_conformance.identity import decode

FOUND = json.loads(PUBLISHED.read_text(encoding="utf-8"))
TORCH = next(entry for entry in ENTRIES if entry.name == "torch")
BROKEN = {
    (key, law): mark.result
    for key, found in FOUND["entries"].items()
    if "runs" in found
    for law, mark in page.verdicts(found).items()
    if mark.status == page.BROKEN
}
needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="the peer is torch")
the_published_torch = pytest.mark.skipif(
    not find_spec("torch") or version("torch").split("+")[0] != FOUND["entries"][TORCH.key]["version"].split("+")[0],
    reason="the finding is about another version of torch",
)


def test_the_page_is_what_the_published_results_render():
    assert PAGE.read_text(encoding="utf-8") == page.of(FOUND)


def test_every_entry_is_published_and_every_broken_law_explained():
    assert set(FOUND["entries"]) == {entry.key for entry in ENTRIES}
    assert set(NOTES) == set(BROKEN)
    assert all(note.kind in KINDS for note in NOTES.values())


@pytest.mark.parametrize(("key", "law"), BROKEN)
def test_the_printed_line_of_a_finding_names_its_law_and_its_peer(key, law):
    entry = next(entry for entry in ENTRIES if entry.key == key)
    identity = decode(BROKEN[key, law]["reproduce"], [entry.claim])
    assert identity.law == law
    assert identity.backend in (entry.spec(), entry.spec(uncast=True))
    assert type(identity.case.rule) is entry.claim


@the_published_torch
def test_the_printed_line_of_a_finding_shows_it(capsys):
    assert (
        reproduce(
            BROKEN[TORCH.key, "dtype-and-shape"]["reproduce"], [TORCH.spec(), TORCH.spec(uncast=True)], [TORCH.claim]
        )
        == 1
    )
    assert capsys.readouterr().out.startswith("BROKEN dtype-and-shape benchmarks.scoreboard.peers.torch_muon")


@needs_torch
def test_torchs_muon_keeps_its_laws_at_the_smoke_profile_but_for_bfloat16():
    found = judged(TORCH, "smoke")
    marks = page.verdicts(found)
    assert {law for law, mark in marks.items() if mark.status == page.BROKEN} <= {
        law for key, law in NOTES if key == TORCH.key
    }
    assert marks["oracle"].status == page.ROUNDED
    assert 8 <= found["bits"] <= 11


def test_a_peer_that_cannot_be_run_is_said_not_to_be_run(monkeypatch):
    def fail(*args):
        raise subprocess.CalledProcessError(1, ["python", "-m", "pip", "install"])

    monkeypatch.setattr(run, "judged", fail)
    found = run.board([TORCH.key], "smoke", lambda key: None)
    assert f"Not run either: `{TORCH.title}` (python -m pip ended with status 1)." in page.of(found)
