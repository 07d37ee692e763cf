"""Every public name has an example that runs (`make test` runs doctests), or a stated reason to have none."""

import ast
import doctest
import importlib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "deva_core": "deva_core",
    "deva_torch": "backends/deva_torch",
    "deva_jax": "backends/deva_jax",
    "deva_numpy": "backends/deva_numpy",
    "deva_cupy": "backends/deva_cupy",
}
FRAMEWORKS = {"deva_torch": "torch", "deva_jax": "jax", "deva_cupy": "cupy"}
REASONS = {
    "deva_core.JORDAN": "a constant",
    "deva_core.POLAR_EXPRESS": "a constant",
    "deva_core.QUINTIC_5": "a constant",
    "deva_core.RULES": "a constant",
    "deva_core.SPECIFICATION": "a constant",
}
NOT_RUN = {"deva_cupy": "CuPy needs a GPU: its examples are there, but skipped"}


def exported(package: str) -> list[str]:
    """What a package's `__init__` imports or assigns under a name without an underscore; read, not imported."""
    tree = ast.parse((ROOT / PACKAGES[package] / "__init__.py").read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    imported = [a.asname for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names if a.asname]
    assigned = [t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)]
    return sorted(name for name in {*imported, *assigned} if not name.startswith("_") and name != "HOMES")


def docstrings(package: str) -> dict[str, str]:
    """Of every function and class at the top of the package's modules, by name."""
    found = {}
    for path in sorted((ROOT / PACKAGES[package]).glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and (text := ast.get_docstring(node)):
                found.setdefault(node.name, text)
    return found


def examples(text: str) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(text)


NAMES = [f"{package}.{name}" for package in PACKAGES for name in exported(package)]


def test_the_names_read_are_those_there():
    """That nothing is overlooked: what users can import is what was read, submodules and imports for use apart."""
    for package in PACKAGES:
        if package == "deva_cupy" or not find_spec(FRAMEWORKS.get(package, "numpy")):
            continue
        module = importlib.import_module(package)
        there = {n for n, x in vars(module).items() if not n.startswith("_") and not hasattr(x, "__path__")}
        there -= {n for n in there if type(getattr(module, n)).__name__ == "module"}
        assert there == set(exported(package))


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_an_example_that_runs(name):
    package, _, short = name.partition(".")
    if name in REASONS:
        assert short.isupper(), "only constants go without"
        return
    found = examples(docstrings(package).get(short, ""))
    assert found, f"{name} has no example, and no reason in this file"
    if package not in NOT_RUN:
        assert not any(doctest.SKIP in example.options for example in found)


def test_the_examples_are_among_those_that_the_suite_runs():
    import tomllib

    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert "--doctest-modules" in options["addopts"] and {"deva_core", "backends"} <= set(options["testpaths"])


def test_reasons_are_given_for_names_that_exist():
    assert REASONS.keys() <= set(NAMES)


def test_a_name_without_an_example_would_be_found():
    assert not examples("Does something.") and examples("Does something.\n\n>>> 1 + 1\n2\n")
