"""A failure's id: a law and a case in one word, from which `--reproduce` runs it again."""

import base64
import binascii
import json
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from deva_conformance.cases import Case, Problem
from deva_core import RULES, Rule, hyperparameters


class Identity(NamedTuple):
    """What an id stands for."""

    law: str
    backend: str
    case: Case


def name_of(rule: type[Rule]) -> str:
    """A rule's name; with its module where it is a user's own."""
    return rule.__name__ if rule in RULES else f"{rule.__module__}:{rule.__qualname__}"


def rule_of(name: str, rules: Iterable[type[Rule]]) -> type[Rule]:
    """The rule of a name, among those that may be run: an id comes from anybody, so nothing that it names is imported."""
    found = next((rule for rule in rules if name_of(rule) == name), None)
    if found is None:
        raise ValueError(
            f"it names the rule {name!r}, not one of deva_core's: for a rule of your own run the report's program"
        )
    return found


def encode(identity: Identity) -> str:
    """The id."""
    rule = identity.case.rule
    own = {n: getattr(rule, n) for n, h in hyperparameters(rule).items() if getattr(rule, n) != h.default}
    problems = [[p.family, list(p.shape), p.scale, p.seed, p.dtype] for p in identity.case.problems]
    plain = [identity.backend, name_of(type(rule)), own, problems, identity.case.steps]
    packed = zlib.compress(json.dumps(plain, separators=(",", ":")).encode(), 9)
    return f"{identity.law}:{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def decode(id: str, rules: Iterable[type[Rule]] = RULES) -> Identity:
    """What an id stands for.

    Raises:
        ValueError: it is none.
    """
    law, _, word = id.partition(":")
    try:
        packed = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
        backend, name, own, problems, steps = json.loads(zlib.decompress(packed))
        kinds: Any = rule_of(str(name), rules)
        made = tuple(Problem(family, tuple(shape), *rest) for family, shape, *rest in problems)
        return Identity(law, backend, Case(kinds(**own), made, steps))
    except (ValueError, TypeError, StopIteration, binascii.Error, zlib.error) as error:
        raise ValueError(f"{id!r} is not an id of a case: {error}") from None
