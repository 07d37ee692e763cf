"""The leaves of a pytree, by name."""

from collections import Counter
from typing import Any

import jax
from jax.tree_util import GetAttrKey, keystr


def named(tree: Any) -> tuple[dict[str, Any], Any]:
    """The leaves by dotted name, `None` among them, and the tree's structure.

    A box around one leaf, as `flax.nnx.Variable` is with its `value`, adds nothing to the name.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda x: x is None)
    below = Counter(path[:k] for path, _ in leaves for k in range(len(path)))

    def name(path: tuple) -> str:
        boxed = len(path) > 1 and path[-1] == GetAttrKey("value") and below[path[:-1]] == 1
        return keystr(path[:-1] if boxed else path, simple=True, separator=".")

    return {name(path): leaf for path, leaf in leaves}, structure
