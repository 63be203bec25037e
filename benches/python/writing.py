"""Page allocation, delta apply, commit."""

import os
import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mmsb
from cases import LARGE, MIB, ROW, ROWS, Work, case, rows


def sqlite(folder: Path, synchronous: str) -> Callable[[int], None]:
    """Writes 256 B to one of 16 rows of a table, each time as a transaction of its own."""
    base = sqlite3.connect(folder / "base.sqlite", isolation_level=None)
    base.execute("pragma journal_mode = wal")
    base.execute(f"pragma synchronous = {synchronous}")
    base.execute("create table cells (row integer primary key, data blob)")
    base.executemany("insert into cells values (?, ?)", [(row, bytes(256)) for row in range(16)])
    data = [row.tobytes() for row in ROWS]

    def write(n: int) -> None:
        base.execute("update cells set data = ? where row = ?", (data[n % 251], n % 16))

    return write


# --- page allocation ---

CREATED = "page of 1 KiB created"


@case("page allocation", CREATED)
def create(folder: Path) -> Work:
    bus, n = mmsb.open(folder / "bus"), count()
    return Work(lambda: bus.create_page(str(next(n)), shape=(1024,), dtype="uint8"))


@case("page allocation", CREATED, "limit: np.zeros(1024) kept in a dict")
def create_limit(_: Path) -> Work:
    kept: dict[str, Any] = {}
    n = count()

    def step() -> None:
        kept[str(next(n))] = np.zeros(1024, "uint8")

    return Work(step)


# --- delta apply ---

SCATTERED = np.random.default_rng(0).permutation(100_000)[:10_000]
VALUES = np.arange(10_000, dtype="float64")
SET = "page[10,000 of 100,000 rows] = float64, one delta"
ADD = "10,000 of 100,000 rows of float64 merged by add, one delta"


@case("delta apply", SET)
def columnar_set(folder: Path) -> Work:
    page = mmsb.open(folder / "bus").create_page("page", shape=(100_000,), dtype="float64")
    return Work(lambda: page.__setitem__(SCATTERED, VALUES))


@case("delta apply", SET, "limit: the same to a numpy array")
def columnar_set_limit(_: Path) -> Work:
    array = np.zeros(100_000)
    return Work(lambda: array.__setitem__(SCATTERED, VALUES))


@case("delta apply", ADD)
def columnar_add(folder: Path) -> Work:
    page = mmsb.open(folder / "bus").create_page("page", shape=(100_000,), dtype="float64")
    return Work(lambda: page.merge(VALUES, rows=SCATTERED, op="add"))


@case("delta apply", ADD, "limit: np.add.at")
def columnar_add_limit(_: Path) -> Work:
    array = np.zeros(100_000)
    return Work(lambda: np.add.at(array, SCATTERED, VALUES))


# --- commit ---

SMALL = "page[row] = 256 B, page of 4 KiB"
DISK = "page[row] = 256 B, survives loss of power"
TWO = "transaction of 256 B into each of two pages"
WHOLE = "page[...] = 64 MiB, all new"


def set_rows(to: mmsb.Page | NDArray[np.uint8]) -> Callable[[], None]:
    """Writes 256 B to one of 16 rows."""
    n = count()

    def step() -> None:
        i = next(n)
        to[i % 16] = ROWS[i % 251]

    return step


@case("commit", SMALL)
def commit(folder: Path) -> Work:
    return Work(set_rows(rows(mmsb.open(folder / "bus"), "page", 4096)))


@case("commit", SMALL, "limit: the same to a numpy array")
def commit_limit(_: Path) -> Work:
    return Work(set_rows(np.zeros((16, 256), "uint8")))


@case("commit", SMALL, "rival: SQLite, WAL, synchronous off")
def commit_rival(folder: Path) -> Work:
    write, n = sqlite(folder, "off"), count()
    return Work(lambda: write(next(n)))


@case("commit", DISK)
def durable(folder: Path) -> Work:
    return Work(set_rows(rows(mmsb.open(folder / "bus", durability="disk"), "page", 4096)))


@case("commit", DISK, "limit: os.pwrite of the same bytes, os.fdatasync")
def durable_limit(folder: Path) -> Work:
    file, n, data = os.open(folder / "limit", os.O_RDWR | os.O_CREAT), count(), ROW.tobytes()
    os.pwrite(file, bytes(MIB), 0)
    os.fsync(file)

    def step() -> None:
        os.pwrite(file, data, next(n) * 256 % MIB)
        os.fdatasync(file)

    return Work(step)


@case("commit", DISK, "rival: SQLite, WAL, synchronous full")
def durable_rival(folder: Path) -> Work:
    write, n = sqlite(folder, "full"), count()
    return Work(lambda: write(next(n)))


@case("commit", TWO)
def transaction(folder: Path) -> Work:
    bus, n = mmsb.open(folder / "bus"), count()
    one, two = rows(bus, "one", 4096), rows(bus, "two", 4096)

    def step() -> None:
        i = next(n)
        with bus.transaction():
            one[i % 16] = ROWS[i % 251]
            two[i % 16] = ROWS[i % 251]

    return Work(step)


@case("commit", TWO, "limit: two numpy assignments under a lock")
def transaction_limit(_: Path) -> Work:
    one, two, n, lock = np.zeros((16, 256), "uint8"), np.zeros((16, 256), "uint8"), count(), Lock()

    def step() -> None:
        i = next(n)
        with lock:
            one[i % 16] = ROWS[i % 251]
            two[i % 16] = ROWS[i % 251]

    return Work(step)


@case("commit", WHOLE)
def whole(folder: Path) -> Work:
    bus = mmsb.open(folder / "bus")
    page, n = rows(bus, "page", LARGE), count()
    data = [np.full((LARGE // 256, 256), value, "uint8") for value in (3, 4)]

    def shrink() -> None:
        # The log would grow by the page with every step.
        bus.squash()

    return Work(lambda: page.__setitem__(..., data[next(n) % 2]), shrink, rounds=10)


@case("commit", WHOLE, "limit: numpy copy of 64 MiB, os.pwrite of it to a file")
def whole_limit(folder: Path) -> Work:
    array, data = np.ones((LARGE // 256, 256), "uint8"), np.full((LARGE // 256, 256), 3, "uint8")
    file = os.open(folder / "limit", os.O_RDWR | os.O_CREAT)

    def step() -> None:
        array[...] = data
        os.pwrite(file, data.data, 0)

    return Work(step, lambda: os.ftruncate(file, 0), rounds=10)
