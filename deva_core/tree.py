"""Nested containers of arrays: dicts, lists, tuples and named tuples, with a dotted name for each leaf."""

from collections.abc import Iterator, Mapping
from typing import Any


def children(tree: Any) -> Iterator[tuple[Any, Any]] | None:
    """The keys and values of a container; None for a leaf."""
    if isinstance(tree, Mapping):
        return iter(tree.items())
    if isinstance(tree, list | tuple):
        return iter(enumerate(tree))
    return None


def walk(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each leaf with its name; `None` counts as absent."""
    items = children(tree)
    if items is None:
        if tree is not None:
            yield prefix, tree
        return
    for key, child in items:
        yield from walk(child, f"{prefix}.{key}" if prefix else str(key))


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves by name.

    Raises:
        ValueError: two leaves have one name (a key that contains a dot beside a nested container).

    Example:
        >>> from deva_core.tree import named_leaves
        >>> named_leaves({"layers": [{"weight": 1, "bias": None}, {"weight": 2}]})
        {'layers.0.weight': 1, 'layers.1.weight': 2}
    """
    leaves: dict[str, Any] = {}
    for name, leaf in walk(tree):
        if name in leaves:
            raise ValueError(f"two parameters are named {name!r}: rename one of the keys that contain a dot")
        leaves[name] = leaf
    return leaves


def with_leaves(tree: Any, leaves: Mapping[str, Any], prefix: str = "") -> Any:
    """The same containers with the named leaves in place of their own; others are kept."""
    if children(tree) is None:
        return tree if tree is None else leaves.get(prefix, tree)
    name = (prefix + "." if prefix else "") + "{}"
    rebuild: Any = type(tree)
    if isinstance(tree, Mapping):
        return rebuild({key: with_leaves(child, leaves, name.format(key)) for key, child in tree.items()})
    new = [with_leaves(child, leaves, name.format(k)) for k, child in enumerate(tree)]
    return rebuild(*new) if hasattr(tree, "_fields") else rebuild(new)
