"""`multiprocessing.shared_memory`: bytes that several processes see, with a lock and without one."""

from contextlib import nullcontext
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

from peers.case import MACHINE, Place
from processes.crew import SPAWN
from processes.party import Party, Reader, Task, Writer
from processes.rows import measured
from processes.state import State

Told = tuple[str, Any]
"""The memory's name, and what guards it."""


class Mapped:
    """The memory, as a process has it."""

    def __init__(self, told: Told, task: Task) -> None:
        name, self.guard = told
        self._memory = SharedMemory(name)
        assert self._memory.buf is not None
        self.words: State = np.frombuffer(self._memory.buf, "uint64")[: task.words]

    def close(self) -> None:
        """Ends it. It has a view of the memory, which must go first."""
        del self.words
        self._memory.close()


class Writes(Writer):
    """Writes in place."""

    def __init__(self, told: Told, task: Task) -> None:
        self._mapped = Mapped(told, task)
        self._waits = task.waits

    def write(self, state: State) -> None:
        mapped = self._mapped
        with mapped.guard:
            mapped.words[:] = state
            if self._waits:
                mapped.guard.notify_all()

    def close(self) -> None:
        self._mapped.close()


class Locks(Reader):
    """Looks while it has the lock."""

    def __init__(self, told: Told, task: Task) -> None:
        self._mapped = Mapped(told, task)
        self._guard = self._mapped.guard
        self._seen = 0

    def look(self) -> State:
        self._guard.acquire()
        return self._mapped.words

    def wait(self, seconds: float) -> State | None:
        words = self._mapped.words
        self._guard.acquire()
        if not self._guard.wait_for(lambda: words.item(0) > self._seen, seconds):
            self._guard.release()
            return None
        self._seen = words.item(0)
        return words

    def done(self) -> None:
        self._guard.release()

    def close(self) -> None:
        self._mapped.close()


class Looks(Reader):
    """Looks whenever it likes."""

    def __init__(self, told: Told, task: Task) -> None:
        self._mapped = Mapped(told, task)

    def look(self) -> State:
        return self._mapped.words

    def close(self) -> None:
        self._mapped.close()


def memory(at: Place, task: Task) -> str:
    """So much of it, by its name."""
    made = SharedMemory(create=True, size=task.words * 8)
    at.after.callback(made.unlink)
    at.after.callback(made.close)
    return made.name


def locked(at: Place, task: Task) -> Told:
    """Memory with a lock, and with a condition on it where somebody waits."""
    return memory(at, task), SPAWN.Condition(SPAWN.Lock()) if task.waits else SPAWN.Lock()


def unlocked(at: Place, task: Task) -> Told:
    """Memory alone."""
    return memory(at, task), nullcontext()


measured(Party("shared_memory: a Lock", locked, Writes, Locks))
measured(Party(f"{MACHINE}: shared_memory, no lock", unlocked, Writes, Looks, waits=False, tears=True))
