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
    """An optimizer's mathematics: hyperparameters, and how one parameter changes in one step.

    To write your own, subclass it as a frozen dataclass, declare fields with `hyper` and `option`, and write `init` and
    `update` (docs/own_rule.md). A *matrix* rule gets arrays `(..., rows, columns)`, where leading axes are a batch of
    independent matrices. A *vector* rule (`matrix = False`) gets arrays of any shape.

    Raises:
        ValueError: a hyperparameter is outside its domain.
        TypeError: a hyperparameter has the wrong type or an unknown name, or the subclass is not a dataclass.

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
    """Whether each entry of the update depends only on the same entry of the inputs. Hosts may then cut and join arrays."""
    narrowable: ClassVar[tuple[str, ...]] = ()
    """State fields that a host may keep in bfloat16 between steps: averages of gradients, in which rounding errors decay."""
    branches: ClassVar[bool] = True
    """Whether `update` may call `b.cond`. A rule that never does can step matrices with different `t` in one stack, and a
    CUDA graph can capture it."""
    unit_steps: ClassVar[bool] = False
    """For a vector rule: whether its first step moves each entry by about `lr`, as AdamW's does (`vector_lr_ratio`)."""
    step_is_bound: ClassVar[bool] = False
    """Whether `step_rms` is an upper bound rather than an estimate."""
    DIALECTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Presets that reproduce other implementations of this rule: hyperparameters by the implementation's name."""
    State: ClassVar[Any]
    """The NamedTuple of the rule's state. Checkpoints store its field names."""

    _lr_given: bool | None = field(default=None, repr=False, compare=False)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Check the arguments, so that an unknown keyword is answered with ours; `copy` and `pickle` pass none."""
        if is_undecorated(cls):
            raise TypeError(
                f"{cls.__name__} declares hyperparameters, so decorate it: @dataclass(frozen=True, kw_only=True)"
            )
        if args or kwargs:
            # Checked against the signature of `__init__`, which a user's rule may have replaced.
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
        """The learning rate, and the hyperparameters that differ from their defaults."""
        values = {name: getattr(self, name) for name in hyperparameters(self)}
        shown = {"lr": values["lr"]} if "lr" in values else {}
        shown |= {name: value for name, value in values.items() if is_changed(value, type(self).default(name))}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @classmethod
    def default(cls, name: str) -> Any:
        """A hyperparameter's default."""
        return hyperparameters(cls)[name].default

    def init(self, W: Array, b: Backend) -> NamedTuple:
        """The state before the first step. Every field is a distinct array, float32 or wider."""
        raise NotImplementedError(f"{type(self).__name__} has no init(self, W, b): write it, and update")

    def update(self, G: Array, S: Any, W: Array, t: Any, b: Backend) -> tuple[Array, Any]:
        """One step: from gradient G, state S, parameter W and step count t = 1, 2, … to `(delta, new state)`.

        The host adds: `W + delta` is the new parameter, so `delta` includes learning rate and decay. G, S and W have one
        dtype, float32 or wider. `update` is pure, never raises, and branches on `t` only through `b.cond`. The host may reuse
        the memory of S. Where `branches` is False, `t` may also be an array that broadcasts against W: one count per matrix.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update(self, G, S, W, t, b): write it")

    def moments(self, S: Any, b: Backend) -> tuple[Array | None, Array | None]:
        """For telemetry: the momentum in W's coordinates, and the second moment in units of G²; None for what a rule lacks."""
        return getattr(S, self.narrowable[0]) if self.narrowable else None, None

    @property
    def lr_given(self) -> bool:
        """Whether the caller gave `lr`, rather than leaving it at its default; `dataclasses.replace` preserves this."""
        if self._lr_given is None:  # unpickled from release 0.1.0, or a `__post_init__` that does not call ours
            return "lr" in hyperparameters(self) and is_changed(getattr(self, "lr"), type(self).default("lr"))  # noqa: B009
        return self._lr_given

    @property
    def vector_lr_ratio(self) -> float | None:
        """For a matrix rule: the vector rule's learning rate divided by this rule's, where the vector rule was given none.

        It applies to vector rules that declare `unit_steps`. For other vector rules, and for matrix rules that return None
        here, the ratio is that of the two default learning rates.
        """
        return None

    @property
    def is_linear(self) -> bool:
        """Whether a step, apart from decay, is proportional to `lr`."""
        return True

    def step_rms(self, shape: tuple[int, ...]) -> Any:
        """How far a step moves a parameter of this shape, for `explain`; None where it depends on the gradients alone.

        The root mean square of the first step's entries, apart from decay, for a gradient of full rank and an exact polar
        factor. Jordan's coefficients give a tenth to a fifth less. Later steps depend on the gradients too.
        """
        return None

    @classmethod
    def dialect(cls, name: str, **overrides: Any) -> Self:
        """A preset that reproduces another library: this rule with that library's defaults and arithmetic.

        Orientation is never part of a dialect: compare with the matrix in that library's own orientation.

        Args:
            name: the preset; docs/dialects.md describes them.
            overrides: hyperparameters to change in it.

        Raises:
            ValueError: no dialect has this name; the message lists the names.

        Example:
            >>> from deva_core import Muon
            >>> Muon.dialect("torch", lr=0.1).weight_decay
            0.1
        """
        if name not in cls.DIALECTS:
            raise ValueError(f"{cls.__name__} has no dialect {name!r}; there are {', '.join(cls.DIALECTS) or 'none'}")
        return cls(**{**cls.DIALECTS[name], **overrides})

    def at(self, count: Any, cast: Callable[[Array], Array] = lambda array: array) -> Self:
        """This rule with every schedule evaluated at `count`, the number of updates already made.

        0-d arrays go through `cast`, so that they do not change the dtype of the arithmetic.
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
        """A copy with other hyperparameters, without validation: for values that are traced or already checked."""
        new = copy.copy(self)
        if "lr" in values:
            object.__setattr__(new, "_lr_given", True)
        for name, value in values.items():
            object.__setattr__(new, name, value)
        return new


@cache
def is_undecorated(rule_type: type) -> bool:
    """Whether a class declares fields but lacks the `@dataclass` decorator."""
    return any(isinstance(value, Field) for value in vars(rule_type).values())


@dataclass(frozen=True, kw_only=True, repr=False)
class Orthogonalized(Rule):
    """Base class of the rules that replace a matrix by its polar factor: `Muon`, `AdaGO`, `DeVA`."""

    spectral_lr_ratio: ClassVar[float | None] = None
    """`vector_lr_ratio` where `lr` is a spectral norm. Under `scale="rms"` `lr` means what it does in AdamW: the ratio is 1."""

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
        """`spectral_lr_ratio`; 1 under `scale="rms"`, where a step's entries are about as large as AdamW's."""
        return 1.0 if self.scale == "rms" else self.spectral_lr_ratio

    def step_rms(self: Any, shape):
        """The root mean square of a step's entries: `lr` times the shape factor times those of a polar factor."""
        return self.entries(self.lr, shape)

    def entries(self, lr: Any, shape: tuple[int, ...]) -> Any:
        """The root mean square of the entries of a step that is `lr` times the shape factor long."""
        return lr * self.shape_factor_of(shape) / max(1, *shape[-2:]) ** 0.5
