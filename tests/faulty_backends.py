"""Backends that do not even answer, for `module:callable`."""

import ctypes
import os
import signal
import threading
import time
from pathlib import Path
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


def deadlocked(rule: Any, params: Any, **options: Any) -> Any:
    """Waits in C for a mutex that it holds: no signal gets through to Python."""
    libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(256)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)


def locked(rule: Any, params: Any, **options: Any) -> Any:
    """Waits for a lock that nobody gives back."""
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def crashing(rule: Any, params: Any, **options: Any) -> Any:
    """A segmentation fault, as native code has them."""
    os.kill(os.getpid(), signal.SIGSEGV)


class Dying:
    """Lives for some steps, then takes its process down."""

    def __init__(self, rule: Any, params: Any, **options: Any) -> None:
        self.inner, self.steps = HONEST(rule, params, **options), 0
        self.params, self.state = self.inner.params, self.inner.state

    def step(self, grads: Any) -> None:
        """The second one is the last."""
        self.steps += 1
        if self.steps > 1:
            os._exit(4)
        self.inner.step(grads)


def announcing(rule: Any, params: Any, **options: Any) -> Any:
    """Says that it has begun, by a file, and hangs."""
    Path(os.environ["DEVA_TEST_BEGUN"]).touch()
    time.sleep(1e6)


class Reporting:
    """A run that reports something else than it should, of the right name."""

    def __init__(self, params: Any = None, state: Any = None) -> None:
        self.wrong_params, self.wrong_state = params, state
        self.capabilities = FAULTS["decay-lost"].capabilities

    def __call__(self, rule: Any, params: Any, **options: Any) -> Any:
        wrong, inner = self, HONEST(rule, params, **options)

        class Run:
            def step(self, grads: Any) -> None:
                inner.step(grads)

            @property
            def params(self) -> Any:
                return inner.params if wrong.wrong_params is None else wrong.wrong_params(inner.params)

            @property
            def state(self) -> Any:
                return inner.state if wrong.wrong_state is None else wrong.wrong_state(inner.state)

        return Run()


a_list = Reporting(params=lambda params: list(params.values()))
lists = Reporting(params=lambda params: {n: W.tolist() for n, W in params.items()})
strings = Reporting(params=lambda params: {n: W.astype(str) for n, W in params.items()})
objects = Reporting(params=lambda params: {n: W.astype(object) for n, W in params.items()})
unnamed = Reporting(params=lambda params: {f"{n}?": W for n, W in params.items()})
integers = Reporting(params=lambda params: {n: W.astype(int) for n, W in params.items()})
no_state = Reporting(state=lambda state: {})
a_tuple_state = Reporting(state=lambda state: tuple(state.items()))
words_for_state = Reporting(state=lambda state: dict.fromkeys(state, "momentum"))
none_in_state = Reporting(state=lambda state: {n: dict.fromkeys(s) for n, s in state.items()})
not_a_function = 3


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
