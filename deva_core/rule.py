"""The rule: a frozen record of hyperparameters with two pure methods, `init` and `update`."""

import copy
import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

from deva_core.backend import Array, Backend
from deva_core.coefficients import JORDAN, schedule
from deva_core.linalg import Orthogonalization

Scalar = Any
"""A hyperparameter's value: a number, a 0-d array, or a callable of the number of updates already made."""


@dataclass(frozen=True, kw_only=True)
class Hyper:
    """What a hyperparameter may be; kept in its field's metadata, read by validation, adapters and the kit.

    Example:
        >>> from deva_core import Hyper
        >>> momentum = Hyper(default=0.9, numeric=True, ge=0, lt=1)
        >>> momentum.domain, momentum.contains(1.0)
        ('>= 0 and < 1', False)
    """

    default: Any
    numeric: bool
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    integer: bool = False
    choices: tuple | None = None
    policy: bool = False
    """Whether it only serves dialects: part of every rule, left out of the frameworks' signatures."""
    check: Callable[[Any], str | None] | None = None
    """For structural fields without choices: what is wrong with a value, or None."""

    @property
    def domain(self) -> str:
        """The bounds in words, as error messages give them."""
        words = {">=": self.ge, ">": self.gt, "<=": self.le, "<": self.lt}
        bounds = " and ".join(f"{sign} {bound:g}" for sign, bound in words.items() if bound is not None)
        return ("an integer " if self.integer else "") + bounds

    def contains(self, value: float) -> bool:
        """Whether a concrete number lies in the domain. NaN and infinities do not."""
        return (
            math.isfinite(value)
            and (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
            and (not self.integer or value == int(value))
        )


def hyper(default: Any, **bounds: Any) -> Any:
    """A numeric hyperparameter: a number, a 0-d array or a callable; bounds are `ge`, `gt`, `le`, `lt`, `integer`.

    Example:
        >>> from deva_core import hyper
        >>> hyper(10, ge=1, integer=True).metadata["hyper"].domain
        'an integer >= 1'
    """
    return dataclasses.field(default=default, metadata={"hyper": Hyper(default=default, numeric=True, **bounds)})


def option(default: Any, *choices: Any, check: Callable[[Any], str | None] | None = None, policy: bool = False) -> Any:
    """A structural hyperparameter: fixed at construction and hashable, one of `choices` or whatever `check` accepts.

    A `policy` is one that only dialects change: how a public implementation does one thing.

    Example:
        >>> from deva_core import option
        >>> option("momentum", "momentum", "gradient").metadata["hyper"].choices
        ('momentum', 'gradient')
    """
    hyper = Hyper(default=default, numeric=False, choices=choices or None, check=check, policy=policy)
    return dataclasses.field(default=default, metadata={"hyper": hyper})


def flag(default: bool) -> Any:
    """A structural yes or no."""
    return option(default, True, False)


def policy(default: Any, *choices: Any) -> Any:
    """An `option` that only dialects change."""
    return option(default, *choices, policy=True)


def positive_integer(value: Any) -> str | None:
    """What keeps `value` from being a positive integer."""
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return None if good else "an integer >= 1"


def positive_number(value: Any) -> str | None:
    """What keeps `value` from being a positive number."""
    return None if is_number(value) and math.isfinite(value) and value > 0 else "a number > 0"


def fraction(value: Any) -> str | None:
    """What keeps `value` from being a number in [0, 1)."""
    return None if is_number(value) and 0 <= value < 1 else "a number >= 0 and < 1"


def is_triple(value: Any) -> bool:
    """Whether `value` is `(a, b, c)`."""
    return isinstance(value, tuple) and len(value) == 3 and all(isinstance(x, Real) and math.isfinite(x) for x in value)


def coefficient_table(value: Any) -> str | None:
    """What keeps `value` from being Newton–Schulz coefficients."""
    rows = value if isinstance(value, tuple) and value and not is_triple(value) else (value,)
    good = value == "exact" or all(is_triple(row) for row in rows)
    return None if good else 'a triple (a, b, c), a sequence of triples (one a step) or "exact"'


def hyperparameters(rule: Any) -> Mapping[str, Hyper]:
    """Every hyperparameter of a rule (or rule class), in order, with its domain.

    Example:
        >>> from deva_core import Muon, hyperparameters
        >>> hyperparameters(Muon)["momentum"].domain
        '>= 0 and < 1'
    """
    return {f.name: f.metadata["hyper"] for f in dataclasses.fields(rule) if "hyper" in f.metadata}


def is_number(value: Any) -> bool:
    """Whether `value` is a plain real number (a bool is not)."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_scalar_array(value: Any) -> bool:
    """Whether `value` is a 0-d array of some library."""
    return hasattr(value, "dtype") and getattr(value, "shape", None) == ()


def plain(value: Any) -> Any:
    """Numbers of other libraries as Python's own, lists as tuples: hashable, and weakly typed in arithmetic."""
    if isinstance(value, list | tuple):
        return tuple(plain(x) for x in value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def concrete(value: Any) -> float | None:
    """The number in a 0-d array, or None where it cannot be read (a traced value)."""
    try:
        return float(value)
    except Exception:  # each tracing library raises its own error here
        return None


def is_changed(value: Any, default: Any) -> bool:
    """Whether a value is not the default; arrays, which may not be readable, always are."""
    return hasattr(value, "dtype") or type(value) is not type(default) or value != default


def validate(owner: str, name: str, hyper: Hyper, value: Any) -> None:
    """Raise, in one message shape, unless `value` may stand for the hyperparameter `name` of `owner`."""
    problem, error = None, ValueError
    if not hyper.numeric:
        if hyper.choices is not None:
            good = any(value is c if isinstance(c, bool) else value == c for c in hyper.choices)
            problem = None if good else "one of " + ", ".join(map(repr, hyper.choices))
        elif hyper.check is not None:
            problem = hyper.check(value)
    elif is_number(value) or is_scalar_array(value):
        number = value if is_number(value) else concrete(value)
        problem = None if number is None or hyper.contains(number) else hyper.domain
    elif not callable(value):
        problem, error = "a number, a 0-d array or a callable of the update count", TypeError
    if problem:
        raise error(f"{owner}.{name} must be {problem}, got {value!r}")


@dataclass(frozen=True, kw_only=True, repr=False)
class Rule:
    """An optimizer's mathematics. Subclass it, declare fields with `hyper` and `option`, write `init` and `update`.

    A *matrix* rule sees arrays `(..., rows, columns)`: every leading axis is a batch of independent matrices.
    A *vector* rule (`matrix = False`) works on arrays of any shape.

    Example:
        >>> from dataclasses import dataclass
        >>> from typing import NamedTuple
        >>> import numpy as np
        >>> from deva_core import Optimizer, Rule, hyper
        >>> @dataclass(frozen=True, kw_only=True, repr=False)
        ... class SGD(Rule):
        ...     matrix = False
        ...     lr: float = hyper(0.1, ge=0)
        ...     State = NamedTuple("State", [])
        ...     def init(self, W, b):
        ...         return self.State()
        ...     def update(self, G, S, W, t, b):
        ...         return -self.lr * G, S
        >>> optimizer, params = Optimizer(SGD(lr=lambda count: 0.5)), {"w": np.ones(2)}
        >>> optimizer.step(params, {"w": np.ones(2)}, optimizer.init(params))[0]["w"]
        array([0.5, 0.5])
    """

    matrix: ClassVar[bool] = True
    elementwise: ClassVar[bool] = False
    """Whether each entry of the update depends on the same entries only: hosts may cut and join arrays as they like."""
    narrowable: ClassVar[tuple[str, ...]] = ()
    """State fields that a host may keep in bfloat16 between steps: averages of gradients, which forget roundings soon."""
    branches: ClassVar[bool] = True
    """Whether `update` may call `b.cond`. One that never does can step matrices of different `t` in one stack, and be
    captured in a graph."""
    step_is_bound: ClassVar[bool] = False
    """Whether `step_rms` is the most that a step can be."""
    DIALECTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """The hyperparameters under which this rule is a public implementation, by its name."""
    State: ClassVar[Any]
    """The NamedTuple of the rule's state; its names end up in checkpoints."""

    def __post_init__(self) -> None:
        for name, hyper in hyperparameters(self).items():
            value = plain(getattr(self, name))
            object.__setattr__(self, name, value)
            validate(type(self).__name__, name, hyper, value)

    def __repr__(self) -> str:
        """The learning rate, and what differs from the defaults."""
        values = {name: getattr(self, name) for name in hyperparameters(self)}
        shown = {"lr": values["lr"]} if "lr" in values else {}
        shown |= {name: value for name, value in values.items() if is_changed(value, type(self).default(name))}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @classmethod
    def default(cls, name: str) -> Any:
        """A hyperparameter's default."""
        return hyperparameters(cls)[name].default

    def init(self, W: Array, b: Backend) -> NamedTuple:
        """The state before the first step. Every field is an array of its own, float32 or wider."""
        raise NotImplementedError

    def update(self, G: Array, S: Any, W: Array, t: Any, b: Backend) -> tuple[Array, Any]:
        """One step: from gradient G, state S, parameter W and step count t = 1, 2, … to `(delta, new state)`.

        `W + delta` is the new parameter; learning rate and decay are inside. G, S and W have one dtype, float32
        or wider. Pure, and never raises; branches on `t` only through `b.cond`. S is donated: it may be reused.
        Where `branches` is False, t may also be an array that broadcasts against W: a number for each matrix.
        """
        raise NotImplementedError

    def moments(self, S: Any, b: Backend) -> tuple[Array | None, Array | None]:
        """For telemetry: the momentum, in W's coordinates, and the second moment, in true units; None where there is none."""
        return getattr(S, self.narrowable[0]) if self.narrowable else None, None

    def step_rms(self, shape: tuple[int, ...]) -> Any:
        """How far a step moves a parameter of this shape, for `explain`; None where only the gradients decide.

        The root mean square of the first step's entries, decay apart, for a gradient of full rank and an exact polar
        factor. Jordan's coefficients make it a tenth to a fifth less; later steps depend on the gradients too.
        """
        return None

    @classmethod
    def dialect(cls, name: str, **overrides: Any) -> Self:
        """The rule with a public implementation's defaults and exactly its arithmetic.

        Orientation is never part of a dialect: compare with the matrix in the implementation's own convention.

        Raises:
            ValueError: there is no such dialect; the message lists those there are.

        Example:
            >>> from deva_core import Muon
            >>> Muon.dialect("torch", lr=0.1).weight_decay
            0.1
        """
        if name not in cls.DIALECTS:
            raise ValueError(f"{cls.__name__} has no dialect {name!r}; there are {', '.join(cls.DIALECTS) or 'none'}")
        return cls(**{**cls.DIALECTS[name], **overrides})

    def at(self, count: Any, cast: Callable[[Array], Array] = lambda array: array) -> Self:
        """This rule with every callable hyperparameter called with `count`, the number of updates already made.

        0-d arrays go through `cast`, so that they do not widen or narrow the arithmetic.
        """
        values = {}
        for name, hyper in hyperparameters(self).items():
            value = getattr(self, name)
            if not hyper.numeric or is_number(value):
                continue
            value = plain(value(count)) if callable(value) else value
            if is_number(value) or not hasattr(value, "dtype"):
                validate(type(self).__name__, name, hyper, value)
            values[name] = value if is_number(value) else cast(value)
        return self.with_values(**values) if values else self

    def with_values(self, **values: Any) -> Self:
        """A copy with other hyperparameters, not validated: for values that cannot be read (traced) or were checked."""
        new = copy.copy(self)
        for name, value in values.items():
            object.__setattr__(new, name, value)
        return new


@dataclass(frozen=True, kw_only=True, repr=False)
class Orthogonalized(Rule):
    """What the rules share that replace a matrix by its polar factor."""

    scale: str = option("original", "original", "rms", "spectral", "none")
    rms: Scalar = hyper(0.2, gt=0)
    ns_coefficients: Any = option(JORDAN, check=coefficient_table)
    ns_steps: int = option(5, check=positive_integer)
    ns_normalization: str = policy("scale-free", "scale-free", "add", "clamp", "schatten")
    ns_eps: float = option(1e-7, check=positive_number, policy=True)

    @property
    def orthogonalization(self) -> Orthogonalization:
        """How the polar factor is computed."""
        exact = self.ns_coefficients == "exact"
        steps = "exact" if exact else schedule(self.ns_coefficients, self.ns_steps)
        return Orthogonalization(steps, self.ns_normalization, self.ns_eps)

    def shape_factor(self, W: Array) -> Any:
        """The length of a step for a matrix of this shape: `(..., out, in)`."""
        return self.shape_factor_of(W.shape)

    def shape_factor_of(self, shape: tuple[int, ...]) -> Any:
        """The length of a step for a matrix of this shape: `(..., out, in)`."""
        rows, columns = shape[-2:]
        return {
            "original": lambda: max(1.0, rows / columns) ** 0.5,
            "rms": lambda: self.rms * max(rows, columns) ** 0.5,
            "spectral": lambda: (rows / columns) ** 0.5,
            "none": lambda: 1.0,
        }[self.scale]()

    def step_rms(self: Any, shape):
        """`lr` times the shape factor, in the entries of a matrix whose singular values are one."""
        return self.entries(self.lr, shape)

    def entries(self, lr: Any, shape: tuple[int, ...]) -> Any:
        """The root mean square of the entries of a step that is `lr` times the shape factor long."""
        return lr * self.shape_factor_of(shape) / max(1, *shape[-2:]) ** 0.5
