"""The verdicts of one form beside the published ones."""

from benchmarks.papers import page
from benchmarks.papers.report import Result, Rows

HEAD = [*page.VERDICT_HEAD, "published"]
MISSING = "–"


def beside(name: str, found: Result, published: Result) -> Rows:
    """Each claim's row with the published verdict behind it; a claim that only one of them has counts as well.

    Args:
        name: of the experiment.
        found: what was run now.
        published: of the same experiment.
    """
    verdicts = page.VERDICTS[name]
    known = {tuple(row[:2]): row[-1] for row in verdicts(published)}
    rows = [[*row, known.pop((row[0], row[1]), MISSING)] for row in verdicts(found)]
    return rows + [[*claim, MISSING, MISSING, verdict] for claim, verdict in known.items()]


def differing(rows: Rows) -> list[str]:
    """Claims whose two verdicts are not the same.

    Example:
        >>> differing([["DeVA", "a", "1", "yes", "yes"], ["DeVA", "b", "2", "yes", "no"]])
        ['b']
    """
    return [row[1] for row in rows if row[-2] != row[-1]]
