"""Layouts and a decay mask by path, from the names that flax, equinox and haiku use."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, TypedDict

from deva_core.lookup import Route, layout_lookup
from deva_core.messages import answered, nearest
from deva_jax._transform import Params, check_leaves, jax_layout
from deva_jax._tree import named

VECTOR = re.compile("bias.*|scale|offset|gamma|beta")
NORM = re.compile(r"norm|(^|_)ln(_|\d|$)", re.IGNORECASE)
EMBEDDING = re.compile(r"embed|^w[tp]e$|token|position", re.IGNORECASE)
HEAD = re.compile("head|lm_head|classifier|score|logits|unembed|unembedding|output_projection")
ATTENTION = {**dict.fromkeys(("query", "key", "value"), "in out_heads out_dim"), "out": "in_heads in_dim out"}
"""flax stores the heads of attention kernels in an axis of their own. Together they form the one matrix that torch has."""


class Routes(TypedDict):
    """The result of `routes`: two arguments of the factories, as in `muon(0.02, **routes(params))`."""

    layout: dict[str, Route]
    weight_decay_mask: dict[str, bool]


@answered("deva_jax.routes")
def routes(params: Params, *, layout: Any = None, heads: Iterable[str] = (), scanned: Iterable[str] = ()) -> Routes:
    """Route each parameter by its path: returns the arguments `layout` and `weight_decay_mask` of every factory.

    Kernels are matrices, including those of flax's attention and convolutions. Embeddings and output heads go to the vector
    rule. So do biases and norms of any shape, which do not decay. docs/routing.md lists the names.

    Args:
        params: a pytree of arrays, or of `jax.ShapeDtypeStruct`s.
        layout: layouts for parameters whose names do not decide, or to override them: a mapping by path, in which `*`
            stands for any characters, or a function of path and shape.
        heads: paths of output heads with other names, `*` allowed.
        scanned: paths of parameters whose first axis counts layers, as `flax.linen.scan` stacks them, `*` allowed.

    Raises:
        ValueError: a parameter needs a layout, or a path does not exist.
        TypeError: a leaf is not an array.

    Example:
        >>> import jax.numpy as jnp
        >>> from deva_core import Muon
        >>> from deva_jax import explain, muon, routes
        >>> params = {"blocks": {"kernel": jnp.ones((3, 4, 8)), "bias": jnp.ones((3, 8))}, "head": {"kernel": jnp.ones((8, 2))}}
        >>> routing = routes(params, scanned=["blocks.*"])
        >>> print(explain(params, Muon(), **routing))
        parameter      shape  layout         rule   lr    ratio  lr×ratio  factor  step   decay  why
        blocks.bias    3×8    -              AdamW  0.02  0.2    0.004     -       0.004  0      not a matrix
        blocks.kernel  3×4×8  layers in out  Muon   0.02  -      0.02      1.41    0.01   0      named 'kernel', scanned
        head.kernel    8×2    -              AdamW  0.02  0.2    0.004     -       0.004  0.01   output head
        >>> optimizer = muon(0.02, **routing)
    """
    leaves, _ = named(params)
    check_leaves(leaves)
    heads, scanned = ([paths] if isinstance(paths, str) else list(paths) for paths in (heads, scanned))
    shapes = {name: tuple(W.shape) for name, W in leaves.items() if W is not None}
    for pattern in (*heads, *scanned):
        if not any(fnmatchcase(name, pattern) for name in shapes):
            close = nearest(pattern, shapes)
            hint = f"did you mean {close!r}?" if close else f"there are {', '.join([*shapes][:8])}"
            raise ValueError(f"routes names a path {pattern!r} that does not exist; {hint}")
    said = layout_lookup(layout, shapes)
    result = Routes(layout={}, weight_decay_mask={})
    for name, shape in shapes.items():
        stack = any(fnmatchcase(name, pattern) for pattern in scanned)
        given, leaf = said(name, shape), Leaf(name, shape[stack:])
        if given is None:
            given = leaf.route(any(fnmatchcase(name, pattern) for pattern in heads))
            given = in_stack(given) if stack else given
        result["layout"][name] = given if isinstance(given, Route) else Route(given, "layout given")
        result["weight_decay_mask"][name] = not leaf.is_vector
    return result


def in_stack(route: Route) -> Route:
    """The route of a scanned parameter, from that of one layer's."""
    return route if route.layout == "vector" else Route(f"layers {route.layout}", f"{route.why}, scanned")


class Leaf:
    """One layer's parameter, by its path. Paths of nnx end in `value`."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name, self.shape = name.removesuffix(".value"), shape
        *self.parents, self.last = self.name.split(".")

    @property
    def is_vector(self) -> bool:
        """Whether it is a vector: a bias or a norm of any shape, or fewer than two axes longer than 1."""
        norm = self.last == "weight" and any(NORM.search(part) for part in self.parents[-1:])
        return sum(n > 1 for n in self.shape) < 2 or norm or bool(VECTOR.fullmatch(self.last))

    @property
    def is_embedding(self) -> bool:
        """Whether it is a table of vectors. A kernel under such a name belongs to a patch embedding, and is a matrix."""
        if self.last == "kernel" or len(self.shape) > 3:
            return False
        return any(EMBEDDING.search(part) for part in (self.last, *self.parents[-1:]))

    def route(self, is_head: bool) -> Route:
        """Its layout and why."""
        if self.is_vector:
            return Route("vector", "not a matrix")
        if self.is_embedding:
            return Route("vector", "named like an embedding")
        if is_head or any(HEAD.fullmatch(part) for part in self.parents):
            return Route("vector", "output head")
        return self.matrix()

    def matrix(self) -> Route:
        """The layout of a matrix."""
        parent = self.parents[-1] if self.parents else ""
        if self.last == "kernel" and len(self.shape) == 3:
            if parent in ATTENTION:
                return Route(ATTENTION[parent], f"attention's {parent!r}")
            if "conv" in parent.lower():
                return Route("k in out", "a convolution in flax")
        return Route(*jax_layout(self.name, self.shape))
