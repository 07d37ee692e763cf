"""Checks in processes of their own: two at a time, each watched.

A backend that hangs in native code, or takes its process down, costs the check that it was in, and no other. Backends
are imported there only, so that one that cannot be imported costs nothing but itself.
"""

import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from deva_conformance.check import expected_failures
from deva_conformance.driver import Absent, CannotRun, load
from deva_conformance.laws import LAWS, law
from deva_conformance.plan import PROFILES
from deva_conformance.report import Result
from deva_conformance.runner import PROBE_LIMIT, Probed, run_law, unfinished
from deva_core import RULES, Rule

GRACE = 2.0, 15.0
"""Seconds beyond the time limit before a process is ended: the limit again, at least and at most these."""
STARTUP = 60.0
"""Seconds in which a process must have imported its backend."""
HANGS = 2
"""How many checks of a backend may hang before the rest is not run."""
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
}
"""Of the processes, where it is not set: matrices are small, so that threads would wait for each other; and of a program
that several checks run, seven eighths of the time is XLA's, which keeps it for this run in a folder of its own."""
DONE, FAILED = "done", 70


@dataclass(frozen=True)
class Imported:
    """A worker has imported a backend; which laws it says itself that it breaks."""

    expected: dict[str, str]


@dataclass(frozen=True)
class Refused:
    """A worker cannot import a backend; `absent`: it is not installed here, or finds no device."""

    reason: str
    absent: bool


@dataclass(frozen=True)
class Plan:
    """What is the same for all checks of a run."""

    profile: str
    seed: int
    time_limit: float


@dataclass(frozen=True)
class Task:
    """Laws to check for one rule of one backend, in one process as they share runs; no law: see if it imports."""

    backend: str
    rule: type[Rule]
    laws: tuple[str, ...]

    def without_first(self, n: int) -> "Task":
        """What is left after n laws."""
        return Task(self.backend, self.rule, self.laws[n:])


def serve(connection: Connection, plan: Plan) -> None:
    """A worker: tasks in, results out, until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    imported: dict[str, Probed] = {}
    try:
        while True:
            work(connection, plan, connection.recv(), imported)
    except BaseException:  # the parent sees that the process is gone, and says so
        os._exit(FAILED)


def work(connection: Connection, plan: Plan, task: Task, imported: dict[str, Probed]) -> None:
    """One task; its backend is imported and probed once."""
    if task.backend not in imported:
        try:
            subject = load(task.backend)
            expected = expected_failures(subject)
        except (CannotRun, ValueError) as reason:
            connection.send(Refused(str(reason), isinstance(reason, Absent)))
            return
        imported[task.backend] = Probed(subject, min(plan.time_limit, PROBE_LIMIT))
        connection.send(Imported(expected))
    probed = imported[task.backend]
    profile = PROFILES[plan.profile]
    for id in task.laws:
        result = run_law(law(id), task.rule, probed.subject, profile, plan.seed, probed.costly, plan.time_limit)
        connection.send(result)
    connection.send(DONE)


@dataclass
class Worker:
    """A process and what it is at."""

    plan: Plan
    task: Task | None = None
    done: int = 0
    deadline: float = 0.0
    imported: set[str] = field(default_factory=set)
    process: Any = field(init=False)
    connection: Any = field(init=False)

    def __post_init__(self) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.plan), daemon=True)
        with interrupts_held():
            self.process.start()
        theirs.close()

    def give(self, task: Task) -> None:
        """Begin a task."""
        self.task, self.done = task, 0
        self.wait_for(self.plan.time_limit if task.backend in self.imported else STARTUP)
        self.connection.send(task)

    def wait_for(self, seconds: float) -> None:
        """Expect the next message within so many seconds, and some grace."""
        self.deadline = time.monotonic() + seconds + min(max(GRACE[0], seconds), GRACE[1])

    def importing(self) -> bool:
        """Whether it has not yet imported the backend of its task."""
        return self.task is not None and self.task.backend not in self.imported

    def end(self) -> None:
        """End the process, which may hang."""
        self.process.kill()
        self.process.join()
        self.connection.close()


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Control-C waits meanwhile: a process that is started here has it blocked, and no traceback to print of it."""
    resource_tracker.ensure_running()  # while it starts, it would let interrupts through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def grouped(laws: Sequence[str]) -> list[tuple[str, ...]]:
    """Laws that share runs together, the others alone; the longest first."""
    shared = tuple(id for id in laws if law(id).shared)
    return [group for group in (shared, *((id,) for id in laws if id not in shared)) if group]


def tasks_for(backends: Sequence[str], rules: Sequence[type[Rule]]) -> list[Task]:
    """All tasks: first to import every backend, then those of DeVA, which take longest."""
    tasks = [Task(backend, rules[0], ()) for backend in backends]
    for backend in backends:
        for rule in sorted(rules, key=lambda rule: -len(rule.State._fields)):
            ids = [law.id for law in LAWS if law.domain.applies(rule)]
            tasks += [Task(backend, rule, group) for group in grouped(ids)]
    return tasks


class Pool:
    """Workers at their tasks.

    Args:
        tasks: what to do.
        plan: how.
        seen: is given each result as it comes.
        expected: is given what each backend says that it breaks, when it is imported.
        absent: is given why a backend is absent, and the run goes on without it; None: such a backend cannot be run.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        plan: Plan,
        seen: Callable[[Result], None],
        expected: dict,
        absent: dict[str, str] | None = None,
    ) -> None:
        self.expected, self.absent = expected, absent
        self.waiting, self.plan, self.seen = list(tasks), plan, seen
        self.hangs: Counter[str] = Counter()
        self.workers: list[Worker] = []

    def run(self, processes: int) -> None:
        """Do everything; processes end with it, whatever happens.

        Raises:
            CannotRun: a backend could not be imported.
        """
        try:
            while self.waiting or any(w.task for w in self.workers):
                self.hand_out(processes)
                busy = [w for w in self.workers if w.task]
                for connection in wait([w.connection for w in busy], timeout=0.5):
                    self.receive(next(w for w in busy if w.connection is connection))
                for worker in [w for w in busy if w.task and time.monotonic() > w.deadline]:
                    self.late(worker)
        finally:
            for worker in self.workers:
                worker.end()

    def hand_out(self, processes: int) -> None:
        """Tasks to idle workers; new workers up to the number."""
        while self.waiting:
            task = self.waiting[0]
            if self.hangs[task.backend] >= HANGS:
                self.not_run(self.waiting.pop(0))
                continue
            idle = next((w for w in self.workers if not w.task), None)
            if idle is None and len(self.workers) >= processes:
                return
            if idle is None:
                idle = Worker(self.plan)
                self.workers.append(idle)
            idle.give(self.waiting.pop(0))

    def receive(self, worker: Worker) -> None:
        """One message."""
        assert worker.task
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            self.lost(worker, f"its process {ending(worker.process.exitcode)}")
            return
        worker.wait_for(self.plan.time_limit)
        if isinstance(message, Refused):
            self.refused(worker, worker.task.backend, message)
        elif isinstance(message, Imported):
            self.expected[worker.task.backend] = message.expected
            worker.imported.add(worker.task.backend)
        elif message == DONE:
            worker.task = None
        else:
            self.result(worker, worker.task, message)

    def refused(self, worker: Worker, backend: str, message: Refused) -> None:
        """A backend that is not here is left out, where that is asked for; with any other the run ends."""
        if not message.absent or self.absent is None:
            raise CannotRun(message.reason)
        self.absent[backend] = message.reason
        self.waiting = [task for task in self.waiting if task.backend != backend]
        worker.task = None

    def result(self, worker: Worker, task: Task, result: Result) -> None:
        """One check is done."""
        self.seen(result)
        worker.done += 1
        self.hangs[task.backend] += result.hung
        if self.hangs[task.backend] >= HANGS:
            self.abandon(worker)

    def late(self, worker: Worker) -> None:
        """A process that hangs where no signal reaches it."""
        if worker.importing():
            self.lost(worker, f"not imported within {STARTUP:g} s")
        else:
            limit = self.plan.time_limit
            self.lost(worker, f"no result within {limit:g} s, and its process, which did not react, was ended", True)

    def lost(self, worker: Worker, cause: str, hung: bool = False) -> None:
        """A process that hangs or died: the check it was in is broken, the rest of its task waits for another."""
        task = worker.task
        assert task
        if worker.importing():
            raise CannotRun(f"{task.backend}: cannot be loaded: {cause}")
        for id in task.laws[worker.done : worker.done + 1]:
            self.seen(unfinished(id, task.backend, task.rule, "error", f"error: {cause}", hung))
            self.hangs[task.backend] += 1
            worker.done += 1
        self.abandon(worker)

    def abandon(self, worker: Worker) -> None:
        """End a process; what is left of its task waits for another."""
        assert worker.task
        rest = worker.task.without_first(worker.done)
        worker.end()
        self.workers.remove(worker)
        if rest.laws:
            self.waiting.insert(0, rest)

    def not_run(self, task: Task) -> None:
        """What is left of a backend that hangs."""
        for id in task.laws:
            cause = f"not run: {HANGS} checks before it took too long or ended the process"
            self.seen(unfinished(id, task.backend, task.rule, "not_run", cause))


def ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"died with exit code {code}"


def in_order(results: Sequence[Result], backends: Sequence[str]) -> tuple[Result, ...]:
    """Results as a run in one process would have them."""
    laws, rules = [law.id for law in LAWS], [rule.__name__ for rule in RULES]
    return tuple(sorted(results, key=lambda r: (backends.index(r.backend), rules.index(r.rule), laws.index(r.law))))


def check_all(
    tasks: Sequence[Task],
    plan: Plan,
    seen: Callable[[Result], None],
    processes: int | None = None,
    expected: dict[str, dict[str, str]] | None = None,
    absent: dict[str, str] | None = None,
) -> None:
    """Every task, two at a time where there are two cores.

    Into `expected` goes what each backend says that it breaks; into `absent`, where given, why one was left out.
    """
    pool = Pool(tasks, plan, seen, {} if expected is None else expected, absent)
    with tempfile.TemporaryDirectory() as cache:
        for name, value in {**ENVIRONMENT, "JAX_COMPILATION_CACHE_DIR": cache}.items():
            os.environ.setdefault(name, value)
        try:
            pool.run(processes or min(2, os.cpu_count() or 1))
        finally:
            if os.environ["JAX_COMPILATION_CACHE_DIR"] == cache:
                del os.environ["JAX_COMPILATION_CACHE_DIR"]
