"""Following changes as they are committed, in a loop or in an asyncio task; nothing is skipped in silence."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from mmsb._core import Change, Snapshot
from mmsb.given import seconds
from mmsb.legible import legible

_TICK = 0.05
"""Seconds a wait inside the core lasts at most, so that signals are seen in between."""


@dataclass(frozen=True)
class Update:
    """What was committed between two looks: the epochs after `since` up to and with `epoch`.

    A watcher that is slower than the writers gets several epochs in one update, and `epochs` says which.
    """

    since: int
    epoch: int
    changes: tuple[Change, ...] = field(repr=False)

    @property
    def epochs(self) -> range:
        """The epochs it covers."""
        return range(self.since + 1, self.epoch + 1)

    @property
    def pages(self) -> list[str]:
        """The names of the pages that changed."""
        return [change.page for change in self.changes]


@dataclass(frozen=True)
class _Found:
    """An update that was found, and the states it lies between."""

    last: Snapshot
    now: Snapshot
    update: Update


class Watch:
    """Updates from the moment it is made until it is closed: an iterator, and an asynchronous one."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        diff: Callable[[Snapshot, Snapshot], list[Change]],
        wait: Callable[[int, float], int],
        page: int | None,
    ) -> None:
        self._snapshot, self._diff, self._wait, self._page = snapshot, diff, wait, page
        self._closed = threading.Event()
        self._taking = threading.Lock()
        self._seen = wait(0, 0.0)
        self._last = snapshot()
        self._branch = self._last.branch

    def _look(self) -> _Found | None:
        """What came since the last look, if anything did for this watch. It is there until it is taken."""
        now = self._snapshot()
        last = self._last
        if now.epoch == last.epoch:
            return None
        changes = self._diff(last, now)
        if self._page is not None:
            changes = [change for change in changes if change.id == self._page]
            if not changes:
                return None
        return _Found(last, now, Update(last.epoch, now.epoch, tuple(changes)))

    def _find(self, wait: float) -> _Found | None:
        """Waits for so long, and looks."""
        newest = self._wait(self._seen, wait)
        if newest == self._seen:
            return None
        found = self._look()
        if found is None:
            self._seen = newest
        return found

    def _take(self, found: _Found) -> bool:
        """Makes the update its caller's, unless somebody else had it first."""
        with self._taking:
            if self._last is not found.last:
                return False
            self._last = found.now
            return True

    def next(self, timeout: float | None = None) -> Update | None:
        """The next update; `None` where none came within `timeout` seconds, or the watch was closed."""
        left = float("inf") if timeout is None else seconds("timeout", timeout)
        while not self._closed.is_set():
            found = self._find(min(_TICK, max(left, 0.0)))
            left -= _TICK
            if found is not None and self._take(found):
                return found.update
            if left <= 0:
                return None
        return None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Update:
        update = self.next()
        if update is None:
            raise StopIteration
        return update

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update:
        while True:
            found = await self._found()
            if found is None:
                raise StopAsyncIteration
            # Taken here and not where it was found: a call that was cancelled meanwhile takes nothing.
            if self._take(found):
                return found.update

    async def _found(self) -> _Found | None:
        """What a thread of its own finds, without blocking the loop; `None` once the watch is closed."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Found | None] = loop.create_future()
        stop = threading.Event()

        def settle(found: _Found | None, error: BaseException | None) -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(found)

        def wait() -> None:
            found: _Found | None = None
            failed: BaseException | None = None
            try:
                while not (stop.is_set() or self._closed.is_set() or found is not None):
                    found = self._find(_TICK)
            except BaseException as error:
                failed = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, found, failed)

        threading.Thread(target=wait, name="mmsb-watch", daemon=True).start()
        try:
            return await answer
        finally:
            stop.set()

    def __repr__(self) -> str:
        of = "all pages" if self._page is None else f"page {self._page}"
        closed = ", closed" if self._closed.is_set() else ""
        branch = legible(self._branch)
        return f"<Watch of {of} on branch {branch}, seen up to epoch {self._last.epoch}{closed}>"

    def close(self) -> None:
        """Ends the iteration, in whichever thread or task it is."""
        self._closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
