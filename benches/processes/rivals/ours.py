"""mmsb: a bus that one process writes, and that others have open to read and follow."""

from collections.abc import AsyncIterator
from pathlib import Path

import mmsb
from peers.case import OURS, Place
from processes.party import Party, Reader, Task, Writer
from processes.rows import measured
from processes.seen import measured as seen
from processes.state import State

PAGE = "state"


class Commits(Writer):
    """Writes a page whole, as one epoch."""

    def __init__(self, path: Path, task: Task) -> None:
        self._bus = mmsb.open(path, "x")
        self._page = self._bus.create_page(PAGE, shape=(task.words,), dtype="uint64")

    def write(self, state: State) -> None:
        self._page[...] = state

    def close(self) -> None:
        self._bus.close()


class Follows(Reader):
    """Has the bus open to read."""

    def __init__(self, path: Path, _: Task) -> None:
        self._bus = mmsb.open(path, "r")
        self._page = self._bus[PAGE]
        self._epoch = -1
        self._seen = self._bus.epoch

    def look(self) -> State:
        found: State = self._page.array
        return found

    def poll(self) -> State | None:
        epoch = self._bus.epoch
        if epoch == self._epoch:
            return None
        self._epoch = epoch
        return self.look()

    def wait(self, seconds: float) -> State | None:
        newest = self._bus.wait(self._seen, seconds)
        if newest == self._seen:
            return None
        self._seen = newest
        return self.look()

    def close(self) -> None:
        self._bus.close()


class Watches(Follows):
    """Waits by a watch of the page, which also finds out what changed."""

    def __init__(self, path: Path, task: Task) -> None:
        super().__init__(path, task)
        self._watch = self._bus.watch(PAGE)

    def wait(self, seconds: float) -> State | None:
        return None if self._watch.next(seconds) is None else self.look()

    def close(self) -> None:
        self._watch.close()
        super().close()


class Awaits(Watches):
    """The same in an asyncio task."""

    async def _states(self) -> AsyncIterator[State]:
        async for _ in self._watch:
            yield self.look()

    def states(self) -> AsyncIterator[State]:
        return self._states()


def share(at: Place, _: Task) -> Path:
    """Where the bus will be."""
    return at.folder / "bus"


measured(Party(OURS, share, Commits, Follows))
seen(Party(f"{OURS}: for update in bus.watch", share, Commits, Watches, spins=False))
seen(Party(f"{OURS}: async for update in bus.watch", share, Commits, Awaits, spins=False))
