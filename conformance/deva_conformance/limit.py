"""A time limit for a check: a backend that hangs is a result, not the end of the run."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

AGAIN = 1.0
"""Seconds from one alarm to the next, for a backend that catches everything."""


class TimedOut(BaseException):
    """A check took too long. Not an `Exception`: code under test must not catch it by accident."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimedOut` inside the block after so many seconds; 0 is no limit.

    By SIGALRM, so only where there is one, in the main thread, and between bytecodes: a hang in native code is left to
    who watches the process (`deva_conformance.workers`).
    """
    possible = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not seconds or not possible:
        yield
        return

    def ring(number: int, frame: Any) -> None:
        raise TimedOut(f"no result within {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
