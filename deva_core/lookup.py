"""Arguments that users give by parameter name (layouts, decay masks), turned into functions of name and shape."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from deva_core.hyperparameter import takes
from deva_core.layout import Layout
from deva_core.messages import brief, nearest
from deva_core.tree import named_leaves

Lookup = Callable[[str, tuple[int, ...]], Any]
"""From a parameter's name and shape to the value given for it, or None."""


KINDS = {
    "layout": "a pattern, a mapping or tree of patterns by name, or a function of name and shape",
    "weight_decay_mask": "a mapping or tree of bools by name, or a function of name and shape",
}

ELSEWHERE = {"weight_decay_mask": " (optax's is a function of the parameters: pass what it returns for yours)"}


@dataclass(frozen=True)
class Route:
    """A layout together with the reason that `explain` prints. Use it wherever a layout is accepted.

    Args:
        layout: a pattern, a `Layout` or `"vector"`.
        why: the reason.
        named: whether it was chosen for this parameter by name, rather than for all parameters.

    Example:
        >>> import numpy as np
        >>> from deva_core import Muon, Optimizer, Route
        >>> optimizer = Optimizer(Muon(), layout={"wte": Route("vector", "an embedding"), "w": "out in"})
        >>> print(optimizer.explain({"wte": np.zeros((9, 4)), "w": np.zeros((4, 4))}))
        parameter  shape  layout  rule   lr    ratio  lr×ratio  factor  step   decay  why
        wte        9×4    -       AdamW  0.02  0.2    0.004     -       0.004  0.01   an embedding
        w          4×4    out in  Muon   0.02  -      0.02      1       0.01   0      layout given
    """

    layout: Any
    why: str
    named: bool = True

    def __str__(self) -> str:
        return str(self.layout)


def layout_lookup(spec: Any, names: Iterable[str]) -> Lookup:
    """A layout argument (a pattern for all, a mapping by name, a tree, or a function of name and shape) as a function.

    Raises:
        ValueError: it names a parameter that does not exist.
        TypeError: it has another type.
    """
    if isinstance(spec, str | Layout):
        everywhere = Route(spec, "layout given", named=False)
        return lambda name, shape: everywhere if len(shape) >= 2 else None
    return named_lookup("layout", spec, names)


def mask_lookup(spec: Any, names: Iterable[str]) -> Lookup:
    """A decay mask (a mapping by name or a tree of bools, or a function of name and shape) as a function.

    Raises:
        ValueError: it names a parameter that does not exist.
        TypeError: it has another type, or a value other than True and False.
    """
    lookup = named_lookup("weight_decay_mask", spec, names)

    def decays(name: str, shape: tuple[int, ...]) -> bool:
        value = lookup(name, shape)
        if value is not None and not isinstance(value, bool):
            raise TypeError(f"weight_decay_mask must hold True or False, got {value!r} for {name!r}")
        return value is not False

    return decays


def named_lookup(what: str, spec: Any, names: Iterable[str]) -> Lookup:
    """A mapping by name, a tree, a function of name and shape, or None, as a function."""
    if spec is None:
        return lambda name, shape: None
    if callable(spec):
        if not takes(spec, 2):
            raise TypeError(f"{what} must be a function of name and shape, got {brief(spec)}{ELSEWHERE.get(what, '')}")
        return spec
    if not isinstance(spec, Mapping | list | tuple):
        raise TypeError(f"{what} must be {KINDS[what]}, got {brief(spec)}")
    table = by_name(what, named_leaves(spec), list(names))
    return lambda name, shape: table.get(name)


def by_name(what: str, said: Mapping[str, Any], known: list[str]) -> dict[str, Any]:
    """The value for each parameter. In a name `*` stands for any characters, `?` for one.

    A full name overrides patterns, and of several matching patterns the last one counts.
    """
    table, own = {}, {name: value for name, value in said.items() if name in known}
    for name, value in said.items():
        if name in own:
            continue
        matching = [one for one in known if fnmatchcase(one, name)] if set("*?") & set(name) else []
        if not matching:
            close = nearest(name, known)
            hint = f"; did you mean {close!r}?" if close else f"; the parameters are {', '.join(known[:8])}"
            raise ValueError(f"{what} names a parameter {name!r} that does not exist{hint}")
        table |= dict.fromkeys(matching, value)
    return table | own
