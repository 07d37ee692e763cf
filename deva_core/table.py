"""Plain text tables."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces apart.

    Example:
        >>> from deva_core.table import table
        >>> print(table(("name", "shape"), [("weight", "4×3"), ("b", "4")]))
        name    shape
        weight  4×3
        b       4
    """
    lines = [head, *rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)
