"""What surrounds the code: workflows, citation, addresses and versions say the same as pyproject.toml."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import deva_core

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CLASSIFIERS = PROJECT["project"]["classifiers"]
PYTHONS = [c.rsplit(" ", 1)[1] for c in CLASSIFIERS if re.fullmatch(r".*:: Python :: \d\.\d+", c)]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = [path for path in sorted((ROOT / ".ci").iterdir()) if path.is_file()]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
HOST = "example.org"
"""Of the placeholder address. Whoever publishes the project changes this with pyproject.toml, and the test names the rest."""


def loaded(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs(path):
    return loaded(path)["jobs"]


def steps(path):
    return [step for job in jobs(path).values() for step in job["steps"]]


def test_ci_runs_on_the_pythons_that_the_classifiers_name():
    matrix = jobs(ROOT / ".github" / "workflows" / "ci.yml")["tests"]["strategy"]["matrix"]
    assert matrix["python"] == PYTHONS
    assert PROJECT["project"]["requires-python"] == f">={PYTHONS[0]}"


def test_the_lowest_versions_run_on_the_lowest_python():
    job = jobs(ROOT / ".github" / "workflows" / "ci.yml")["lowest"]
    [version] = [step["with"]["python-version"] for step in job["steps"] if "with" in step]
    assert version == PYTHONS[0]
    major, minor = version.split(".")
    assert f"!= ({major}, {minor})" in (ROOT / ".ci" / "lowest").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_pins_its_actions_and_runs_scripts_that_are_there(path):
    assert loaded(path)["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in jobs(path).values())
    for step in steps(path):
        assert "uses" in step or step["run"].startswith("bash .ci/"), "what CI does can be run without it"
        assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/any@v1"))
        assert (ROOT / step.get("run", "bash .ci/run").removeprefix("bash ")) in SCRIPTS


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_valid_and_names_targets_and_files_that_are_there(path):
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    assert path.stat().st_mode & 0o111, "it can be executed"
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target
    for file in re.findall(r"\btests/\w+\.py", text):
        assert (ROOT / file).exists(), file


def test_pre_commit_runs_the_linters_of_make_lint_and_downloads_nothing():
    [local] = loaded(ROOT / ".pre-commit-config.yaml")["repos"]
    hooks = local["hooks"]
    assert local["repo"] == "local" and all(hook["language"] == "system" for hook in hooks)
    recipe = re.search(r"^lint:.*?\n\n", MAKEFILE, re.MULTILINE | re.DOTALL)[0]
    linters = {Path(hook["entry"].split()[0]).name for hook in hooks}
    assert linters == {name for name in re.findall(r"\$\(BIN\)/([\w-]+)", recipe)} - {"python"}


def test_the_citation_has_this_version_licence_and_authors():
    citation = loaded(ROOT / "CITATION.cff")
    project = PROJECT["project"]
    assert citation["version"] == deva_core.__version__
    assert (citation["title"], citation["license"]) == (project["name"], project["license"])
    assert citation["authors"] == project["authors"]
    assert citation["keywords"] == project["keywords"]


def test_the_version_is_set_in_one_place_and_the_changelog_has_it():
    assert PROJECT["project"]["dynamic"] == ["version"] and "version" not in PROJECT["project"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "deva_core/__init__.py"
    headings = re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:2] == ["Unreleased", deva_core.__version__]


def made(folder, *targets):
    """What make would do in a folder that has the Makefile and what it depends on."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", "-n", *targets]  # under `make test` it would also say which folder it enters
    return subprocess.run(command, cwd=folder, env=alone, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_demo_installs_what_the_demo_needs_and_says_first_how_much(tmp_path):
    """And nothing where `make setup` was."""
    plan = made(tmp_path, "demo")
    assert "--group demo" in plan and "--group test" not in plan and "conformance" not in plan
    assert plan.index("GB on disk") < plan.index("--group demo") < plan.index("examples/digits.py")
    (tmp_path / ".venv").mkdir()
    for stamp in (".base", ".demo", ".done"):
        (tmp_path / ".venv" / stamp).touch()
    assert "pip install" not in made(tmp_path, "demo", "setup", "-o", "pyproject.toml", "-o", "constraints.txt")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_setup_ends_with_what_to_do_next_in_three_lines(tmp_path):
    said = made(tmp_path, "setup").rstrip().splitlines()[-4:]
    assert "What to do next:" in said[0]
    assert [("make demo" in said[1], "make test" in said[2], "deva_conformance" in said[3])] == [(True, True, True)]


def test_the_demos_group_and_extras_bring_all_that_it_imports():
    groups, extras = PROJECT["dependency-groups"], PROJECT["project"]["optional-dependencies"]
    extra = re.search(r"^DEMO_EXTRAS := (.*)", MAKEFILE, re.MULTILINE)[1].split()
    needs = [*groups["demo"], *(need for name in extra for need in extras[name])]
    brought = {re.split(r"[^\w-]", need, maxsplit=1)[0] for need in needs}
    files = [ROOT / "examples" / "digits.py", *(ROOT / "examples" / "demo").glob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    imported = set(re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE)) - sys.stdlib_module_names
    own = {"demo", "deva_core", "deva_jax", "deva_numpy", "deva_torch"}
    assert imported - own <= {{"scikit-learn": "sklearn"}.get(name, name) for name in brought}


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a clone")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_every_mention_of_the_address_is_pyprojects():
    """pyproject.toml sets it; the reader of any other file finds the same."""
    address, mentions = PROJECT["project"]["urls"]["Repository"], {}
    assert HOST in address
    for path in tracked():
        if path.exists() and path != Path(__file__) and path.suffix not in (".png", ".npz", ".safetensors"):
            text = path.read_text(encoding="utf-8", errors="ignore")
            mentions |= {
                (path.name, at): url for at, url in enumerate(re.findall(rf"https?://{HOST}[^\s\"'<>)\]]*", text))
            }
    assert {"CITATION.cff", "mkdocs.yml", "pyproject.toml"} <= {name for name, _ in mentions}
    assert {
        url for url in mentions.values() if url != address and not url.startswith((address + "/", address + ".git"))
    } == set()


def test_the_contact_for_security_is_set_in_one_file():
    written = [path for path in tracked() if path.exists() and f"security@{HOST}".encode() in path.read_bytes()]
    assert written == [ROOT / "SECURITY.md"]


def test_an_issue_asks_for_what_explains_it():
    form = loaded(ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml")
    fields = {part["id"]: part for part in form["body"]}
    assert "explain()" in fields["explain"]["attributes"]["description"]
    assert "--reproduce" in fields["reproduce"]["attributes"]["description"]
    assert fields["versions"]["validations"]["required"]
