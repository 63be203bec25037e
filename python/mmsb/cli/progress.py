"""A progress bar on standard error, where that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

Tick = Callable[[int], None]


@contextmanager
def progress(label: str) -> Iterator[Tick]:
    """Yield what long work calls with the bytes done so far; the bar goes when it is over."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(40), DownloadColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)

        def tick(done: int) -> None:
            bar.update(task, completed=done)

        yield tick
