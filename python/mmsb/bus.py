"""The bus as one holds it in Python: pages, transactions, time, branches, watching."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Self, SupportsIndex

from numpy.typing import DTypeLike

from mmsb._core import Bus as CoreBus
from mmsb._core import Change, Log, Page, Snapshot, Transaction
from mmsb._core import open as _open
from mmsb.algebra.merge import operator_name
from mmsb.derive import Deriving
from mmsb.errors import InvalidArgument
from mmsb.given import (
    Durability,
    Progress,
    callback,
    count,
    nanoseconds,
    perhaps_callback,
    perhaps_count,
    perhaps_text,
    place,
    reason,
    refusal,
    seconds,
    text,
)
from mmsb.keep import Checkpoint, Pin, Process, Pruned, Report, pins, processes, verify
from mmsb.layout import Columns, Shape, plan
from mmsb.notebook import bus as _html
from mmsb.posts import Posting
from mmsb.upsert import Upsert, until_settled
from mmsb.watch import Watching

Isolation = Literal["snapshot", "serializable"]
Moment = SupportsIndex | Snapshot | CoreBus


@dataclass(frozen=True)
class Branch:
    """A branch: its name, its epoch, and the branch and epoch it comes from."""

    name: str
    epoch: int
    parent: str | None
    forked_at: int | None


def open(  # noqa: A001 - the face is `mmsb.open`
    path: str | os.PathLike[str] | None = None,
    mode: Literal["r", "r+", "a", "x"] = "a",
    *,
    durability: Durability = "process",
    budget: int | None = None,
    threads: int | None = None,
    arena: Literal["shared", "directory"] = "shared",
    busy_timeout: float = 30.0,
    pins: Literal["warn", "spill", "expire"] | None = None,
    pin_limit: int | None = None,
) -> "Bus":
    """Opens a bus.

    Args:
        path: its directory, made if absent; without one the bus is in memory only.
        mode: "a" reads and writes, "r" only reads, "r+" must exist, "x" must not. Processes of one machine
            share the bus and write it in turn; "r" where none has it open shows it as it is (`bus.follows`).
        durability: what a commit of this handle survives: "memory" nothing, "process" the death of the
            process, "disk" a loss of power.
        budget: bytes of memory it may take; by default 80 % of what there is. It, `threads` and `arena`
            are the same for all handles of a process on one bus.
        threads: how many make pages that follow where that takes long, the one that commits among them; by
            default as many as the process may use. What comes out does not depend on it.
        arena: where its memory lies: "shared" in tmpfs, "directory" in the bus's own directory.
        busy_timeout: seconds a writer with this handle waits for others.
        pins: what becomes of a snapshot that costs more than `pin_limit`: "warn" keeps it and whoever commits
            gets a `PinWarning`; "spill" takes it out of memory, to be read from the log as far as that goes;
            "expire" lets go of it: `SnapshotExpired`. It counts for all processes and snapshots to come.
        pin_limit: bytes out of use that may wait for one snapshot, a quarter of the budget if nobody says it.

    Raises:
        BusNotFound, BusExists, NotABus, UnsupportedFormat, CorruptLog, LockedError: as they say.
        InvalidArgument: this process has the bus open with another budget, number of threads or arena.
    """
    where = None if path is None else place("path", path)
    text("mode", mode), text("durability", durability), text("arena", arena)
    text("pins", "warn" if pins is None else pins)
    if threads is not None and count("threads", threads) < 1:
        raise InvalidArgument(f"threads {threads}: one at least is needed")
    return Bus(
        _open(
            where,
            mode,
            durability,
            perhaps_count("budget", budget),
            perhaps_count("threads", threads),
            arena,
            seconds("busy_timeout", busy_timeout),
            pins,
            perhaps_count("pin_limit", pin_limit),
        )
    )


class Bus(Deriving, Posting, Watching):
    """One versioned state: pages by name, one log, branches. Made by `mmsb.open`."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _repr_html_(self) -> str:
        return _html(self)

    def create_page(
        self,
        name: str,
        *,
        shape: Shape | None = None,
        dtype: DTypeLike | None = None,
        rows: int | None = None,
        columns: Columns | None = None,
        size: int | None = None,
        op: str | None = None,
        data: Any = None,
    ) -> Page:
        """Makes a page, filled with zeros or with `data`, as one epoch.

        Args:
            name: up to 255 bytes of UTF-8, unique in the bus.
            shape: of an array page: rows and inner axes; with `dtype`.
            dtype: anything numpy takes: bool, 8 to 64 bit integers, float16 to float64, `S` byte strings.
            rows: of a table, with `columns`.
            columns: of a table: dtype by name; a dtype may have a shape, as `("f4", (3,))`.
            size: of a page of raw bytes.
            op: what `merge` does by default: `add`, `min`, `max`, `or`, `and`, `xor` or `mul`. One's own goes
                with `page.merge(op=)`.
            data: an array, bytes, a mapping of columns, a structured array or a dataframe to take it from.

        Raises:
            NameTaken, ShapeError, DtypeError, InvalidArgument: as they say.
        """
        text("a page's name", name)
        if op is not None:
            operator_name(name, op)
        layout = plan(name, shape, dtype, rows, columns, size, data)
        if layout.data is None:
            return self._create(name, layout.kind, layout.columns, layout.rows, op)
        with self.transaction():
            page = self._create(name, layout.kind, layout.columns, layout.rows, op)
            page.assign(dict(layout.data))
        return page

    def transaction(
        self,
        source: str | None = None,
        intent: Any = None,
        isolation: Isolation = "snapshot",
        durability: Durability | None = None,
    ) -> Transaction:
        """A block whose writes become one epoch, or nothing if it raises; inside another one it joins.

        One that joins is part of the outer one's commit, which decides: asking there for another source or
        intent, or for a stronger durability or isolation, is refused.

        It belongs to the thread and asyncio task that entered it; reads in it see its own writes.
        `branch`, `merge`, `revert` and `drop` cannot be a part of it and are refused inside.

        Args:
            source: who writes, for the log.
            intent: why, for the log: anything that JSON can say.
            isolation: "snapshot": whoever commits a cell first wins; "serializable": what it read must hold.
            durability: what it must survive; by default what the bus was opened with.

        Raises:
            ConflictError: at the end of the block, when somebody else was first.
            InvalidArgument: as it is entered, where it asks for what the outer one does not do.
            WrongTransaction: where it is used or ended in another thread or task.
        """
        text("isolation", isolation)
        survives = perhaps_text("durability", durability)
        return self._transaction(perhaps_text("source", source), reason(intent), isolation, survives)

    def at(self, epoch: SupportsIndex | None = None, *, time: datetime | None = None) -> Snapshot:
        """The state at an epoch, or at a time: after the last commit that is not later.

        A datetime means the whole of its microsecond, so that the time of an entry of the log gives its
        state, unless another commit followed in the same one. Without a time zone it is local.

        Raises:
            EpochNotFound, HistoryPruned: as they say.
        """
        if (epoch is None) == (time is None):
            raise InvalidArgument("say either an epoch or a time")
        if epoch is not None:
            return self._at(epoch)
        return self._at_time(nanoseconds(time))

    def diff(self, before: Moment, after: Moment | None = None, progress: Progress = None) -> list[Change]:
        """What differs between two moments, page by page: epochs, snapshots or branches. By default from now.

        The cells are read from the states when they are asked for. In rows that only one state of a page has
        they are those that are not zeros, and count as zeros in the other. `progress` is told the pages
        compared so far.
        """
        tell = perhaps_callback("progress", progress)
        if after is None:
            return self._diff(self, before, tell)
        return self._diff(before, after, tell)

    def log(
        self,
        page: str | int | Page | None = None,
        since: SupportsIndex | None = None,
        until: SupportsIndex | None = None,
        source: str | None = None,
        intent: Any = None,
    ) -> Log:
        """The commits that lead to the present, oldest first; or those of a page, a source, an intent.

        Args:
            page: itself, its name or its id.
            since: from this epoch on.
            until: up to and with this epoch.
            source: who wrote.
            intent: why: what was said when it was written; a mapping matches intents that have its items,
                among others.
        """
        first, last = perhaps_count("since", since), perhaps_count("until", until)
        return self._log(page, perhaps_text("source", source), first, last, intent)

    def branch(self, name: str, at: SupportsIndex | None = None) -> Self:
        """Forks a branch, by default at the present epoch. It shares memory until the two differ."""
        return type(self)(self._branch(text("a branch", name), at))

    def checkout(self, name: str) -> Self:
        """Another branch of the bus, by name."""
        return type(self)(self._checkout(text("a branch", name)))

    def branches(self) -> dict[str, Branch]:
        """The branches there are, by name."""
        found = {}
        for name, epoch, origin in self._branches():
            parent, forked_at = origin or (None, None)
            found[name] = Branch(name, epoch, parent, forked_at)
        return found

    def merge(
        self,
        branch: CoreBus,
        on_conflict: Literal["raise", "ours", "theirs"] = "raise",
        *,
        source: str | None = None,
        intent: Any = None,
        progress: Progress = None,
    ) -> int | None:
        """Merges what a branch changed since the two last agreed into this one, cell by cell.

        Cells that both changed only by merges with their page's operator (`page.merge`) get the other's
        merges too, one by one in the order they were made; others that both changed conflict. What a policy
        settled in cells is not asked again. Of two pages that both made under one name, "ours" keeps this
        branch's and leaves the other out, "theirs" takes the other and drops this branch's. `progress` is
        told the pages looked at so far. An exception that it raises comes when all is done.

        Returns:
            The epoch it made; `None` where there was nothing to take or to settle.

        Raises:
            ConflictError: where both changed a cell and `on_conflict` is "raise"; it names pages and rows.
        """
        if not isinstance(branch, CoreBus):
            raise InvalidArgument(f"branch {branch!r}: a branch is wanted, as bus.checkout(name) gives it")
        policy = text("on_conflict", on_conflict)
        tell = perhaps_callback("progress", progress)
        return self._merge(branch, policy, perhaps_text("source", source), reason(intent), tell)

    def revert(
        self, to: SupportsIndex, *, source: str | None = None, intent: Any = None, progress: Progress = None
    ) -> int | None:
        """Brings the state of an epoch back, as a new epoch; `None` where it is the present one.

        What others commit meanwhile is gone back on too: it begins anew then, up to `busy_timeout`.
        `progress` is told the pages looked at so far. An exception that it raises comes when all is done.

        Raises:
            EpochNotFound, HistoryPruned: there is no such epoch, or it is not kept.
            ConflictError: others committed all the time.
        """
        tell = perhaps_callback("progress", progress)
        return self._revert(to, perhaps_text("source", source), reason(intent), tell)

    def upsert(
        self,
        page: str | int | Page,
        *,
        when: Callable[[Page], Any],
        write: Any,
        source: str | None = None,
        intent: Any = None,
    ) -> Upsert:
        """Writes to a page if a condition holds, both under one epoch.

        Inside a transaction it joins, and its epoch is not known yet: `None`. That one must be serializable,
        for what the condition read to hold when it commits.

        Args:
            page: itself, its name or its id.
            when: called with the page; true lets the write happen, a string says why it must not. numpy's
                booleans and arrays of one will do; of more say `.all()` or `.any()`.
            write: called with the page, or what is assigned to all of it.
            source: who writes, for the log.
            intent: why, for the log.

        Raises:
            InvalidArgument: the page is of another branch or bus, or the condition's answer is no boolean.
        """
        callback("when", when)
        return until_settled(lambda: self._try_upsert(page, when, write, source, intent))

    def _try_upsert(
        self, page: str | int | Page, when: Callable[[Page], Any], write: Any, source: str | None, intent: Any
    ) -> Upsert:
        with self.transaction(source, intent, "serializable") as tx:
            found = self._own(page)
            refused = refusal(when(found))
            if not refused:
                if callable(write):
                    write(found)
                else:
                    found.assign(write)
        return Upsert(not refused, refused or "the condition holds", tx.epoch)

    def checkpoint(self, progress: Progress = None) -> Checkpoint:
        """Write the state of all branches out, so that opening need not replay what came before.

        Commits go on meanwhile. `progress` is told the bytes written so far. It may use the bus, but for
        `checkpoint`, `prune` and `squash`, which raise BusyError there.
        """
        return Checkpoint(*self._checkpoint(perhaps_callback("progress", progress)))

    def export(self, path: str | os.PathLike[str], progress: Progress = None) -> Checkpoint:
        """Write the present state of all branches to a new directory: a bus of its own.

        It has the same names, ids and epochs, and none of the history. `progress` is told the bytes written
        so far. After an exception, also one that `progress` raised, there is nothing.

        Raises:
            BusExists: something is at `path`.
        """
        return Checkpoint(*self._export(place("path", path), perhaps_callback("progress", progress)))

    def prune(self, keep_checkpoints: int = 1, progress: Progress = None) -> Pruned:
        """Keep the newest checkpoints and the history from the oldest of those on; the rest is gone for good.

        Without a checkpoint nothing goes. `progress` is told the bytes read so far of the oldest one kept,
        which is read once more before what it replaces goes.
        """
        tell = perhaps_callback("progress", progress)
        return Pruned(*self._prune(count("keep_checkpoints", keep_checkpoints), tell))

    def squash(self, progress: Progress = None) -> Pruned:
        """Make a checkpoint and let all history before it go.

        `progress` is told the bytes written of it, then those read of it.
        """
        self.checkpoint(progress)
        return self.prune(progress=progress)

    def verify(self, progress: Progress = None) -> Report:
        """Read every frame, checkpoint and image, and compare every branch with a replay of the log.

        Changes nothing; damage is in the report. `progress` is told the bytes read. `mmsb.verify` does it
        without opening the bus.
        """
        perhaps_callback("progress", progress)
        report = Report(True, [], self.stats()["seq"], 0, 0, 0)
        if self.place != "in memory":
            report = verify(self.place[1:-1], progress)
        if not report.ok:
            return report
        findings = []
        for name, epoch, digest in self._replayed():
            if self.checkout(name).at(epoch).digest() != digest:
                findings.append(f"branch {name} at epoch {epoch} is not what its log comes to")
        return replace(report, ok=not findings, findings=findings)

    def pins(self) -> list[Pin]:
        """Who holds which versions, in all processes: snapshots, arrays, transactions, background work."""
        return pins(self)

    def processes(self) -> list[Process]:
        """Who has the bus open and shares its memory: the processes that write it and that read it."""
        return processes(self)
