"""The machine itself, as Python reaches it: a word of shared memory, a semaphore, a scan."""

from typing import Any

import numpy as np

from peers.case import MACHINE, Place, Work, case
from processes import crew
from processes.party import Party, Reader, Task, Writer
from processes.seen import measure, series_of
from processes.state import State, state
from processes.workloads import LARGE, SUMMED, WORD_SPUN, WORD_WAITED


class Sets(Writer):
    """Stores it."""

    def __init__(self, told: tuple[Any, Any], task: Task) -> None:
        raw, self._semaphore = told
        self._word = np.frombuffer(raw, "uint64")
        self._waits = task.waits

    def write(self, state: State) -> None:
        self._word[:] = state
        if self._waits:
            self._semaphore.release()


class Gets(Reader):
    """Loads it."""

    def __init__(self, told: tuple[Any, Any], _: Task) -> None:
        raw, self._semaphore = told
        self._word = np.frombuffer(raw, "uint64")

    def look(self) -> State:
        return self._word

    def wait(self, seconds: float) -> State | None:
        return self._word if self._semaphore.acquire(timeout=seconds) else None


def share(_: Place, task: Task) -> tuple[Any, Any]:
    """A word, and a semaphore that wakes."""
    return crew.words(task.words), crew.SPAWN.Semaphore(0)


WORD = Party(MACHINE, share, Sets, Gets)


def seen(workload: str, waits: bool) -> None:
    @case(workload, MACHINE)
    def run(at: Place) -> list[float]:
        return [float(each) for each in np.median(measure(at, WORD, series_of(at.scale, 1, waits)), axis=1)]


seen(WORD_WAITED, True)
seen(WORD_SPUN, False)


@case(SUMMED, MACHINE)
def summed(_: Place) -> Work:
    own = state(LARGE, 3)
    return Work(lambda _: own.sum(), count=1)
