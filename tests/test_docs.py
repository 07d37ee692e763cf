"""What the pages say is so: their Python runs, their outputs are what it prints, their quotations are the code.

`tests.pages` says what each kind of block is held to; `test_docs_commands` does the commands. Blocks that need a missing
framework are left out, and so are later ones that need their names.
"""

import ast
import doctest
import re
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest
from threadpoolctl import threadpool_limits

from deva_core import RULES, AdaGO, AdamW, DeVA, DeVAVector, Muon, hyperparameters
from tests.pages import PAGES, ROOT, Block, blocks, is_quotation, name_of, unknown_fences

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
RULE_PAGES = {Muon: "muon", AdaGO: "adago", DeVA: "deva", DeVAVector: "deva-vector", AdamW: "adamw"}


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


def trace_only(monkeypatch):
    """`torch.compile` traces and leaves C++ alone: a minute less. `test_torch_compile` compiles."""
    import torch

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module, lost, left_out = ModuleType("page"), set(), []
    monkeypatch.setitem(sys.modules, "page", module)
    found = [block for block in blocks(page, "python", "pycon") if not block.title]
    if find_spec("torch") and any("torch.compile(" in block.code for block in found):
        trace_only(monkeypatch)
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


def squeezed(code: str) -> str:
    """Without white space: a quotation is indented and broken as its page wants it."""
    return "".join(code.split())


def quotes(block: Block, text: str) -> bool:
    """Whether the pieces of a block, between lines of `...`, are in a file's text one after the other."""
    rest = squeezed(text)
    for piece in map(squeezed, re.split(r"^\.\.\.$", block.code, flags=re.MULTILINE)):
        _, found, rest = rest.partition(piece) if piece else ("", "", "")
        if not found:
            return False
    return True


QUOTED = [(page, block) for page in PAGES for block in blocks(page, "python") if is_quotation(block)]


@pytest.mark.parametrize(("page", "block"), QUOTED, ids=[f"{name_of(page)}:{block.line}" for page, block in QUOTED])
def test_a_quotation_is_in_the_example_that_it_names(page, block):
    assert Path(block.title).parts[0] == "examples", "what is quoted is run: the tests of examples see to those only"
    assert quotes(block, (ROOT / block.title).read_text(encoding="utf-8")), block.code


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_has_no_fence_that_no_test_looks_at(page):
    assert not unknown_fences(page.read_text(encoding="utf-8"))


def test_a_wrong_quotation_and_an_unknown_fence_are_noticed():
    def quoted(code):
        return quotes(Block("python", code, 1), "def f():\n    a = 1\n    b = 2\n    c = 3\n")

    assert quoted("a = 1\nb = 2\n") and quoted("a = 1\n...\nc = 3\n")
    assert not any(map(quoted, ("a = 2\n", "a = 1\nc = 3\n", "c = 3\n...\na = 1\n", "")))
    for fence in ("py", 'pycon title="mine.py"', ""):
        assert unknown_fences(f"```{fence}\n1\n```\n") == [fence]


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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The text of each page of the built site."""
    for module in ("mkdocs", "material", "mkdocstrings"):
        if not find_spec(module):
            pytest.skip(f"{module} is not installed: `make docs` brings it")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.html")}


def test_the_site_loads_nothing_from_elsewhere(site):
    for page, text in site.items():
        assert not re.search(r'<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//', text), page
        assert not re.search(r'<link[^>]*rel="(?:stylesheet|preconnect|icon)"[^>]*href="(?:https?:)?//', text), page


def test_every_anchor_that_a_page_links_to_is_there(site):
    """MkDocs lets some pass."""
    anchors = {page: set(re.findall(r'\sid="([^"]+)"', text)) for page, text in site.items()}
    for page, text in site.items():
        for path, anchor in re.findall(r'\shref="([^":#]*)#([^"]+)"', text):
            target = (page.parent / path).resolve() if path else page
            assert unquote(anchor) in anchors[target], f"{page.name}: {path}#{anchor}"


def test_the_reference_gives_defaults_and_not_the_calls_that_make_fields(site):
    [text] = (text for page, text in site.items() if page.parts[-2:] == ("api", "core.html"))
    defaults = re.findall(r"default:\s*(\S+)", re.sub(r"<[^>]+>", "", text))
    assert {"0.02", "0.95", "JORDAN"} <= set(defaults)
    assert not [default for default in defaults if re.match(r"(?:hyper|option|policy|flag)\(", default)]
