"""The README shows the code that runs."""

import inspect
import re
from pathlib import Path

import pytest

from deva_core import Muon

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_lines_beside_the_equations_are_muons():
    shown = re.findall(r"```text\n(.*?)```", README, re.DOTALL)[1]
    source = [line.strip() for line in inspect.getsource(Muon.update).splitlines()[2:]]
    assert shown.split("\n")[:-1] == source


def test_the_equations_are_the_docstrings():
    import deva_core.muon

    shown = re.findall(r"```text\n(.*?)```", README, re.DOTALL)[0]
    for line in shown.splitlines():
        assert f"    {line}" in deva_core.muon.__doc__, line


@pytest.mark.parametrize("page", ["performance", "evidence", "faults"])
def test_the_figures_are_rows_of_the_page_that_is_generated(page):
    table = re.search(rf"<!-- rows of docs/{page}.md -->\n\n(.*?)\n\n", README, re.DOTALL)[1].splitlines()
    assert len(table) > 4
    assert set(table) <= set((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").splitlines())


def test_every_command_of_make_is_in_the_table_and_none_else():
    made = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"^\| `make ([a-z]+)` \|", README, re.MULTILINE)) == made - {"clean"}


def test_every_page_linked_to_is_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).exists(), target
