"""A worker: a process that opens the bus to read, runs the tasks it is given and leaves what they change."""

import os
import pickle
import signal
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from mmsb._core import Snapshot
from mmsb.bus import open as open_bus
from mmsb.errors import InvalidArgument, LockedError
from mmsb.pool.delta import Delta, Store
from mmsb.pool.task import Task, Views, taken


@dataclass(frozen=True)
class Job:
    """What all workers of a run are told."""

    path: str
    branch: str
    epoch: int
    pages: tuple[str, ...]
    called: str
    function: bytes
    """The function as `pickle` has it: where it is to be found."""


@dataclass(frozen=True)
class Done:
    """A task is done: its deltas, and the file with their arrays, by its number in the worker and size."""

    deltas: list[Delta]
    file: tuple[int, int]


@dataclass(frozen=True)
class Failed:
    """A task raised this."""

    error: BaseException


def work(pipe: Connection, job: Job) -> None:
    """What a worker does, from its start until nobody gives it more to do."""
    # Whoever waits for it is interrupted too, and ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            fn = _function(job)
            state = _state(job)
        except Exception as error:
            pipe.send(_failed(error))
            return
        pipe.send(None)
        _serve(pipe, fn, state, Views(state, job.pages))


def _function(job: Job) -> Task:
    try:
        fn: Task = pickle.loads(job.function)
    except (AttributeError, ImportError) as error:
        raise InvalidArgument(
            f"fn {job.called}: a worker does not find it by its name ({error}): "
            "it must stand in a module that can be imported, or in the file of the program"
        ) from None
    return fn


def _state(job: Job) -> Snapshot:
    """The pages as they were when the run began."""
    bus = open_bus(job.path, "r")
    if not bus.follows:
        raise LockedError(f"the bus {bus.place}: its memory cannot be reached from process {os.getpid()}")
    branch = bus.checkout(job.branch)
    state = branch.snapshot()
    return state if state.epoch == job.epoch else branch.at(job.epoch)


def _serve(pipe: Connection, fn: Task, state: Snapshot, views: Views) -> None:
    while True:
        tasks: list[Any] = pipe.recv()
        # It is kept until more is given: whoever gives it has opened the file by then.
        store = Store()
        for task in tasks:
            try:
                said = _pickled(Done(taken(fn, task, views, state, store.put), store.shown()))
            except BaseException as error:
                pipe.send(_failed(error))
                break
            pipe.send_bytes(said)


def _pickled(done: Done) -> bytes:
    try:
        return pickle.dumps(done)
    except Exception as error:
        raise InvalidArgument(
            f"what a task changes cannot be handed on: {error}; a monoid's function must be found by its name"
        ) from error


def _failed(error: BaseException) -> Failed:
    """An error as it travels: itself where it can, and where it came from."""
    came = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"in worker {os.getpid()}:\n{came}")
    return Failed(error)
