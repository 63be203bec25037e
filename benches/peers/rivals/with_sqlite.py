"""SQLite of Python's own library: a row is a row of a table, in WAL mode."""

import sqlite3
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from peers.case import Place, Work, case, place
from peers.data import BATCHED, ROW_BYTES, ROWS, SHORT_BYTES, batch, values
from peers.threads import Write, threaded
from peers.workloads import WORKLOADS

WHO = "SQLite"
UPDATE = "update cells set data = ? where row = ?"


def connect(folder: Path, level: str) -> sqlite3.Connection:
    """A connection of a durability."""
    where = ":memory:" if level == "memory" else folder / "base.sqlite"
    base = sqlite3.connect(where, isolation_level=None, timeout=60, check_same_thread=False)
    if level != "memory":
        base.execute("pragma journal_mode = wal")
        base.execute(f"pragma synchronous = {'full' if level == 'disk' else 'off'}")
    return base


def filled(at: Place, rows: int, value: bytes) -> sqlite3.Connection:
    """One with so many rows."""
    base = connect(at.folder, at.level or "process")
    at.after.callback(base.close)
    base.execute("create table cells (row integer primary key, data blob)")
    base.execute("begin")
    base.executemany("insert into cells values (?, ?)", ((row, value) for row in range(rows)))
    base.execute("commit")
    return base


@case("commit kept up", WHO, "memory", "process")
@case("commit", WHO, "memory", "process", "disk")
def commit(at: Place) -> Work:
    # The statement is prepared once: the connection keeps it.
    execute = filled(at, 16, bytes(256)).cursor().execute

    def run(steps: range) -> None:
        for i in steps:
            execute(UPDATE, (ROW_BYTES[i % 251], i & 15))

    return Work(run)


@threaded(WHO, "process", "disk")
def threads(at: Place) -> Any:
    filled(at, 64 * 32, bytes(128))
    # SQLite's own wait for its one writer sleeps; a lock does not.
    lock = Lock()

    def writer() -> Write:
        execute = connect(at.folder, at.level).cursor().execute

        def write(page: int, row: int, value: int) -> None:
            with lock:
                execute(UPDATE, (SHORT_BYTES[value], page << 5 | row))

        return write

    return writer


def batches(workload: str) -> None:
    @case(workload, WHO, "memory", "process", "disk")
    def many(at: Place) -> Work:
        width, rows = batch(workload)
        base = filled(at, BATCHED, bytes(width))
        pairs = [
            [(data.tobytes(), int(row)) for row, data in zip(rows, all_, strict=True)]
            for all_ in values(width, len(rows))
        ]

        def run(steps: range) -> None:
            for i in steps:
                base.execute("begin")
                base.executemany(UPDATE, pairs[i % 2])
                base.execute("commit")

        return Work(run, parts=len(rows))


for workload in WORKLOADS:
    if workload.startswith("batch "):
        batches(workload)


@case("snapshot", WHO)
def snapshot(at: Place) -> Work:
    execute = filled(at, 16, bytes(256)).cursor().execute

    def run(steps: range) -> None:
        for _ in steps:
            execute("begin")
            # It is the first read that settles which state is read.
            execute("select data from cells where row = 3").fetchone()
            execute("commit")

    return Work(run)


@case("64 MiB written", f"{WHO}: one value", "process")
def whole(at: Place) -> Work:
    base, step = filled(at, 1, bytes(16)), count()
    data = [np.full(at.scale.large, value, "uint8").data for value in (3, 4)]
    return Work(lambda _: base.execute(UPDATE, (data[next(step) % 2], 0)), count=1)


@case("past", f"{WHO}: every version kept, by row and epoch")
def past(at: Place) -> Work:
    base, counter = connect(at.folder, "process"), count()
    at.after.callback(base.close)
    base.execute("create table rows (row integer primary key)")
    base.executemany("insert into rows values (?)", ((row,) for row in range(4096)))
    base.execute(
        "create table versions (row integer, epoch integer, data blob, primary key (row, epoch)) "
        "without rowid"
    )
    base.execute("begin")
    base.executemany("insert into versions values (?, 0, ?)", ((row, bytes(16)) for row in range(4096)))
    epochs = range(1, at.scale.epochs + 1)
    data = [row[:16].tobytes() for row in ROWS]
    base.executemany(
        "insert into versions values (?, ?, ?)", ((place(e, 4096), e, data[e % 251]) for e in epochs)
    )
    base.execute("commit")
    query = (
        "select (select data from versions v where v.row = rows.row and epoch <= ? "
        "order by epoch desc limit 1) from rows order by row"
    )

    def run(steps: range) -> None:
        for _ in steps:
            found = base.execute(query, (1 + place(next(counter), at.scale.epochs),)).fetchall()
            np.frombuffer(b"".join(data for (data,) in found), "uint8").sum()

    return Work(run, count=1)


def checkpoints(pages: int) -> None:
    @case(f"checkpoint {pages}", f"{WHO}: wal_checkpoint", "disk")
    def checkpoint(at: Place) -> Work:
        many, counter = at.scale.at_most(pages), count(2)
        base = filled(at, many, bytes([1]) * 4096)
        base.execute("pragma wal_autocheckpoint = 0")

        def rewrite(_: int) -> None:
            base.execute("pragma synchronous = off")
            base.execute("update cells set data = ?", (bytes([next(counter) % 256]) * 4096,))
            base.execute("pragma synchronous = full")

        return Work(lambda _: base.execute("pragma wal_checkpoint(truncate)").fetchall(), rewrite, count=1)

    @case(f"restore {pages}", WHO, "disk")
    def restore(at: Place) -> Work:
        filled(at, at.scale.at_most(pages), bytes([1]) * 4096).close()

        def run(_: range) -> None:
            base = connect(at.folder, "process")
            rows = base.execute("select data from cells")
            sum(int(np.frombuffer(value, "uint8").sum(dtype="uint64")) for (value,) in rows)
            base.close()

        return Work(run, count=1)


for pages in (16, 100, 100_000):
    checkpoints(pages)
