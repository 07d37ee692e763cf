"""Every value outside a hyperparameter's domain is refused by name: at construction, of a schedule in the step.

`ValueError`, or `TypeError` for the wrong kind, with a message that begins `Rule.field must be`: beyond each bound, at
each open bound, NaN and infinities, fractions of integers, strings, unknown choices; for every rule, a user's own included.
And at the latest in its step a backend refuses a schedule that returns such a number.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import need
from deva_core import Rule, hyperparameters
from deva_core.hyperparameter import Hyper


@dataclass(frozen=True)
class Constant:
    """A schedule that stays where it is."""

    value: float

    def __call__(self, count: Any) -> float:
        """The value after any number of updates."""
        return self.value


class Nonsense:
    """A value that no hyperparameter may take."""

    def __repr__(self) -> str:
        return "Nonsense()"


def bad_values(name: str, hyper: Hyper) -> Iterator[Any]:
    """Values outside the domain. A bound that the documentation states is in `DOCUMENTED`, whatever the metadata say."""
    yield Nonsense()
    if not hyper.numeric:
        yield from (None, "no such choice", -1)
        yield from (0.5, ()) if hyper.choices else DOCUMENTED.get(name, ())
        return
    yield from (math.nan, math.inf, -math.inf, "1", *(() if hyper.optional else (None,)))
    for bound, step in ((hyper.ge, -1), (hyper.le, 1)):
        if bound is not None:
            yield from (bound + step, math.nextafter(bound, step * math.inf))
    yield from (bound for bound in (hyper.gt, hyper.lt) if bound is not None)
    if hyper.integer:
        yield 1.5
    yield from DOCUMENTED.get(name, ())


UNIT = (-0.5, 1.0, 1.5)
DOCUMENTED: dict[str, tuple] = {
    **dict.fromkeys(("momentum", "beta1", "beta2"), UNIT),
    **dict.fromkeys(("lr", "weight_decay", "min_step"), (-0.5,)),
    **dict.fromkeys(("eps", "max_norm", "initial_accumulator_value", "rms"), (-0.5, 0.0)),
    "precondition_frequency": (0, -1, 2.5),
    **dict.fromkeys(("ns_steps", "max_precondition_dim"), (0, 2.5, True)),
    "ns_coefficients": ((), (1.0,), (1.0, 2.0), ((1.0, 2.0, 3.0), (1.0,)), (math.nan, 0.0, 0.0)),
}
"""The documented domains, so that a bound missing from the metadata is noticed."""


def refused(rule: type[Rule], name: str, value: Any) -> None:
    """Raise `Broken` unless the rule refuses the value in the right words."""
    start = f"{rule.__name__}.{name} must be"
    try:
        rule(**{name: value})
    except (ValueError, TypeError) as error:
        need(str(error).startswith(start), f"{name}={value!r} is refused as {str(error)[:60]!r}, not as {start!r}")
        return
    need(False, f"{name}={value!r} is accepted")


def refused_in_a_step(subject: Subject, case: Case, name: str) -> None:
    """Raise `Broken` unless a run refuses a schedule whose first number is out of bounds."""
    try:
        run = subject.start(replace(case.rule, **{name: Constant(-1.0)}), case.params())
        run.step(case.gradients(0))
    except (ValueError, TypeError) as error:
        good = f"{name} must be" in str(error)
        need(good, f"a schedule of {name} that returns -1 is refused as {str(error)[:60]!r}, not as '… {name} must be'")
        return
    need(False, f"a schedule of {name} that returns -1 is accepted")


def check(subject: Subject, case: Case) -> float:
    """Try everything that is out of bounds."""
    rule = type(case.rule)
    for name, hyper in hyperparameters(rule).items():
        for value in bad_values(name, hyper):
            refused(rule, name, value)
        if hyper.numeric:
            refused_in_a_step(subject, case, name)
    return 0.0


LAW = module_law(
    "bad-hyperparameters", check, __doc__, domain=Domain(matrix_panels=(((4, 4),),), vector_panels=(((5,),),))
)
