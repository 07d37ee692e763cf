"""The version of the arithmetic: which trajectory a rule's name stands for (docs/versioning.md).

Two releases with the same version agree to rounding: they may multiply, stack and add in another order. Any other change to
the parameters that a run arrives at makes a new version: a constant, a default, an order of operations that differs in
exact arithmetic, or the convention that gives a parameter its rule.
"""

from collections.abc import Iterable, Mapping

SPECIFICATION = 2

CHANGES: Mapping[int, tuple[str, ...]] = {2: ("AdaGO", "AdamW", "DeVAVector")}
"""For each version after the first: the rules whose trajectories it changed."""


class SpecificationWarning(UserWarning):
    """Warns that a loaded run continues under another version of the arithmetic than it began with.

    Example:
        >>> import warnings
        >>> from deva_core import SpecificationWarning
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("error", SpecificationWarning)  # for those who would rather stop
    """


def changed_since(version: int, rules: Iterable[str]) -> dict[int, list[str]]:
    """Which of these rules later versions changed, by version.

    Example:
        >>> from deva_core.specification import SPECIFICATION, changed_since
        >>> changed_since(SPECIFICATION, ["Muon"])
        {}
    """
    rules = set(rules)
    found = {later: sorted(rules & set(names)) for later, names in CHANGES.items() if later > version}
    return {later: names for later, names in sorted(found.items()) if names}
