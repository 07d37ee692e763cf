"""The leaves of a pytree, by name."""

from typing import Any

import jax


def named(tree: Any) -> tuple[dict[str, Any], Any]:
    """The leaves by dotted name, `None` among them, and the tree's structure."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda x: x is None)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}, structure
