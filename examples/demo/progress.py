"""Progress that is never silent: a live display on a terminal, lines elsewhere."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Live

QUIET_SECONDS = 1.5
"""The longest silence where there is no live display."""


class Progress:
    """Tasks, one at a time, each with a text that says how it goes."""

    def __init__(self, console: Console) -> None:
        self.console, self.spoke, self.now = console, time.monotonic(), ""
        columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn()
        self.live = Live(
            *columns, TimeElapsedColumn(), TextColumn("{task.fields[note]}"), console=console, transient=True
        )
        self.done = threading.Event()
        self.watch = threading.Thread(target=self._speak_when_quiet, daemon=True)

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self.live.start()
        else:
            self.watch.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.done.set()
        if self.console.is_terminal:
            self.live.stop()
        else:
            self.watch.join()

    def say(self, text: str) -> None:
        """Print a line."""
        self.spoke = time.monotonic()
        self.console.print(text, highlight=False)

    @contextmanager
    def task(self, what: str, total: int | None = None) -> Iterator[Callable[[str], None]]:
        """Show a task; the function it gives counts one step and notes how it goes."""
        task, began, self.now = self.live.add_task(what, total=total, note=""), time.monotonic(), what
        if not self.console.is_terminal:
            self.say(f"  {what} …")

        def tick(note: str) -> None:
            self.live.update(task, advance=1, note=note)
            count = f" {int(self.live.tasks[-1].completed)}/{total}" if total else ""
            self.now = f"{what}{count} {note}"

        yield tick
        note = self.live.tasks[-1].fields["note"]
        self.live.remove_task(task)
        if self.console.is_terminal:
            self.console.print(f"[green]✓[/] {what} [dim]{note} · {time.monotonic() - began:.1f} s[/]", highlight=False)

    def _speak_when_quiet(self) -> None:
        while not self.done.wait(0.2):
            if time.monotonic() - self.spoke > QUIET_SECONDS:
                self.say(f"    {self.now} …")
