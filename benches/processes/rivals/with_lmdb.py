"""LMDB: a value in a mapped file. It wakes nobody: who waits has a condition beside it."""

from pathlib import Path
from typing import Any

import lmdb
import numpy as np

from peers.case import Place
from processes.crew import SPAWN
from processes.party import Party, Reader, Task, Writer
from processes.rows import measured
from processes.state import State

KEY = b"state"
Told = tuple[Path, Any]
"""Its folder, and the condition."""


class Puts(Writer):
    """Puts it as one transaction, in the mapped file when that returns."""

    def __init__(self, told: Told, task: Task) -> None:
        folder, self._changed = told
        self._env = lmdb.open(str(folder), map_size=1 << 30, sync=False, metasync=False, writemap=True)
        self._waits = task.waits

    def write(self, state: State) -> None:
        with self._env.begin(write=True) as write:
            write.put(KEY, state.data)
        if self._waits:
            with self._changed:
                self._changed.notify_all()

    def close(self) -> None:
        self._env.close()


class Gets(Reader):
    """Looks in a transaction."""

    def __init__(self, told: Told, _: Task) -> None:
        folder, self._changed = told
        self._env = lmdb.open(str(folder), readonly=True, map_size=1 << 30)
        self._seen = 0
        self._transaction: Any = None

    def look(self) -> State:
        self._transaction = self._env.begin(buffers=True)
        return np.frombuffer(self._transaction.get(KEY), "uint64")

    def _newer(self) -> bool:
        newest = self.look().item(0)
        self.done()
        return newest > self._seen

    def wait(self, seconds: float) -> State | None:
        with self._changed:
            if not self._changed.wait_for(self._newer, seconds):
                return None
        found = self.look()
        self._seen = found.item(0)
        return found

    def done(self) -> None:
        self._transaction.abort()

    def close(self) -> None:
        self._env.close()


def share(at: Place, _: Task) -> Told:
    """A folder, and a condition."""
    return at.folder / "lmdb", SPAWN.Condition(SPAWN.Lock())


measured(Party("LMDB", share, Puts, Gets))
