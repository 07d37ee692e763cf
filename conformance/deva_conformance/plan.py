"""Which cases a law looks at, for a backend, a rule and a profile. A function of its arguments and the seed alone."""

from dataclasses import dataclass
from zlib import crc32

from hypothesis import strategies as st

from deva_conformance import strategies
from deva_conformance.cases import Case, Problem, Shape
from deva_conformance.driver import Subject
from deva_conformance.laws import Law, NotSupported
from deva_core import Rule
from deva_core.capabilities import Capabilities


@dataclass(frozen=True)
class Profile:
    """How much to look at: covering rows of a law that is not thorough, and random cases beyond the rows.

    `costly` is for backends that compile each combination of hyperparameters and shapes: one shape a case.
    `thorough`: whether laws that ask for it get every covering row. `always`, `costly_always`: how many of the cases that a
    law names itself.
    """

    name: str
    rows: int
    random: int
    costly_rows: int
    costly_random: int
    shrink: bool = False
    thorough: bool = True
    always: int = 1000
    costly_always: int = 1

    def counts(self, law: Law, costly: bool, available: int) -> tuple[int, int]:
        """How many rows and random cases."""
        rows, random = (self.costly_rows, self.costly_random) if costly else (self.rows, self.random)
        return (available if law.thorough and self.thorough else min(rows, available)), random


PROFILES = {
    "smoke": Profile("smoke", 1, 0, 1, 0, thorough=False, always=0, costly_always=0),
    "quick": Profile("quick", 4, 2, 1, 0),
    "full": Profile("full", 8, 40, 3, 3, shrink=True, costly_always=1000),
}

DTYPE_CYCLE = ("float32", "float64", "float32", "narrow")
NARROW = ("bfloat16", "float16")
"""These take turns: by law and rule, and from one round of the cycle to the next."""


@dataclass(frozen=True)
class Plan:
    """The cases: some always, some drawn."""

    explicit: tuple[Case, ...]
    drawn: st.SearchStrategy[Case]
    random: int


def values_for(law: Law, rule: type[Rule], capabilities: Capabilities) -> strategies.Values:
    """The values of hyperparameters in the law's domain that the backend can do."""
    values = strategies.table(rule, law.domain.restricted(rule))
    if not capabilities.linalg:
        if "basis" in values:
            raise NotSupported("DeVA needs linear algebra, which the backend does not declare")
        if "ns_coefficients" in values:
            values["ns_coefficients"] = tuple(v for v in values["ns_coefficients"] if v != "exact")
    return values


def dtypes_for(law: Law, capabilities: Capabilities) -> list[str]:
    """The law's dtypes that the backend computes in."""
    found = [d for d in law.domain.dtypes if d in capabilities.dtypes]
    if not found:
        raise NotSupported(f"the backend declares none of {', '.join(law.domain.dtypes)}")
    return found


def plan(law: Law, rule: type[Rule], subject: Subject, profile: Profile, seed: int = 0, costly: bool = False) -> Plan:
    """The cases of a law.

    Raises:
        NotSupported: the backend declares that it lacks what all of them need.
    """
    capabilities = subject.capabilities
    values, dtypes = values_for(law, rule, capabilities), dtypes_for(law, capabilities)
    available = strategies.row_count(values)
    rows, random = profile.counts(law, costly, available)
    start = 0 if law.thorough else crc32(f"{law.key}/{rule.__name__}".encode())
    explicit = []
    for k in range(rows):
        shapes = panel(law, rule, start + k, costly)
        explicit.append(case(law, strategies.row(rule, values, (start + k) % available), shapes, dtypes, k, seed))
    explicit += always(law, rule, capabilities)[: profile.costly_always if costly else profile.always]
    return Plan(tuple(explicit), drawn(law, rule, values, dtypes), random)


def always(law: Law, rule: type[Rule], capabilities: Capabilities) -> list[Case]:
    """The cases that a law names itself, as far as the backend can do them."""
    return [
        case
        for case in law.domain.always(rule)
        if all(p.dtype in capabilities.dtypes for p in case.problems)
        and (capabilities.linalg or getattr(case.rule, "ns_coefficients", "") != "exact")
    ]


def panel(law: Law, rule: type[Rule], k: int, costly: bool) -> tuple[Shape, ...]:
    """The shapes of the k-th case: a panel, or where each shape costs one of it, matrices of all panels in turn."""
    panels = law.domain.panels(rule)
    shapes = panels[k % len(panels)]
    if not costly:
        return shapes
    candidates = [shape for shape in shapes if not rule.matrix or len(shape) > 1]
    return (candidates[k // len(panels) % len(candidates)],)


def case(law: Law, rule: Rule, shapes: tuple[Shape, ...], dtypes: list[str], k: int, seed: int) -> Case:
    """The k-th case that is always looked at: families, scales and dtypes turn with k."""
    domain, name = law.domain, type(rule).__name__
    dtype, made = dtype_of(law, name, dtypes, k), []
    for j, shape in enumerate(shapes):
        family = strategies.shifted(domain.families, law.key, name, k, j)
        scale = strategies.shifted(domain.scales_in(type(rule), dtype), law.key, name, k, j, "scale")
        made.append(Problem(family, shape, scale, 10_000 * seed + 100 * k + j, dtype))
    return Case(rule, tuple(made), domain.steps)


def dtype_of(law: Law, name: str, dtypes: list[str], k: int) -> str:
    """The dtype of the k-th case."""
    narrow = [d for d in NARROW if d in dtypes]
    cycle = [d for d in DTYPE_CYCLE if d in dtypes or (d == "narrow" and narrow)]
    chosen = cycle[k % len(cycle)]
    if chosen != "narrow":
        return chosen
    return narrow[(crc32(f"{law.key}/{name}/narrow".encode()) + k // len(cycle)) % len(narrow)]


def drawn(law: Law, rule: type[Rule], values: strategies.Values, dtypes: list[str]) -> st.SearchStrategy[Case]:
    """Any case of the law's domain."""
    domain = law.domain

    def of(panel: tuple, dtype: str) -> st.SearchStrategy[Case]:
        problems = (
            strategies.problems(shape, domain.families, domain.scales_in(rule, dtype), dtype) for shape in panel
        )
        return st.builds(Case, strategies.rules(rule, values), st.tuples(*problems), st.just(domain.steps))

    panels, kinds = st.sampled_from(domain.panels(rule)), st.sampled_from(dtypes)
    return st.tuples(panels, kinds).flatmap(lambda drawn: of(*drawn))
