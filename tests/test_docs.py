"""What the pages say is so: their Python runs, their outputs are what it prints, their quotations are the code.

In Markdown, ```python blocks are executed and ```pycon blocks compared with their output: the blocks of a file in order,
in one namespace and an empty folder. ```py blocks are shown only. Blocks that need a missing framework are left out, and
so are later ones that need their names.
"""

import ast
import doctest
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from threadpoolctl import threadpool_limits

from deva_core import RULES, AdaGO, AdamW, DeVA, DeVAVector, Muon, hyperparameters

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
JAX = ("jax", "optax")
NEEDS = {
    "dask": ("dask",),
    "marray": ("marray",),
    "mlx": ("mlx",),
    "torch": ("torch",),
    "deva_torch": ("torch",),
    "deva_cupy": ("cupy",),
    "cupy": ("cupy",),
}
NEEDS |= dict.fromkeys((*JAX, "deva_jax"), JAX)
NEEDS |= {name: (name,) for name in ("flax", "equinox", "orbax")}
KINDS = {"python", "pycon", "py", "text", "console", "toml"}
RULE_PAGES = {Muon: "muon", AdaGO: "adago", DeVA: "deva", DeVAVector: "deva-vector", AdamW: "adamw"}
FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>python|pycon)\n(?P<code>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    kind: str
    code: str
    line: int


def blocks(page: Path) -> list[Block]:
    text, found = page.read_text(encoding="utf-8"), []
    opened = re.findall(r"^ *```(.*)", text, re.MULTILINE)[::2]
    assert set(opened) <= KINDS, "a fence of another kind would not be run"
    for match in FENCE.finditer(text):
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        found.append(Block(match["kind"], code, text[: match.start()].count("\n") + 1))
    return found


def source(block: Block) -> str:
    """A block's Python, without prompts and outputs."""
    if block.kind == "python":
        return block.code
    return "".join(example.source for example in doctest.DocTestParser().get_examples(block.code))


def is_missing(module: str) -> bool:
    """Whether a block that imports this cannot run here. CuPy needs a device as well."""
    root = module.partition(".")[0]
    if any(find_spec(name) is None for name in NEEDS.get(root, ())):
        return True
    return root in ("cupy", "deva_cupy") and not cuda_devices()


def cuda_devices() -> int:
    code = "import cupy; print(cupy.cuda.runtime.getDeviceCount())"
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    return int(found.stdout) if found.returncode == 0 else 0


def imports(tree: ast.AST) -> set[str]:
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def names(tree: ast.Module) -> tuple[set[str], set[str]]:
    """The names that a block makes, and those that it reads without having made them."""
    made, read = set(), set()
    for statement in tree.body:
        nodes = list(ast.walk(statement))
        found = [node for node in nodes if isinstance(node, ast.Name)]
        stored = {node.id for node in found if isinstance(node.ctx, ast.Store)}
        loaded = {node.id for node in found if isinstance(node.ctx, ast.Load)}
        read |= loaded - made - (set() if isinstance(statement, ast.Assign) else stored)
        made |= stored | {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        aliases = [alias for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]
        made |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
    return made, read


def execute(page: Path, block: Block, module: ModuleType) -> None:
    if block.kind == "python":
        code = "\n" * block.line + block.code  # tracebacks then give the page's own lines
        exec(compile(code, str(page), "exec"), module.__dict__)
        return
    test = doctest.DocTestParser().get_doctest(block.code, {}, page.name, str(page), block.line)
    test.globs = module.__dict__
    runner, report = doctest.DocTestRunner(), []
    runner.run(test, out=report.append, clear_globs=False)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module, lost, left_out = ModuleType("page"), set(), []
    monkeypatch.setitem(sys.modules, "page", module)
    found = blocks(page)
    for block in found:
        tree = ast.parse(source(block))
        made, read = names(tree)
        missing = {name for name in imports(tree) if is_missing(name)} | (read & lost)
        if missing:
            left_out.append(f"line {block.line} needs {', '.join(sorted(missing))}")
            lost |= made - module.__dict__.keys()
        else:
            with threadpool_limits(1):  # small matrices on busy cores: two threads wait for each other
                execute(page, block, module)
    if found and len(left_out) == len(found):
        pytest.skip("; ".join(left_out))


def test_a_wrong_output_and_a_failing_block_are_noticed():
    page, module = Path("page.md"), ModuleType("page")
    with pytest.raises(AssertionError, match="Expected"):
        execute(page, Block("pycon", ">>> 1 + 1\n3\n", 1), module)
    with pytest.raises(ZeroDivisionError):
        execute(page, Block("python", "1 / 0", 1), module)


CORE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "deva_core").glob("*.py")))


@pytest.mark.parametrize("rule", RULES)
def test_the_page_of_a_rule_quotes_its_module(rule):
    """The box is the docstring's; each line of the table is in the box, and beside it lines of the code."""
    text = (ROOT / "docs" / "rules" / f"{RULE_PAGES[rule]}.md").read_text(encoding="utf-8")
    box = re.search(r"```text\n(.*?)```", text, re.DOTALL)[1]
    docstring = sys.modules[rule.__module__].__doc__
    assert [line.strip() for line in box.splitlines()] == [
        line.strip() for line in docstring.splitlines() if line.startswith("    ")
    ]
    rows = re.search(r"\| the algorithm \| the code.*?\n\|---\|---\|\n(.*?)\n\n", text, re.DOTALL)[1].splitlines()
    assert len(rows) >= 4
    for row in rows:
        algorithm, code = row.strip("| ").split(" | ", 1)
        assert algorithm.strip("`") in box, algorithm
        for line in re.findall(r"`([^`]+)`", code):
            assert line in CORE, line


@pytest.mark.parametrize("rule", RULES)
def test_the_page_of_a_rule_names_its_fields_and_the_dialects_page_its_policies(rule):
    page = (ROOT / "docs" / "rules" / f"{RULE_PAGES[rule]}.md").read_text(encoding="utf-8")
    dialects = (ROOT / "docs" / "dialects.md").read_text(encoding="utf-8")
    for name, hyper in hyperparameters(rule).items():
        assert f"`{name}`" in (dialects if hyper.policy else page), name
        for value in hyper.choices or () if hyper.policy else ():
            assert f'"{value}"' in dialects or f"`{value}`" in dialects, (name, value)
    for name in rule.State._fields:
        assert f"`{name}`" in page, name
    for name in rule.DIALECTS:
        assert f'`"{name}"`' in page and f'`"{name}"`' in dialects, name


def test_the_site_builds_without_warnings_and_loads_nothing_from_elsewhere(tmp_path):
    for module in ("mkdocs", "material", "mkdocstrings"):
        if not find_spec(module):
            pytest.skip(f"{module} is not installed: `make docs` brings it")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    for page in tmp_path.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r'<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//', text), page
        assert not re.search(r'<link[^>]*rel="(?:stylesheet|preconnect|icon)"[^>]*href="(?:https?:)?//', text), page
