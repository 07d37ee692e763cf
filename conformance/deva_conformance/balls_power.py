"""`python -m deva_conformance.balls_power`: what the `enclosure` law's threshold rests on, in Markdown.

How far float64 backends are at most from the true step, in units of the due rounding error, over many cases; and how many
bits a product may lack before the law names it.
"""

from collections.abc import Iterable
from dataclasses import replace

from deva_conformance.driver import CannotRun, Subject, from_namespace, installed, load
from deva_conformance.faults import LEGAL, Fault
from deva_conformance.faults.operations import matmul, rounded_product
from deva_conformance.laws.enclosure import LAW, LIMIT
from deva_conformance.plan import PROFILES
from deva_conformance.runner import is_costly, run_law
from deva_conformance.tolerance import THRESHOLD
from deva_core import AdaGO, DeVA, Muon

MATRIX_RULES = (Muon, AdaGO, DeVA)
BITS = (52, 51, 50, 49, 48, 46)
MANY = replace(PROFILES["full"], random=40, shrink=False)


def honest() -> Iterable[Subject]:
    """What is installed and runs here, and legal variants."""
    for name in installed():
        try:
            yield load(name)
        except CannotRun:
            continue
    yield from (Subject(name, LEGAL[name]) for name in ("sums-in-sequence", "horner", "gram-form"))
    yield from_namespace("numpy")


def short(bits: int) -> Subject:
    """NumPy, the factors of every product rounded to so many bits."""
    fault = Fault(about="short products", law=LAW.id, backend=matmul(rounded_product(bits)))
    return Subject(f"products of {bits} bits", fault)


def cells(subject: Subject) -> list[str]:
    """For each matrix rule the worst ratio, or that the law breaks."""
    found = []
    for rule in MATRIX_RULES:
        result = run_law(LAW, rule, subject, MANY, costly=is_costly(subject))
        worst = f"{result.ratio * LIMIT / THRESHOLD:.1f} ({result.checks})"
        found.append({"pass": worst, "fail": "named"}.get(result.status, result.status))
    return found


def main() -> None:
    """Print the table, a row as soon as it is known."""
    print(f"| float64 | {' | '.join(rule.__name__ for rule in MATRIX_RULES)} |\n|---|---|---|---|")
    for subject in (*honest(), *map(short, BITS)):
        print(f"| {subject.name} | {' | '.join(cells(subject))} |", flush=True)


if __name__ == "__main__":
    main()
