"""LMDB: cycles, and the flights with the history of every row kept beside it."""

import struct
from typing import Any

import numpy as np

from mmsb.applications.flights.pages import rows as row_counts
from mmsb.applications.flights.stream import Stream
from peers.case import Place
from peers.cycles import PAGES, ROWS, WIDTH, State, cycled
from peers.data import SIXTEEN
from peers.flights import Table, batches, played
from peers.memory import grown
from peers.rivals.with_lmdb import WHO, opened

VALUES = [row.tobytes() for row in SIXTEEN]
KEY = struct.Struct(">II")


class Cycles:
    """An environment of rows, by page and row."""

    def __init__(self, at: Place) -> None:
        self.at = at
        self.env: Any = opened(at.folder, "process")
        at.after.callback(lambda: self.env.close())
        with self.env.begin(write=True) as write:
            for page in range(PAGES):
                self.create(write, page)

    def create(self, write: Any, page: int) -> None:
        """A page of zeros."""
        for row in range(ROWS):
            write.put(KEY.pack(page, row), bytes(WIDTH))

    def cycle(self, writes: list[tuple[int, int, int]], dropped: int | None, made: int) -> None:
        """One transaction."""
        with self.env.begin(write=True) as write:
            for page, row, value in writes:
                write.put(KEY.pack(page, row), VALUES[value])
            if dropped is not None:
                for row in range(ROWS):
                    write.delete(KEY.pack(dropped, row))
                self.create(write, made)

    def state(self) -> State:
        """Every page."""
        found: State = {}
        with self.env.begin() as read:
            for key, value in read.cursor():
                page, row = KEY.unpack(key)
                array = found.setdefault(page, np.empty((ROWS, WIDTH), "uint8"))
                array[row] = np.frombuffer(value, "uint8")
        return found

    def reopen(self) -> None:
        """From its file."""
        self.env.close()
        self.env = opened(self.at.folder, "process")


class Player:
    """Rows of 64-bit integers, and beside them each change of each row."""

    def __init__(self, at: Place, stream: Stream) -> None:
        self.stream = stream
        self.env = opened(at.folder, "process")
        at.after.callback(self.env.close)
        counts = row_counts(stream.flights)
        self.batches = []
        for number, (batch, added) in enumerate(batches(stream)):
            layout = struct.Struct(f"<{len(batch.columns)}q")
            changes = list(zip(*(values.tolist() for values in batch.columns.values()), strict=True))
            keys = [KEY.pack(number, row) for row in range(counts[batch.page])]
            with self.env.begin(write=True) as write:
                for key in keys:
                    write.put(key, bytes(layout.size))
            self.batches.append((batch.bounds, batch.rows.tolist(), changes, layout, keys, added))

    def play(self) -> None:
        """Read, add, write; and the change itself under the row and the minute."""
        begin, minute_key = self.env.begin, struct.Struct(">I")
        for k in range(len(self.stream)):
            minute = minute_key.pack(k)
            with begin(write=True) as write:
                for bounds, rows, changes, layout, keys, added in self.batches:
                    for i in range(bounds[k], bounds[k + 1]):
                        key, change = keys[rows[i]], layout.pack(*changes[i])
                        if added:
                            before = layout.unpack(write.get(key))
                            write.put(key, layout.pack(*map(int.__add__, before, changes[i])))
                        else:
                            write.put(key, change)
                        write.put(b"h" + key + minute, change)

    def tables(self) -> dict[str, Table]:
        """The columns."""
        found = {}
        with self.env.begin() as read:
            for (batch, _), (_, _, _, _, keys, _) in zip(batches(self.stream), self.batches, strict=True):
                cells = np.frombuffer(b"".join(read.get(key) for key in keys), "<i8").reshape(len(keys), -1)
                found[batch.page] = {name: cells[:, n] for n, name in enumerate(batch.columns)}
        return found


cycled(WHO, Cycles)
played(f"{WHO}: with every row's history", Player)
grown(WHO, "process")
