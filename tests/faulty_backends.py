"""Backends that do not even answer, for `module:callable`."""

import os
import time
from typing import Any

from deva_conformance import from_namespace
from deva_conformance.faults import FAULTS

HONEST = from_namespace("numpy").start


def sleeping(rule: Any, params: Any, **options: Any) -> Any:
    """Hangs."""
    time.sleep(1e6)


def dying(rule: Any, params: Any, **options: Any) -> Any:
    """Takes its process down."""
    os._exit(3)


def nothing(rule: Any, params: Any, **options: Any) -> Any:
    """Returns the wrong type."""
    return None


def leaving(rule: Any, params: Any, **options: Any) -> Any:
    """Calls exit."""
    raise SystemExit(0)


class Expecting:
    """A backend that knows what it breaks, or believes so."""

    def __init__(self, **expected: str) -> None:
        self.expected_failures = {
            name.replace("_", "-").replace("--", "/"): reason for name, reason in expected.items()
        }
        self.capabilities = FAULTS["decay-lost"].capabilities

    def __call__(self, rule: Any, params: Any, **options: Any) -> Any:
        return FAULTS["decay-lost"](rule, params, **options)


decay_lost = FAULTS["decay-lost"]
