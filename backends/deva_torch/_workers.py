"""Threads that each step whole parameters, on a CPU.

torch cuts an operation into as many parts as there are threads. Products of the sizes of layers gain little from it and
elementwise passes pay a barrier each, while the parameters of a model are as independent as work can be: with a thread
for each core, every operation inside it in that one thread, nothing waits (docs/decisions/0008).
"""

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch

WORTH_A_THREAD = 2**14
"""Entries of a parameter below which handing it over costs more than its work."""

UNEVEN = 1.5
"""How much longer than an even share the longest piece of work may take; a longer one is better cut inside."""


@cache
def counts_threads_by_thread() -> bool:
    """Whether this build of torch has a number of threads for each thread, as OpenMP has."""
    return "ATen parallel backend: OpenMP" in torch.__config__.parallel_info()


@cache
def pool(count: int, process: int) -> ThreadPoolExecutor:
    """So many threads, torch's operations in one thread inside each; others keep theirs. A forked process has its own."""
    ready = threading.Barrier(count + 1)

    def begin() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread's first operation takes over the process's number: now, while that is 1
        ready.wait()

    made = ThreadPoolExecutor(count, thread_name_prefix="deva_torch", initializer=begin)
    for _ in range(count):
        made.submit(int)
    ready.wait()
    torch.set_num_threads(count)
    return made


def is_even(costs: Iterable[float], count: int) -> bool:
    """Whether pieces of work of these costs share well among so many threads."""
    costs = list(costs)
    return len(costs) > 1 and max(costs) <= UNEVEN * sum(costs) / count


def share(function: Callable[[Any], None], pieces: dict[Any, float]) -> None:
    """Call `function` on each piece, the costliest first, in torch's number of threads; here, if they would not share."""
    count = torch.get_num_threads()
    order = sorted(pieces, key=lambda piece: -pieces[piece])
    if count == 1 or not counts_threads_by_thread() or not is_even(pieces.values(), count):
        for piece in order:
            function(piece)
        return

    def run(piece: Any) -> None:
        with torch.no_grad():  # each thread has its own mode
            function(piece)

    list(pool(count, os.getpid()).map(run, order))
