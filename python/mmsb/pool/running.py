"""Running tasks over pages, here or in processes, and committing what they change in the tasks' order."""

import os
import pickle
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np

from mmsb._core import Page, Snapshot, Transaction, _transaction_of
from mmsb.bus import Bus
from mmsb.errors import InvalidArgument, PageNotFound, WrongTransaction
from mmsb.given import Durability, callback, count, perhaps_count, text
from mmsb.pool.delta import Delta, apply
from mmsb.pool.task import Task, Views, taken
from mmsb.pool.team import Round, Start, team
from mmsb.pool.worker import Job


@dataclass(frozen=True)
class Ran:
    """What a run came to: the epoch that it made, `None` where nothing was changed, and the one tasks saw."""

    epoch: int | None
    seen: int
    tasks: int
    deltas: int
    processes: int


def run(
    bus: Bus,
    fn: Task,
    *,
    tasks: SupportsIndex | Iterable[Any],
    pages: Iterable[str | Page] | None = None,
    processes: SupportsIndex | None = None,
    start: Start = "spawn",
    source: str | None = None,
    intent: Any = None,
    durability: Durability | None = None,
) -> Ran:
    """Runs a function over pages for each task, in processes, and commits what all change as one epoch.

    `fn(task, pages, out)` sees the bus as it was when the run began: `pages["pos"]` is a read-only array, a
    view of the bus's own memory, of a table a mapping of its columns to such. What it changes it hands to
    `out.merge("pos", values, rows=...)` or `out.write("pos", index, values)`. What it returns is not looked
    at. Arrays are pickled in neither direction.

    Changes are made in the order of the tasks, and of each task's calls, whoever ran it and when: the epoch
    has the same bits for any number of processes, also where floats are summed. Commits of others meanwhile
    are as beside any transaction that began with the run: cells that both wrote conflict, those that both
    merged with their page's operator have both. Where others committed before a worker had started, it
    rebuilds what the run began with, in memory of its own.

    Args:
        bus: a handle on the branch that is read and written.
        fn: with `processes=1` anything that can be called. Otherwise workers import it: it stands in a
            module, or in the file of a program that starts under `if __name__ == "__main__":`.
        tasks: what it is called with, one after another; a number n is `range(n)`. They are pickled, so
            arrays belong into pages.
        pages: those that tasks see; by default all. Any page may be changed.
        processes: how many run tasks. One is this process itself. By default as many as this process may
            use processors; one for a bus in memory, which no other process reaches.
        start: how processes start: "spawn" or "forkserver", as in `multiprocessing`.
        source: who writes, for the log.
        intent: why, for the log.
        durability: what it must survive; by default what the bus was opened with.

    Raises:
        ConflictError: others wrote the same cells first.
        WorkerDied: a worker was killed, or ended itself; the message has its task.
        InvalidArgument: workers cannot find `fn` or be told a task, or there is no reaching the bus.
        PageNotFound, ReadOnlyError, ClosedError, ForkedError: as they say.
        WrongTransaction: this thread and task have a transaction open on the branch.
        Exception: what the first of the tasks that failed raised, with its number as a note.

    After an exception nothing of it is committed, and all workers are gone.
    """
    if not isinstance(bus, Bus):
        raise InvalidArgument(f"bus {bus!r}: a bus is wanted, as mmsb.open gives it")
    callback("fn", fn)
    given = _tasks(tasks)
    processes = _processes(bus, perhaps_count("processes", processes))
    if text("start", start) not in ("spawn", "forkserver"):
        raise InvalidArgument(f"start {start!r}: spawn or forkserver is wanted")
    function = b"" if processes == 1 else _reachable(fn)
    if any(_transaction_of(bus[name]) is None for name in list(bus)[:1]):
        raise WrongTransaction("a transaction is open on this branch: a run is not a part of one")
    deltas = 0
    # Workers come to their end behind the commit, which does not wait for that.
    with ExitStack() as started, ExitStack() as held:
        state, tx = _begin(bus, held, (source, intent, durability))
        names = _names(state, pages)
        if processes == 1 or not given:
            outcomes = _here(fn, given, state, names)
        else:
            job = Job(bus.place[1:-1], bus.branch_name, state.epoch, names, repr(fn), function)
            workers = started.enter_context(team(job, min(processes, len(given)), start))
            outcomes = Round(workers, given).run()
        for number, made in enumerate(outcomes):
            apply(bus, number, made)
            deltas += len(made)
    return Ran(tx.epoch if tx.changed else None, state.epoch, len(given), deltas, processes)


def _tasks(tasks: Any) -> Sequence[Any]:
    if isinstance(tasks, Iterable):
        return list(tasks)
    return range(count("tasks", tasks))


def _processes(bus: Bus, asked: int | None) -> int:
    """In how many processes to run."""
    in_memory = bus.place == "in memory"
    if asked is None:
        alone = in_memory or sys.platform != "linux"
        return 1 if alone else len(os.sched_getaffinity(0))
    if asked == 0:
        raise InvalidArgument("processes 0: one at least is needed")
    if asked > 1 and in_memory:
        raise InvalidArgument(
            f"processes {asked}: the bus is in memory only, which no other process reaches; "
            "open it with a path, or run with processes=1"
        )
    if asked > 1 and sys.platform != "linux":
        raise InvalidArgument(f"processes {asked}: processes share a bus's memory on Linux only")
    return asked


def _reachable(fn: Task) -> bytes:
    """The function as a worker is told of it."""
    try:
        return pickle.dumps(fn)
    except Exception as error:
        raise InvalidArgument(
            f"fn {fn!r}: a worker cannot find it by its name ({error}): it must stand in a module, "
            "and be no lambda and no function inside another; or run with processes=1"
        ) from error


def _begin(bus: Bus, held: ExitStack, said: tuple[Any, Any, Any]) -> tuple[Snapshot, Transaction]:
    """A snapshot, and a transaction that starts from it."""
    source, intent, durability = said
    while True:
        with ExitStack() as tried:
            state = tried.enter_context(bus.snapshot())
            tx = tried.enter_context(bus.transaction(source, intent, durability=durability))
            # Otherwise somebody committed between the two.
            if bus.epoch == state.epoch:
                held.push(tried.pop_all())
                return state, tx


def _names(state: Snapshot, pages: Any) -> tuple[str, ...]:
    """The names of the pages that tasks see."""
    if pages is None:
        return tuple(state)
    if isinstance(pages, str) or not isinstance(pages, Iterable):
        raise InvalidArgument(f"pages {pages!r}: a list of names is wanted, not {type(pages).__name__}")
    names = tuple(page.name if isinstance(page, Page) else text("a page's name", page) for page in pages)
    for name in names:
        if name not in state:
            raise PageNotFound(f"there is no page {name!r} at epoch {state.epoch}")
    return names


def _here(fn: Task, tasks: Sequence[Any], state: Snapshot, names: tuple[str, ...]) -> Iterator[list[Delta]]:
    """Runs the tasks in this process, and tells what each changes."""
    views = Views(state, names)
    for number, task in enumerate(tasks):
        try:
            made = taken(fn, task, views, state, np.array)
        except BaseException as error:
            error.add_note(f"in task {number} of {len(tasks)}; nothing was committed")
            raise
        yield made
