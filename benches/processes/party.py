"""A party: how it shares a state, writes it in one process, and reads it in others."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from peers.case import Place
from processes.crew import Line
from processes.state import State

TENDED = 50e-6
"""Seconds between two times that a writer tends to those who open."""


@dataclass(frozen=True)
class Task:
    """What is to be shared."""

    words: int
    readers: int
    waits: bool = False  # readers sleep until there is something new: it must wake them


class Writer:
    """Who changes the state."""

    tends = False
    """Whether it must do something for those who open."""

    def write(self, state: State) -> None:
        """Makes it the newest one, for all."""
        raise NotImplementedError

    def tend(self) -> None:
        """Does what it must."""

    def close(self) -> None:
        """Ends."""


def tend(writer: Writer, line: Line) -> None:
    """Waits for a word, while others open."""
    while writer.tends and not line.called():
        writer.tend()
        time.sleep(TENDED)
    line.hear()


class Reader:
    """Who sees it. What it looks at stands until `done`."""

    def look(self) -> State:
        """The newest state."""
        raise NotImplementedError

    def poll(self) -> State | None:
        """The newest one; `None` where it knows for less that nothing is new."""
        return self.look()

    def wait(self, seconds: float) -> State | None:
        """The newest one as soon as there is another than before; `None` where none came."""
        raise NotImplementedError

    def states(self) -> AsyncIterator[State] | None:
        """The newest ones as they come, where they are waited for in asyncio."""
        return None

    def done(self) -> None:
        """Lets go of what it looked at."""

    def close(self) -> None:
        """Ends."""


@dataclass(frozen=True)
class Party:
    """Somebody's way. Of its parts `share` is called in the harness, the others in a process each."""

    who: str
    share: Callable[[Place, Task], Any]  # what the others are told
    writer: Callable[[Any, Task], Writer]
    reader: Callable[[Any, Task], Reader]
    spins: bool = True  # which of the rows are measured
    waits: bool = True
    serves: bool = True  # written while others read, opened
    tears: bool = False  # it does not promise that what is seen is of one state
