"""Following changes as they are committed, in a loop or in an asyncio task; nothing is skipped in silence."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from mmsb._core import Change, Snapshot

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
        self._seen = wait(0, 0.0)
        self._last = snapshot()

    def _look(self) -> Update | None:
        """The update since the last look, if there is one for this watch."""
        now = self._snapshot()
        last = self._last
        if now.epoch == last.epoch:
            return None
        changes = self._diff(last, now)
        if self._page is not None:
            changes = [change for change in changes if change.id == self._page]
            if not changes:
                return None
        self._last = now
        return Update(last.epoch, now.epoch, tuple(changes))

    def _step(self, seconds: float) -> Update | None:
        newest = self._wait(self._seen, seconds)
        if newest == self._seen:
            return None
        self._seen = newest
        return self._look()

    def next(self, timeout: float | None = None) -> Update | None:
        """The next update; `None` where none came within `timeout` seconds, or the watch was closed."""
        left = float("inf") if timeout is None else timeout
        while not self._closed.is_set():
            update = self._step(min(_TICK, max(left, 0.0)))
            left -= _TICK
            if update is not None or left <= 0:
                return update
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
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Update | None] = loop.create_future()
        stop = threading.Event()

        def settle(update: Update | None, error: BaseException | None) -> None:
            if found.done():
                return
            if error is not None:
                found.set_exception(error)
            else:
                found.set_result(update)

        def wait() -> None:
            update: Any = None
            failed: BaseException | None = None
            try:
                while not (stop.is_set() or self._closed.is_set() or update is not None):
                    update = self._step(_TICK)
            except BaseException as error:
                failed = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, update, failed)

        threading.Thread(target=wait, name="mmsb-watch", daemon=True).start()
        try:
            update = await found
        finally:
            stop.set()
        if update is None:
            raise StopAsyncIteration
        return update

    def close(self) -> None:
        """Ends the iteration, in whichever thread or task it is."""
        self._closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
