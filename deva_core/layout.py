"""Layouts: a string of axis names that says how a parameter forms a matrix.

| pattern | the matrix |
|---|---|
| `out in` | as it is (torch, equinox) |
| `in out` | its transpose (flax kernels) |
| `batch out in`, `... out in` | a stack of matrices; `...` stands for any number of leading axes |
| `out in kh kw`, `kh kw in out` | a convolution, flattened: `out × (in kh kw)` |
| `(q k v) in` | three matrices, one below the other (sizes: equal, or `Layout("(q k v) in", q=512, k=128, v=128)`) |
| `(heads dim) in` | one matrix `dim × in` per head: `Layout("(heads dim) in", heads=12)` |
| `in out_heads out_dim` | one matrix whose rows are stored in two axes |

`out` and `out_…` name rows. `in`, `in_…` and the kernel axes `k kd kh kw` name columns. `batch heads experts layers` are
stacked. `dim` is whichever side no other name takes. Other names in parentheses are blocks, each a matrix of its own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from deva_core.backend import Array, Backend
from deva_core.messages import brief, nearest

ROWS, COLUMNS, BATCH = "rows", "columns", "batch"
ROLES = {
    "out": ROWS,
    **dict.fromkeys(("in", "k", "kd", "kh", "kw"), COLUMNS),
    **dict.fromkeys(("batch", "heads", "experts", "layers"), BATCH),
}
KNOWN = (*ROLES, "dim")
SIDES = {"out_": ROWS, "in_": COLUMNS}
"""Prefixes of names that make up part of a side: flax stores the heads of an attention kernel in a separate axis."""


@lru_cache
def parse(pattern: str) -> tuple[tuple[str, ...], ...]:
    """The axes of a pattern, each a tuple of one or more names."""
    axes, group = [], None
    for token in pattern.replace("(", " ( ").replace(")", " ) ").split():
        if token == "(" and group is None:
            group = []
        elif token == ")" and group:
            axes.append(tuple(group))
            group = None
        elif token in "()":
            raise ValueError(f"layout {pattern!r} has unbalanced, nested or empty parentheses")
        else:
            (axes if group is None else group).append((token,) if group is None else token)
    if group is not None:
        raise ValueError(f"layout {pattern!r} has a parenthesis that is not closed")
    check_names(pattern, tuple(axes))
    return tuple(axes)


def check_names(pattern: str, axes: tuple[tuple[str, ...], ...]) -> None:
    """Raise unless the names make a matrix."""
    names = [name for axis in axes for name in axis]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise ValueError(f"layout {pattern!r} names the axis {repeated!r} twice")
    stray = next((axis[0] for axis in axes if len(axis) == 1 and not (is_known(axis[0]) or axis[0] == "...")), None)
    if stray:
        close = nearest(stray.lower(), (*KNOWN, "vector"), 0.75)
        hint = f"did you mean {close!r}?" if close else f"known names are {', '.join(KNOWN)}, out_…, in_… and ..."
        raise ValueError(f"layout {pattern!r}: unknown axis {stray!r}; {hint}")
    if "..." in names and names[0] != "...":
        raise ValueError(f"layout {pattern!r}: '...' must come first")
    if sum(map(is_blocks, axes)) > 1:
        raise ValueError(f"layout {pattern!r}: only one axis may consist of blocks")
    sides = {own_role(name) for axis in axes if not is_blocks(axis) for name in axis} - {BATCH, None}
    if len(sides) + any(is_blocks(axis) or "dim" in axis for axis in axes) != 2:
        raise ValueError(f"layout {pattern!r} must name one output and one input side, as in 'out in'")


def is_blocks(axis: tuple[str, ...]) -> bool:
    """Whether an axis is a concatenation of blocks rather than a product of axes."""
    return len(axis) > 1 and not any(is_known(name) and name != "k" for name in axis)  # k: a kernel axis, or keys


def is_known(name: str) -> bool:
    """Whether a name has a meaning of its own."""
    return name == "dim" or own_role(name) is not None


def own_role(name: str) -> str | None:
    """The role that a name has in every pattern; None if it depends on the other names."""
    return ROLES.get(name) or next((role for start, role in SIDES.items() if name.startswith(start)), None)


@dataclass(frozen=True, init=False)
class Layout:
    """How a parameter forms a matrix, or several. This module's table and docs/layouts.md list the patterns.

    Args:
        pattern: axis names, in the order of the parameter's axes.
        sizes: lengths of named axes or blocks that the shape does not determine.

    Raises:
        ValueError: the pattern does not describe a matrix, or a size is negative or names an axis that is not in it.
        TypeError: the pattern is not a string.

    Example:
        >>> import numpy as np
        >>> from deva_core import Backend, Layout
        >>> W = np.arange(12.0).reshape(6, 2)
        >>> parts = Layout("(q k v) in", q=4, k=1, v=1).split(W, Backend.of(W))
        >>> {name: part.shape for name, part in parts.items()}
        {'q': (4, 2), 'k': (1, 2), 'v': (1, 2)}
    """

    pattern: str
    sizes: tuple[tuple[str, int], ...] = ()

    def __init__(self, pattern: str, **sizes: int) -> None:
        if not isinstance(pattern, str):
            raise TypeError(f"a Layout's pattern must be a string such as 'out in', got {brief(pattern)}")
        bad = next((name for name, size in sizes.items() if type(size) is not int or size < 0), None)
        if bad:
            raise ValueError(
                f"layout {pattern!r}: the size of {bad!r} must be an integer >= 0, got {brief(sizes[bad])}"
            )
        names = {name for axis in parse(pattern) for name in axis}
        unknown = next((name for name in sizes if name not in names), None)
        if unknown:
            raise ValueError(f"layout {pattern!r} has no axis {unknown!r}")
        object.__setattr__(self, "pattern", " ".join(pattern.split()))
        object.__setattr__(self, "sizes", tuple(sorted(sizes.items())))

    def __str__(self) -> str:
        return self.pattern + "".join(f" {name}={size}" for name, size in self.sizes)

    def axes(self, shape: tuple[int, ...]) -> tuple[tuple[str, ...], ...]:
        """The names of each axis of a parameter of this shape, `...` written out."""
        axes = parse(self.pattern)
        if axes[0] == ("...",):
            leading = len(shape) - len(axes) + 1
            axes = tuple((f"...{k}",) for k in range(leading)) + axes[1:]
        if len(axes) != len(shape):
            raise ValueError(f"layout {self.pattern!r} names {len(axes)} axes, but the shape {shape} has {len(shape)}")
        return axes

    def lengths(self, axis: tuple[str, ...], size: int) -> dict[str, int]:
        """The length of each name of an axis of this size."""
        given = {name: length for name, length in self.sizes if name in axis}
        missing = [name for name in axis if name not in given]
        if len(axis) == 1:
            lengths = {axis[0]: size}
        elif is_blocks(axis):
            rest = size - sum(given.values())
            lengths = given | {name: rest // len(missing) for name in missing}
        else:
            rest = size // max(1, math.prod(given.values()))
            lengths = given | ({missing[0]: rest} if len(missing) == 1 else {})
        total = sum(lengths.values()) if is_blocks(axis) else math.prod(lengths.values())
        if len(lengths) < len(axis) or total != size or any(given[n] != lengths[n] for n in given):
            example = ", ".join(f"{name}=…" for name in axis[: len(axis) - (not is_blocks(axis))])
            raise ValueError(
                f"layout {self.pattern!r}: an axis of length {size} does not split into {' '.join(axis)}"
                f" with sizes {given}; give the sizes as Layout({self.pattern!r}, {example})"
            )
        return {name: lengths[name] for name in axis}

    def plan(self, shape: tuple[int, ...]) -> "Plan":
        """How to cut, reshape and permute a parameter of this shape."""
        shape = tuple(shape)
        if shape not in self.plans:
            self.plans[shape] = plan(self, shape)
        return self.plans[shape]

    @cached_property
    def plans(self) -> dict[tuple[int, ...], "Plan"]:
        """The plans made so far, by shape."""
        return {}

    def split(self, W: Array, b: Backend) -> dict[str, Array]:
        """The matrices `(…, out, in)` of a parameter, by block name; a parameter without blocks is named `""`."""
        p, parts = self.plan(W.shape), {}
        if p.is_identity:
            return {"": W}
        for name, piece, (elementary, matrix) in zip(p.blocks, p.cut(W), p.shapes, strict=True):
            parts[name] = b.xp.reshape(b.xp.permute_dims(b.xp.reshape(piece, elementary), p.order), matrix)
        return parts

    def merge(self, parts: Mapping[str, Array], shape: tuple[int, ...], b: Backend) -> Array:
        """The parameter of this shape, put together from its matrices: the inverse of `split`."""
        p, pieces = self.plan(shape), []
        if p.is_identity:
            return parts[""]
        inverse = tuple(sorted(range(len(p.order)), key=p.order.__getitem__))
        for name, piece_shape, (elementary, _) in zip(p.blocks, p.piece_shapes, p.shapes, strict=True):
            permuted = b.xp.reshape(parts[name], tuple(elementary[k] for k in p.order))
            pieces.append(b.xp.reshape(b.xp.permute_dims(permuted, inverse), piece_shape))
        return pieces[0] if len(pieces) == 1 else b.xp.concat(pieces, axis=p.cut_axis)


@dataclass(frozen=True)
class Plan:
    """A layout applied to one shape."""

    blocks: tuple[str, ...]
    cut_axis: int
    edges: tuple[tuple[int, int], ...]
    piece_shapes: tuple[tuple[int, ...], ...]
    shapes: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    """For each block: the lengths of the elementary axes in the parameter's order, and the shape of its matrices."""
    order: tuple[int, ...]
    """The elementary axes as batch, rows, columns."""

    @cached_property
    def is_identity(self) -> bool:
        """Whether the parameter already is its matrix (or stack of matrices)."""
        in_order = self.order == tuple(range(len(self.order)))
        return self.blocks == ("",) and in_order and self.piece_shapes[0] == self.shapes[0][0] == self.shapes[0][1]

    def cut(self, W: Array) -> list[Array]:
        """The blocks of W, uncut where there is only one."""
        if len(self.blocks) == 1:
            return [W]
        before = (slice(None),) * self.cut_axis
        return [W[(*before, slice(start, stop), ...)] for start, stop in self.edges]


def plan(layout: Layout, shape: tuple[int, ...]) -> Plan:
    """Apply a layout to a shape."""
    axes = layout.axes(shape)
    lengths = [layout.lengths(axis, size) for axis, size in zip(axes, shape, strict=True)]
    cut_axis = next((k for k, axis in enumerate(axes) if is_blocks(axis)), 0)
    cuts = lengths[cut_axis] if is_blocks(axes[cut_axis]) else {"": shape[cut_axis]}
    names = [name for k, axis in enumerate(axes) for name in (("*",) if is_blocks(axis) else axis)]
    roles = [role_of(name, names) for name in names]
    order = tuple(k for role in (BATCH, ROWS) for k, r in enumerate(roles) if r == role)
    # Columns are (in kh kw) however they are stored, so that a checkpoint means the same in every framework.
    order += tuple(sorted((k for k, r in enumerate(roles) if r == COLUMNS), key=lambda k: rank(names[k])))
    pieces, shapes, edges, start = [], [], [], 0
    for size in cuts.values():
        edges.append((start, start + size))
        start += size
        pieces.append((*shape[:cut_axis], size, *shape[cut_axis + 1 :]))
        elementary = [n for k, axis in enumerate(lengths) for n in ((size,) if is_blocks(axes[k]) else axis.values())]
        sides = {role: [n for n, r in zip(elementary, roles, strict=True) if r == role] for role in (ROWS, COLUMNS)}
        batch = (n for n, r in zip(elementary, roles, strict=True) if r == BATCH)
        shapes.append((tuple(elementary), (*batch, math.prod(sides[ROWS]), math.prod(sides[COLUMNS]))))
    return Plan(tuple(cuts), cut_axis, tuple(edges), tuple(pieces), tuple(shapes), order)


def rank(name: str) -> int:
    """The position of a name among the columns."""
    return KNOWN.index(name) if name in KNOWN else len(KNOWN)


def role_of(name: str, names: list[str]) -> str:
    """Rows, columns or batch; `dim` and blocks (`*`) take the side that no other name takes."""
    if name.startswith("..."):
        return BATCH
    rows = any(own_role(other) == ROWS for other in names)
    return own_role(name) or (COLUMNS if rows else ROWS)


def as_layout(value: Any) -> Layout | None:
    """A layout from a string or a Layout; None from `"vector"`, which hands the parameter to the vector rule."""
    if isinstance(value, Layout):
        return value
    if isinstance(value, str):
        return None if value == "vector" else Layout(value)
    raise TypeError(f"a layout must be a pattern such as 'out in', 'vector' or a Layout, got {brief(value)}")
