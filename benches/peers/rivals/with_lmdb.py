"""LMDB by py-lmdb: a row is a value. Without syncs it writes to its map, which survives the process."""

import struct
from itertools import count
from pathlib import Path
from typing import Any

import lmdb
import numpy as np

from peers.case import Place, Work, case, place
from peers.data import BATCHED, ROW_BYTES, ROWS, SHORT_BYTES, batch, values
from peers.threads import Write, threaded
from peers.workloads import WORKLOADS

WHO = "LMDB"
KEYS = [struct.pack(">I", row) for row in range(BATCHED)]


def opened(folder: Path, level: str) -> Any:
    """An environment of a durability."""
    durable = level == "disk"
    return lmdb.open(
        str(folder / "lmdb"), map_size=16 << 30, sync=durable, metasync=durable, writemap=not durable
    )


def filled(at: Place, rows: int, value: bytes, level: str | None = None) -> Any:
    """One with so many rows."""
    env = opened(at.folder, level or at.level or "process")
    at.after.callback(env.close)
    with env.begin(write=True) as write:
        for row in range(rows):
            write.put(KEYS[row], value)
    return env


@case("commit kept up", WHO, "process")
@case("commit", WHO, "process", "disk")
def commit(at: Place) -> Work:
    begin = filled(at, 16, bytes(256)).begin

    def run(steps: range) -> None:
        for i in steps:
            with begin(write=True) as write:
                write.put(KEYS[i & 15], ROW_BYTES[i % 251])

    return Work(run)


@threaded(WHO, "process", "disk")
def threads(at: Place) -> Any:
    begin = filled(at, 64 * 32, bytes(128)).begin

    def write(page: int, row: int, value: int) -> None:
        with begin(write=True) as write:
            write.put(KEYS[page << 5 | row], SHORT_BYTES[value])

    def writer() -> Write:
        return write

    return writer


def batches(workload: str) -> None:
    @case(workload, WHO, "process", "disk")
    def many(at: Place) -> Work:
        width, rows = batch(workload)
        begin = filled(at, BATCHED, bytes(width)).begin
        pairs = [
            [(KEYS[row], data.tobytes()) for row, data in zip(rows, all_, strict=True)]
            for all_ in values(width, len(rows))
        ]

        def run(steps: range) -> None:
            for i in steps:
                with begin(write=True) as write, write.cursor() as cursor:
                    cursor.putmulti(pairs[i % 2])

        return Work(run, parts=len(rows))


for workload in WORKLOADS:
    if workload.startswith("batch "):
        batches(workload)


@case("view changed", f"{WHO}: a transaction each")
@case("view unchanged", f"{WHO}: a transaction each")
def view(at: Place) -> Work:
    begin, key, make = filled(at, 1, bytes(4096)).begin, KEYS[0], np.frombuffer

    def run(steps: range) -> None:
        for _ in steps:
            with begin(buffers=True) as read:
                make(read.get(key), "uint8")

    return Work(run)


@case("view unchanged", f"{WHO}: one transaction for all")
def view_kept(at: Place) -> Work:
    begin, key, make = filled(at, 1, bytes(4096)).begin, KEYS[0], np.frombuffer

    def run(steps: range) -> None:
        with begin(buffers=True) as read:
            get = read.get
            for _ in steps:
                make(get(key), "uint8")

    return Work(run)


@case("snapshot", WHO)
def snapshot(at: Place) -> Work:
    begin = filled(at, 16, bytes(256)).begin

    def run(steps: range) -> None:
        for _ in steps:
            begin().abort()

    return Work(run)


@case("with snapshot", WHO)
def with_snapshot(at: Place) -> Work:
    begin = filled(at, 16, bytes(256)).begin

    def run(steps: range) -> None:
        for _ in steps:
            with begin():
                pass

    return Work(run)


@case("64 MiB written", f"{WHO}: one value", "process")
def whole(at: Place) -> Work:
    env, step = filled(at, 1, bytes(16)), count()
    data = [np.full(at.scale.large, value, "uint8").data for value in (3, 4)]

    def run(_: range) -> None:
        with env.begin(write=True) as write:
            write.put(KEYS[0], data[next(step) % 2])

    return Work(run, count=1)


@case("row, then view", f"{WHO}: one value")
def row_then_view(at: Place) -> Work:
    env = filled(at, 1, bytes(16))
    with env.begin(write=True) as write:
        write.put(KEYS[0], bytes(at.scale.large))

    def run(steps: range) -> None:
        for i in steps:
            with env.begin(write=True, buffers=True) as write:
                # A value cannot be changed in part: what was is copied.
                value = bytearray(write.get(KEYS[0]))
                value[:256] = ROW_BYTES[i % 251]
                write.put(KEYS[0], value)
            with env.begin(buffers=True) as read:
                np.frombuffer(read.get(KEYS[0]), "uint8")

    return Work(run, count=1)


@case("past", f"{WHO}: every version kept, by row and epoch")
def past(at: Place) -> Work:
    env = opened(at.folder, "process")
    at.after.callback(env.close)
    with env.begin(write=True) as write:
        for row in range(4096):
            write.put(struct.pack(">II", row, 0), bytes(16))
        for epoch in range(1, at.scale.epochs + 1):
            write.put(struct.pack(">II", place(epoch, 4096), epoch), ROWS[epoch % 251][:16].tobytes())
    counter = count()

    def run(steps: range) -> None:
        for _ in steps:
            epoch = 1 + place(next(counter), at.scale.epochs)
            page = np.empty((4096, 16), "uint8")
            with env.begin(buffers=True) as read, read.cursor() as cursor:
                for row in range(4096):
                    # The next later version, or the first of the next row; the one before is it.
                    if cursor.set_range(struct.pack(">II", row, epoch + 1)):
                        cursor.prev()
                    else:
                        cursor.last()
                    page[row] = np.frombuffer(cursor.value(), "uint8")
            page.sum()

    return Work(run, count=1)


def checkpoints(pages: int) -> None:
    def rewrite(env: Any, many: int, value: int) -> None:
        with env.begin(write=True) as write:
            for page in range(many):
                write.put(KEYS_OF_PAGES[page], bytes([value]) * 4096)

    @case(f"checkpoint {pages}", f"{WHO}: env.sync", "disk")
    def checkpoint(at: Place) -> Work:
        env, counter = opened(at.folder, "process"), count(1)
        at.after.callback(env.close)
        many = at.scale.at_most(pages)
        return Work(lambda _: env.sync(True), lambda _: rewrite(env, many, next(counter) % 256), count=1)

    @case(f"restore {pages}", WHO, "disk")
    def restore(at: Place) -> Work:
        env = opened(at.folder, "process")
        rewrite(env, at.scale.at_most(pages), 1)
        env.sync(True)
        env.close()

        def run(_: range) -> None:
            env = opened(at.folder, "process")
            with env.begin(buffers=True) as read:
                sum(int(np.frombuffer(value, "uint8").sum(dtype="uint64")) for _, value in read.cursor())
            env.close()

        return Work(run, count=1)


KEYS_OF_PAGES = [struct.pack(">I", page) for page in range(100_000)]
for pages in (16, 100, 100_000):
    checkpoints(pages)
