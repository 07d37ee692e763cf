"""What is in the pages: their blocks of code, the files among them, and their commands.

| fence | what tests do with it |
|---|---|
| ```python | executed, the blocks of a page in order, in one namespace and an empty folder |
| ```pycon | executed likewise, its outputs compared |
| ```python title="examples/…" | a quotation: compared with that file, `...` standing for what is left out |
| ```python title="mine.py" | a file of the reader's: written into a folder, where commands of the page run it |
| ```console | after `<!-- run -->` executed, its outputs compared; elsewhere its arguments are checked |
| ```toml | parsed |
| ```text | not code |

There is no other kind.
"""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
OPENING = re.compile(r"^ *```(.*)", re.MULTILINE)
KINDS = re.compile(r'python(?: title="[^"]+")?|pycon|text|console|toml')
FENCE = re.compile(
    r"(?P<run><!-- run -->\n\n)?"
    r'^(?P<indent> *)```(?P<kind>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^(?P=indent)```',
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    kind: str
    code: str
    line: int
    title: str | None = None
    run: bool = False


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def unknown_fences(text: str) -> list[str]:
    return [opened for opened in OPENING.findall(text)[::2] if not KINDS.fullmatch(opened)]


def blocks_of(text: str) -> list[Block]:
    found = []
    for match in FENCE.finditer(text):
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        line = text[: match.start("kind")].count("\n") + 1
        found.append(Block(match["kind"], code, line, match["title"], bool(match["run"])))
    return found


def blocks(page: Path, *kinds: str) -> list[Block]:
    """A page's blocks of these kinds; without one, all."""
    found = blocks_of(page.read_text(encoding="utf-8"))
    return [block for block in found if not kinds or block.kind in kinds]


def is_quotation(block: Block) -> bool:
    return bool(block.title) and (ROOT / block.title).exists()


def files(page: Path) -> dict[str, str]:
    """The files that a page has its reader write."""
    found = blocks(page, "python")
    return {block.title: block.code for block in found if block.title and not is_quotation(block)}


class Command(NamedTuple):
    line: str
    output: str


def commands(block: Block) -> list[Command]:
    """What follows each prompt of a ```console block, and what it prints."""
    found = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.code, re.MULTILINE)
    return [Command(line, output) for line, output in found]
