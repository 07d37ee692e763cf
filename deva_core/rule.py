"""The rule: a frozen record of hyperparameters with two pure methods, `init` and `update`."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self

from deva_core.backend import Array, Backend
from deva_core.coefficients import JORDAN, schedule
from deva_core.hyperparameter import (
    Default,
    IntegerDefault,
    Scalar,
    called,
    coefficient_table,
    hyper,
    hyperparameters,
    is_changed,
    is_number,
    option,
    plain,
    policy,
    positive_integer,
    positive_number,
    validate,
)
from deva_core.linalg import Orthogonalization
from deva_core.messages import call_of, check_call


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
    unit_steps: ClassVar[bool] = False
    """Of a vector rule: whether a first step moves each entry by about `lr`, as AdamW's does (`vector_lr_ratio`)."""
    step_is_bound: ClassVar[bool] = False
    """Whether `step_rms` is the most that a step can be."""
    DIALECTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """The hyperparameters under which this rule is a public implementation, by its name."""
    State: ClassVar[Any]
    """The NamedTuple of the rule's state; its names end up in checkpoints."""

    _lr_given: bool | None = field(default=None, repr=False, compare=False)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Answer keywords that the rule does not have; `copy` and `pickle` give none."""
        if is_undecorated(cls):
            raise TypeError(
                f"{cls.__name__} declares hyperparameters, so decorate it: @dataclass(frozen=True, kw_only=True)"
            )
        if args or kwargs:
            # By the signature of `__init__`: a user's rule may have written its own.
            package = cls.__module__.partition(".")[0]
            owner = f"{package}.{cls.__name__}" if package == "deva_core" else cls.__name__
            check_call(owner, call_of(cls.__init__, bound=True), args, kwargs)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        lr, kept = getattr(self, "lr", None), self._lr_given is False  # kept: this is a copy by `dataclasses.replace`
        left = isinstance(lr, Default | IntegerDefault) or (kept and is_number(lr) and lr == type(self).default("lr"))
        object.__setattr__(self, "_lr_given", not left)
        for name, declared in hyperparameters(self).items():
            value = plain(getattr(self, name))
            object.__setattr__(self, name, value)
            validate(type(self).__name__, name, declared, value)

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
        raise NotImplementedError(f"{type(self).__name__} has no init(self, W, b): write it, and update")

    def update(self, G: Array, S: Any, W: Array, t: Any, b: Backend) -> tuple[Array, Any]:
        """One step: from gradient G, state S, parameter W and step count t = 1, 2, … to `(delta, new state)`.

        `W + delta` is the new parameter; learning rate and decay are inside. G, S and W have one dtype, float32
        or wider. Pure, and never raises; branches on `t` only through `b.cond`. S is donated: it may be reused.
        Where `branches` is False, t may also be an array that broadcasts against W: a number for each matrix.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update(self, G, S, W, t, b): write it")

    def moments(self, S: Any, b: Backend) -> tuple[Array | None, Array | None]:
        """For telemetry: the momentum, in W's coordinates, and the second moment, in true units; None where there is none."""
        return getattr(S, self.narrowable[0]) if self.narrowable else None, None

    @property
    def lr_given(self) -> bool:
        """Whether `lr` was given rather than left at its default; `dataclasses.replace` keeps that."""
        if self._lr_given is None:  # unpickled from release 0.1.0, or a `__post_init__` that does not call ours
            return "lr" in hyperparameters(self) and is_changed(getattr(self, "lr"), type(self).default("lr"))  # noqa: B009
        return self._lr_given

    @property
    def vector_lr_ratio(self) -> float | None:
        """Of a matrix rule: the learning rate of the vector rule beside it, where that was given none, over its own.

        It is for vector rules that declare `unit_steps`. For others, and where a rule declares no ratio, it is that of the
        two default learning rates.
        """
        return None

    @property
    def is_linear(self) -> bool:
        """Whether a step, decay apart, is proportional to `lr`."""
        return True

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
        for name, declared in hyperparameters(self).items():
            value = getattr(self, name)
            if not declared.numeric or is_number(value) or value is None:
                continue
            if callable(value):
                value = plain(called(f"{type(self).__name__}.{name}", value, count))
            if is_number(value):
                validate(type(self).__name__, name, declared, value)
            values[name] = value if is_number(value) else cast(value)
        return self.with_values(**values) if values else self

    def with_values(self, **values: Any) -> Self:
        """A copy with other hyperparameters, not validated: for values that cannot be read (traced) or were checked."""
        new = copy.copy(self)
        if "lr" in values:
            object.__setattr__(new, "_lr_given", True)
        for name, value in values.items():
            object.__setattr__(new, name, value)
        return new


@cache
def is_undecorated(rule_type: type) -> bool:
    """Whether a class declares fields that no `dataclass` has read."""
    return any(isinstance(value, Field) for value in vars(rule_type).values())


@dataclass(frozen=True, kw_only=True, repr=False)
class Orthogonalized(Rule):
    """What the rules share that replace a matrix by its polar factor."""

    spectral_lr_ratio: ClassVar[float | None] = None
    """`vector_lr_ratio` where `lr` is a spectral norm. Where `scale="rms"` gives it AdamW's meaning the ratio is 1."""

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

    @property
    def vector_lr_ratio(self):
        """The declared one; 1 where a step's entries are about as large as AdamW's at the same lr."""
        return 1.0 if self.scale == "rms" else self.spectral_lr_ratio

    def step_rms(self: Any, shape):
        """`lr` times the shape factor, in the entries of a matrix whose singular values are one."""
        return self.entries(self.lr, shape)

    def entries(self, lr: Any, shape: tuple[int, ...]) -> Any:
        """The root mean square of the entries of a step that is `lr` times the shape factor long."""
        return lr * self.shape_factor_of(shape) / max(1, *shape[-2:]) ** 0.5
