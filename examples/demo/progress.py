"""Progress: a live display on a terminal; elsewhere one line a phase, for logs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Live

Tick = Callable[[str], None]


class Progress:
    """Phases, one at a time, each with a text that says how it goes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn()
        self.live = Live(
            *columns, TimeElapsedColumn(), TextColumn("{task.fields[note]}"), console=console, transient=True
        )

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.console.is_terminal:
            self.live.stop()

    @contextmanager
    def task(self, what: str, total: int | None = None) -> Iterator[Tick]:
        """Show a phase; the function it gives counts one step and notes how it goes."""
        show = self._live_task if self.console.is_terminal else self._line
        with show(what, total) as tick:
            yield tick

    @contextmanager
    def _live_task(self, what: str, total: int | None) -> Iterator[Tick]:
        task, began, last = self.live.add_task(what, total=total, note=""), time.monotonic(), ""

        def tick(note: str) -> None:
            nonlocal last
            last = note
            self.live.update(task, advance=1, note=note)

        yield tick
        self.live.remove_task(task)
        self.console.print(f"[green]✓[/] {what}: [dim]{ending(last, began)}[/]", highlight=False)

    @contextmanager
    def _line(self, what: str, total: int | None) -> Iterator[Tick]:
        """The name of the phase when it begins and the rest of the line when it ends: a log shows which one takes long."""
        began, last = time.monotonic(), ""

        def tick(note: str) -> None:
            nonlocal last
            last = note

        self._write(f"{what}: ")
        try:
            yield tick
        except BaseException:
            self._write("stopped\n")
            raise
        self._write(ending(last, began) + "\n")

    def _write(self, text: str) -> None:
        self.console.file.write(text)
        self.console.file.flush()


def ending(note: str, began: float) -> str:
    """What stands behind a phase that is over."""
    return ", ".join(filter(None, (note, f"{time.monotonic() - began:.1f} s")))
