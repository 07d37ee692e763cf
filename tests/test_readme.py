"""The README shows the code that runs."""

import inspect
import re
from pathlib import Path

from deva_core import Muon

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_lines_beside_the_equations_are_muons():
    shown = re.findall(r"```text\n(.*?)```", README, re.DOTALL)[1]
    source = [line.strip() for line in inspect.getsource(Muon.update).splitlines()[2:]]
    assert shown.split("\n")[:-1] == source


def test_the_equations_are_the_docstrings():
    import deva_core.muon

    shown = re.findall(r"```text\n(.*?)```", README, re.DOTALL)[0]
    for line in shown.splitlines():
        assert f"    {line}" in deva_core.muon.__doc__, line
