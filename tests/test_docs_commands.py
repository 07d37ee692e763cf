"""The commands of the pages: some are run as they stand; of all others the targets, files, modules and arguments exist.

What is run are the commands after `<!-- run -->`, in a folder with the files that the page has its reader write.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.pages import PAGES, ROOT, Command, blocks, commands, files, name_of

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
INLINE = re.compile(r"(?<!`)`((?:python|make|torchrun|pytest) [^`]+)`")
ALONE = {"echo", ".", "tensorboard"}
"""Words of the shell and programs of others, whose arguments are not ours."""
MODULES = {"pytest": ["-m", "pytest", "-q"], "torchrun": ["-m", "torch.distributed.run"], "python": []}


def to_run(page: Path) -> list[Command]:
    return [command for block in blocks(page, "console") if block.run for command in commands(block)]


RUN = [page for page in PAGES if to_run(page)]


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_commands_that_are_to_be_run_do_what_the_page_says(page, tmp_path):
    for name, code in files(page).items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    for command in to_run(page):
        program, *arguments = shlex.split(command.line, comments=True)
        if program == "torchrun":
            pytest.importorskip("torch")
        line = [sys.executable, *MODULES[program], *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        ran = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert command.output in ran.stdout, ran.stdout


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_file_of_the_readers_is_run(page):
    run, written = " ".join(command.line for command in to_run(page)), files(page)
    code = "\n".join(written.values())
    for name in written:
        assert name in run or f'"{Path(name).stem}:' in code, f"nothing runs {name}"


def words_of(line: str) -> list[list[str]]:
    """The simple commands of a line of the shell, without what they set in the environment."""
    parts = [shlex.split(part, comments=True) for part in line.split(" && ")]
    return [[word for k, word in enumerate(part) if k or not re.match(r"\w+=", word)] for part in parts]


def lines_of(page: Path) -> list[str]:
    """Every command of a page, those inside its sentences too."""
    shown = [command.line for block in blocks(page, "console") for command in commands(block)]
    return shown + INLINE.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_of_a_page_can_be_given(page):
    own = set(files(page))
    for line in lines_of(page):
        for program, *arguments in words_of(line):
            check(Path(program).name or program, arguments, own)


def check(program: str, arguments: list[str], own: set[str]) -> None:
    if program in ALONE:
        return
    checks = {"make": make, "pip": pip, "python": python, "python3": python, "pytest": run_by_pytest}
    assert program in {*checks, "torchrun", "c++", "muon"}, f"no test knows the command {program}"
    if program in checks:
        checks[program](arguments)
    for word in arguments:
        if word.endswith((".py", ".cpp", ".md")) and "-c" not in arguments:
            assert word in own or (ROOT / word).exists(), f"there is no file {word}"


def make(arguments: list[str]) -> None:
    for word in arguments:
        variable, assigned, _ = word.partition("=")
        assert f"$({variable})" in MAKEFILE if assigned else re.search(rf"^{word}:", MAKEFILE, re.MULTILINE), word


def pip(arguments: list[str]) -> None:
    for extras in re.findall(r"(?:^\.|deva-optim)\[([\w,]+)\]", "\n".join(arguments), re.MULTILINE):
        assert set(extras.split(",")) <= set(EXTRAS), extras


def python(arguments: list[str]) -> None:
    flag, *rest = arguments
    if flag == "-c":
        compile(rest[0], "<page>", "exec")
    elif flag == "-m" and rest[0] != "venv":
        run_as_module(*rest)
    elif flag.endswith(".py"):
        has_options((ROOT / flag).read_text(encoding="utf-8"), rest)


def run_as_module(name: str, *arguments: str) -> None:
    if name == "tests.fake_cupy" and arguments[0] == "kit":  # hands on what follows
        name, (_, *arguments) = "deva_conformance", arguments
    path = find_main(name)
    text = path.read_text(encoding="utf-8")
    if "typer.Typer(" not in text:
        has_options(text, list(arguments))
    elif all(find_spec(needed) for needed in ("typer", "rich", "threadpoolctl")):
        from typer.main import get_command

        module = import_module(f"{name}.__main__" if path.stem == "__main__" else name)
        parses(get_command(module.app), list(arguments))


def find_main(name: str) -> Path:
    """`python -m` of a package, or of a module of the kit."""
    found = [root / name.replace(".", "/") for root in (ROOT, ROOT / "conformance")]
    for path in (*(path / "__main__.py" for path in found), *(path.with_suffix(".py") for path in found)):
        if path.exists():
            return path
    raise AssertionError(f"module {name} does not exist")


def has_options(text: str, arguments: list[str]) -> None:
    """Of programs without typer: each option is written in the program."""
    for word in arguments:
        assert not word.startswith("--") or f'"{word}"' in text, word


def parses(command, arguments: list[str]) -> None:
    """Whether typer takes these arguments; with nothing to call, nothing is run."""
    for each in (command, *getattr(command, "commands", {}).values()):
        each.callback = None
    command.main(arguments, standalone_mode=False)


def run_by_pytest(arguments: list[str]) -> None:
    """With the kit's plugin: its options; elsewhere files, which `check` looks for."""
    from deva_conformance.pytest_plugin import pytest_addoption

    parser = argparse.ArgumentParser(exit_on_error=False)
    for option in ("-p", "-n"):
        parser.add_argument(option)
    parser.add_argument("files", nargs="*")
    pytest_addoption(SimpleNamespace(getgroup=lambda *_: SimpleNamespace(addoption=parser.add_argument)))
    parser.parse_args(arguments)


@pytest.mark.parametrize(
    "line",
    ["make nothing", "make gpu NOTHING=1", "python nothing.py", "python -m deva_conformance --nothing", "python -m nothing",
     "python -m benchmarks.gpu --nothing", "pytest tests/nothing.py", "pip install '.[nothing]'", "python -c '1 +'", "rm x"],
)  # fmt: skip
def test_a_wrong_command_is_noticed(line):
    [[program, *arguments]] = words_of(line)
    with pytest.raises(BaseException) as raised:  # click and argparse have their own
        check(program, arguments, set())
    assert not isinstance(raised.value, KeyboardInterrupt)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "toml")], ids=name_of)
def test_the_toml_of_a_page_is_toml(page):
    for block in blocks(page, "toml"):
        assert tomllib.loads(block.code)
