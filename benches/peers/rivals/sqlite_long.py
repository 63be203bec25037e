"""SQLite: cycles, the flights with the history of every row kept beside it, and opening after a crash."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from mmsb.applications.flights.pages import rows as row_counts
from mmsb.applications.flights.stream import Stream
from peers.case import Place, case, place
from peers.cycles import PAGES, ROWS, WIDTH, State, cycled
from peers.data import SIXTEEN
from peers.flights import Table, batches, played
from peers.memory import grown
from peers.rivals.with_sqlite import WHO, connect

VALUES = [row.tobytes() for row in SIXTEEN]
PUT = "insert or replace into cells values (?, ?, ?)"


class Cycles:
    """A table of rows, by page and row."""

    def __init__(self, at: Place) -> None:
        self.at, self.base = at, connect(at.folder, "process")
        at.after.callback(lambda: self.base.close())
        self.base.execute("create table cells (page, row, data, primary key (page, row)) without rowid")
        self.base.execute("begin")
        for page in range(PAGES):
            self.create(page)
        self.base.execute("commit")

    def create(self, page: int) -> None:
        """A page of zeros."""
        self.base.executemany(PUT, ((page, row, bytes(WIDTH)) for row in range(ROWS)))

    def cycle(self, writes: list[tuple[int, int, int]], dropped: int | None, made: int) -> None:
        """One transaction."""
        self.base.execute("begin")
        self.base.executemany(PUT, ((page, row, VALUES[value]) for page, row, value in writes))
        if dropped is not None:
            self.base.execute("delete from cells where page = ?", (dropped,))
            self.create(made)
        self.base.execute("commit")

    def state(self) -> State:
        """Every page."""
        found: State = {}
        for page, row, data in self.base.execute("select * from cells"):
            found.setdefault(page, np.empty((ROWS, WIDTH), "uint8"))[row] = np.frombuffer(data, "uint8")
        return found

    def reopen(self) -> None:
        """From its file."""
        self.base.close()
        self.base = connect(self.at.folder, "process")


class Player:
    """A table of integers each, and beside it one of each change of each row."""

    def __init__(self, at: Place, stream: Stream) -> None:
        self.stream, self.base = stream, connect(at.folder, "process")
        at.after.callback(self.base.close)
        counts = row_counts(stream.flights)
        self.base.execute("begin")
        self.batches = []
        for batch, added in batches(stream):
            names, page = list(batch.columns), batch.page
            columns = ", ".join(f"{name} integer not null default 0" for name in names)
            self.base.execute(f"create table {page} (row integer primary key, {columns})")
            self.base.execute(
                f"create table {page}_history (row, minute, {', '.join(names)}, primary key (row, minute)) "
                "without rowid"
            )
            self.base.executemany(f"insert into {page} (row) values (?)", ((n,) for n in range(counts[page])))
            sets = ", ".join(f"{name} = {name} + ?" if added else f"{name} = ?" for name in names)
            marks = ", ".join("?" for _ in names)
            cells = (batch.columns[name].tolist() for name in names)
            changes = list(zip(*cells, batch.rows.tolist(), batch_minutes(batch.bounds), strict=True))
            update = f"update {page} set {sets} where row = ? and ? >= 0"
            keep = f"insert into {page}_history ({', '.join(names)}, row, minute) values ({marks}, ?, ?)"
            self.batches.append((batch.bounds, changes, update, keep))
        self.base.execute("commit")

    def play(self) -> None:
        """The rows, and the changes themselves under the row and the minute."""
        execute, many = self.base.execute, self.base.executemany
        for k in range(len(self.stream)):
            execute("begin")
            for bounds, changes, update, keep in self.batches:
                if bounds[k] != bounds[k + 1]:
                    some = changes[bounds[k] : bounds[k + 1]]
                    many(update, some)
                    many(keep, some)
            execute("commit")

    def tables(self) -> dict[str, Table]:
        """The columns."""
        found = {}
        for batch, _ in batches(self.stream):
            rows = self.base.execute(f"select {', '.join(batch.columns)} from {batch.page} order by row")
            cells = np.array(rows.fetchall(), "int64")
            found[batch.page] = {name: cells[:, n] for n, name in enumerate(batch.columns)}
        return found


def batch_minutes(bounds: list[int]) -> list[int]:
    """The minute's number of each change."""
    return np.repeat(np.arange(len(bounds) - 1), np.diff(bounds)).tolist()


def write(folder: Path, epochs: int) -> None:
    """The child: a transaction for each row, and then it waits for its end."""
    base = connect(folder, "process")
    base.execute("create table cells (row integer primary key, data blob)")
    base.executemany("insert into cells values (?, ?)", ((row, bytes(16)) for row in range(4096)))
    for i in range(epochs):
        row, data = place(i, 4096), (i + 1).to_bytes(16, "little")
        base.execute("update cells set data = ? where row = ?", (data, row))
    print("done", flush=True)
    signal.pause()


@case("opened after a crash", WHO, "process")
def crash(at: Place) -> list[float]:
    epochs, took = at.scale.epochs, []
    code = f"from peers.rivals.sqlite_long import write, Path; write(Path({str(at.folder)!r}), {epochs})"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    said = child.stdout.readline()
    child.kill()
    child.wait()
    child.stdout.close()
    assert said == "done\n", "the writer failed"
    files = {name: (at.folder / name).read_bytes() for name in ("base.sqlite", "base.sqlite-wal")}
    for _ in range(at.scale.few):
        (at.folder / "base.sqlite-shm").unlink(missing_ok=True)
        for name, data in files.items():
            (at.folder / name).write_bytes(data)
        start = time.perf_counter()
        base = sqlite3.connect(at.folder / "base.sqlite")
        query = "select data from cells where row = ?"
        ((data,),) = base.execute(query, (place(epochs - 1, 4096),)).fetchall()
        took.append(time.perf_counter() - start)
        base.close()
        assert data == epochs.to_bytes(16, "little"), "the last commit is lost"
    os.sync()
    return took


cycled(WHO, Cycles)
played(f"{WHO}: with every row's history", Player)
grown(WHO, "memory")
