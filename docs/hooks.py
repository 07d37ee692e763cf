"""mkdocs hook: the table of laws, read from the kit's sources, so that the page cannot lag behind them."""

import ast
from pathlib import Path

MARK = "<!-- laws -->"
LAWS = Path(__file__).parent.parent / "conformance" / "deva_conformance" / "laws"


def law_id(module: ast.Module) -> str | None:
    """The id in `LAW = module_law("id", …)`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "module_law" and node.args:
            return ast.literal_eval(node.args[0])
    return None


def rows() -> list[str]:
    """A row for each module that holds a law: its id and the first sentence of its docstring."""
    found = []
    for path in sorted(LAWS.glob("[a-z]*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        if name := law_id(module):
            sentence = " ".join((ast.get_docstring(module) or "").split("\n\n")[0].split())
            found.append(f"| `{name}` | {sentence.replace('|', chr(92) + '|')} |")
    return found


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the table where the mark is."""
    return markdown.replace(MARK, "\n".join(["| law | what holds |", "|---|---|", *rows()]))
