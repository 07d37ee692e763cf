"""Reading the tables that `explain` prints."""

from itertools import pairwise


def rows(text: str) -> dict[str, dict[str, str]]:
    """Cells by parameter and column."""
    head, *lines = text.splitlines()
    starts = [head.index(f" {word}") + 1 if k else 0 for k, word in enumerate(head.split())] + [None]
    cells = [[line[a:b].strip() for a, b in pairwise(starts)] for line in lines]
    return {cell[0]: dict(zip(head.split(), cell, strict=True)) for cell in cells}
