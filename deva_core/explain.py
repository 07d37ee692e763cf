"""Which rule each parameter gets, before training: a table, and warnings where that looks unintended."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from deva_core.hyperparameter import concrete
from deva_core.parameter import Parameter
from deva_core.rule import Rule
from deva_core.table import table
from deva_core.vector_half import Follows

HEAD = ("parameter", "shape", "layout", "rule", "lr", "ratio", "lr×ratio", "factor", "step", "decay", "why")

VOCABULARY, RATIO = 30_000, 3.5
"""A matrix looks like an embedding if its longer side is at least this long, and longer than this many times the shorter.

Llama 2 70B's is 32000×8192, BERT's 30522×768; Llama 3 405B's widest layer is 53248×16384, ViT-22B's 24576×6144.
"""


class NoMatrixWarning(UserWarning):
    """Warns that a matrix rule was given no matrices: every parameter goes to the vector rule.

    Example:
        >>> import warnings, numpy as np
        >>> from deva_core import Muon, Optimizer
        >>> with warnings.catch_warnings(record=True) as seen:
        ...     warnings.simplefilter("always")
        ...     state = Optimizer(Muon()).init({"bias": np.zeros(3)})
        >>> [warning.category.__name__ for warning in seen]
        ['NoMatrixWarning']
    """


class EmbeddingWarning(UserWarning):
    """Warns that a matrix rule gets, by default, a parameter with the shape of an embedding or an output head.

    Give that parameter a layout by name, `"vector"` or its pattern, and the warning goes away.

    Example:
        >>> import warnings, numpy as np
        >>> from deva_core import Muon, Optimizer
        >>> params = {"wte": np.zeros((32000, 8), np.float32)}
        >>> with warnings.catch_warnings(record=True) as seen:
        ...     warnings.simplefilter("always")
        ...     state = Optimizer(Muon()).init(params)
        ...     state = Optimizer(Muon(), layout={"wte": "out in"}).init(params)  # meant so
        >>> [warning.category.__name__ for warning in seen]
        ['EmbeddingWarning']
    """


def explain(parameters: Iterable[Parameter], follows: Follows = lambda p: None, count: int = 0) -> str:
    """A table of every parameter: name, shape, layout, rule, learning rate, shape factor, effective step, decay and why.

    `lr` is the learning rate that users set (the group's or the matrix rule's), `ratio` is the vector half's divided by it,
    and `lr×ratio` is the one that moves the parameter. `step` is the root mean square of a step's entries before decay, as
    `Rule.step_rms` defines it. A parameter with blocks of different shapes has one factor and step for each, in order.

    Args:
        parameters: each with its rule.
        follows: for a parameter whose learning rate follows another: that other one, and the ratio.
        count: the number of updates at which schedules are evaluated.
    """
    known: dict[
        int, tuple[Rule, Rule]
    ] = {}  # schedules are called once per rule; the rule is kept, so that no other object gets its id
    rows = []
    for p in parameters:
        if id(p.rule) not in known:
            known[id(p.rule)] = p.rule, p.rule.at(count)
        rows.append(row(p, known[id(p.rule)][1], rate(follows(p), count)))
    return table(HEAD, rows)


def rate(follows: tuple[Any, float] | None, count: int) -> tuple[Any, float] | None:
    """`follows` with its learning rate as a number."""
    if follows is None or not callable(follows[0]):
        return follows
    return follows[0](count), follows[1]


def row(p: Parameter, rule: Rule, follows: tuple[Any, float] | None) -> tuple[str, ...]:
    """The table's row for one parameter; its rule has no schedules left."""
    factor_of = getattr(rule, "shape_factor_of", lambda shape: None)
    shapes = [None] if 0 in p.shape else p.part_shapes  # an empty parameter makes no step
    factor, step = (numbers(None if x is None else f(x) for x in shapes) for f in (factor_of, rule.step_rms))
    own, decay = numbers([getattr(rule, "lr", None)]), numbers([getattr(rule, "weight_decay", None)])
    lr, ratio = (own, "-") if follows is None else (numbers([x]) for x in follows)
    step = f"≤{step}" if rule.step_is_bound and step != "-" else step
    shape = "×".join(map(str, p.shape)) or "scalar"
    return p.name, shape, str(p.layout or "-"), type(rule).__name__, lr, ratio, own, factor, step, decay, p.reason


def numbers(values: Iterable[Any]) -> str:
    """Numbers to three digits, without repetitions; `-` for unknown ones."""
    known = [None if value is None else concrete(value) for value in values]
    return " ".join(dict.fromkeys("-" if value is None else f"{value:.3g}" for value in known))


def warn_of_routes(rule: Rule, parameters: Mapping[str, Parameter], explained: Callable[[], str]) -> None:
    """Warn when a matrix rule gets no parameter, or by convention an embedding.

    Args:
        rule: the matrix rule.
        parameters: all of them, by name.
        explained: the host's table of them.
    """
    if parameters and rule.matrix and not any(p.rule.matrix for p in parameters.values()):
        warnings.warn(
            f"{type(rule).__name__} was given no matrices: every parameter goes to the vector rule.\n" + explained(),
            NoMatrixWarning,
            stacklevel=3,
        )
    suspects = [p for p in parameters.values() if looks_like_embedding(p)]
    if suspects:
        warnings.warn(advice(suspects), EmbeddingWarning, stacklevel=3)


def looks_like_embedding(p: Parameter) -> bool:
    """Whether a matrix rule gets, by convention, a parameter with an embedding's shape."""
    if not p.rule.matrix or p.named or len(p.shape) != 2:
        return False
    short, long = sorted(p.shape)
    return long >= VOCABULARY and long > RATIO * short


def advice(suspects: list[Parameter]) -> str:
    """What looks wrong, what to write, and what to write if it is intended."""
    found = ", ".join(f"{p.name!r} ({p.shape[0]}×{p.shape[1]})" for p in suspects)
    name, rule, layout = suspects[0].name, type(suspects[0].rule).__name__, suspects[0].layout
    return (
        f"{rule} was given {found}, which has the shape of an embedding or an output head. These usually go to the vector "
        f"rule: write layout={{{name!r}: 'vector'}}, or in torch pass deva_torch.param_groups(model). "
        f"To keep {rule}, write layout={{{name!r}: {str(layout)!r}}}"
    )
