"""Following changes as they are committed, in a loop or in an asyncio task; nothing is skipped in silence."""

import asyncio
import threading
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal, Protocol, Self, SupportsIndex, cast, get_args

from mmsb._core import Bus, Change, Page, Snapshot
from mmsb.errors import InvalidArgument
from mmsb.given import integer, seconds
from mmsb.legible import legible

Slow = Literal["coalesce", "each", "release"]
"""What a watcher gets that is slower than the writers."""

_TICK = 0.05
"""Seconds a wait inside the core lasts at most, so that signals are seen in between."""


class Watched(Protocol):
    """A branch, as whoever watches it needs it."""

    def snapshot(self) -> Snapshot:
        """The present state."""

    def at(self, epoch: SupportsIndex | None = None) -> Snapshot:
        """A past one."""

    def _diff(self, before: Snapshot, after: Snapshot) -> list[Change]: ...

    def _wait(self, seen: int, seconds: float) -> int: ...


@dataclass(frozen=True)
class Update:
    """What was committed between two looks: the epochs after `since` up to and with `epoch`.

    A watcher that is slower than the writers gets several epochs in one update, unless it asked for each, and
    `epochs` says which.
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
    """An update that was found, and the state after it where that is kept."""

    kept: Snapshot | None
    update: Update


class Watch:
    """Updates from the moment it is made until it is closed: an iterator, and an asynchronous one."""

    def __init__(self, bus: Watched, page: int | None, slow: Slow) -> None:
        if slow not in get_args(Slow):
            raise InvalidArgument(f"slow {slow!r}: it is one of {', '.join(map(repr, get_args(Slow)))}")
        self._snapshot, self._past, self._diff, self._wait = bus.snapshot, bus.at, bus._diff, bus._wait
        self._page, self._slow = page, slow
        self._closed = threading.Event()
        self._taking = threading.Lock()
        self._seen = self._wait(0, 0.0)
        now = self._snapshot()
        self._since, self._branch = now.epoch, now.branch
        self._kept = self._keep(now)

    def _keep(self, state: Snapshot) -> Snapshot | None:
        """The state, where what changes next is told against it as it lies in memory."""
        return None if self._slow == "release" else state

    def _look(self) -> _Found | None:
        """What came since the last look, if anything did for this watch. It is there until it is taken."""
        now = self._snapshot()
        with self._taking:
            since, kept = self._since, self._kept
        while since < now.epoch:
            new = self._past(since + 1) if self._slow == "each" and since + 1 < now.epoch else now
            before = self._past(since) if kept is None else kept
            changes = self._diff(before, new)
            if self._page is not None:
                changes = [change for change in changes if change.id == self._page]
            if changes or self._page is None:
                return _Found(self._keep(new), Update(since, new.epoch, tuple(changes)))
            if self._slow != "each":
                return None
            # Nothing of the page: on to the next epoch.
            since, kept = new.epoch, new
            with self._taking:
                if self._since < since:
                    self._since, self._kept = since, kept
        return None

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
            if self._since > found.update.since or self._since == found.update.epoch:
                return False
            self._since, self._kept = found.update.epoch, found.kept
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
        return f"<Watch of {of} on branch {branch}, seen up to epoch {self._since}{closed}>"

    def close(self) -> None:
        """Ends the iteration, in whichever thread or task it is."""
        self._closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Watching(Bus):
    """A bus whose branches are watched."""

    __slots__ = ()

    def watch(self, page: str | int | Page | None = None, slow: Slow = "coalesce") -> Watch:
        """Follows commits from now on, of the whole branch or of one page; `for` and `async for` both work.

        A watcher slower than the writers gets ("coalesce") all it missed in one update, ("each") one for each
        epoch, by the log, or ("release") as the first, holding no memory meanwhile. No writer waits for it.
        """
        return Watch(cast(Watched, self), None if page is None else self[page].id, slow)

    def wait(self, epoch: SupportsIndex | None = None, timeout: float | None = None) -> int:
        """Waits until this branch is past an epoch, by default its present one, or for `timeout` seconds.

        Whoever commits, in whatever process, wakes it. Returns the epoch the branch is at then: where nothing
        came in time, it is none later.

        Raises:
            InvalidArgument, ClosedError: as they say.
        """
        past = self.epoch if epoch is None else integer("epoch", epoch)
        end = float("inf") if timeout is None else monotonic() + seconds("timeout", timeout)
        while True:
            # Before the look, so that nothing that comes in between is missed.
            seen, now, left = self._newest(), self.epoch, end - monotonic()
            if now > past or left <= 0:
                return now
            self._wait(seen, min(_TICK, left))
