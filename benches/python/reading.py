"""View, snapshot, replay, checkpoint, branch, diff, digest."""

import os
from hashlib import blake2b
from itertools import count
from pathlib import Path
from zlib import crc32

import numpy as np

import mmsb
from cases import LARGE, ROW, Maker, Work, case, place, rows


def nothing() -> None:
    """The least that a call of Python costs."""


# --- view ---

UNCHANGED = "page.array of 4 KiB, unchanged"
CHANGED = "page.array of 4 KiB, after a change"
ONE_ROW = "page.array of 64 MiB, after 256 B changed"
HELD = "page.array of 64 MiB, after 256 B changed, the one before held, in 30 pieces"


@case("view", UNCHANGED)
def array_unchanged(folder: Path) -> Work:
    page = rows(mmsb.open(folder / "bus"), "page", 4096)
    return Work(lambda: page.array)


@case("view", UNCHANGED, "limit: a call that does nothing")
def array_unchanged_limit(_: Path) -> Work:
    return Work(lambda: nothing())


@case("view", UNCHANGED, "rival: np.frombuffer")
@case("view", CHANGED, "rival: np.frombuffer")
def array_rival(_: Path) -> Work:
    data = bytes(4096)
    return Work(lambda: np.frombuffer(data, "uint8"))


def after_change(size: int, rounds: int, held: bool) -> Maker:
    """A row is written before each step, outside the clock; the array of the last step is let go, or held."""

    def make(folder: Path) -> Work:
        page, n = rows(mmsb.open(folder / "bus"), "page", size), count()
        kept = [page.array]

        def change() -> None:
            page[place(next(n), len(page))] = ROW

        def step() -> None:
            if held:
                kept[0] = page.array
            else:
                page.array  # noqa: B018 - looking is what is timed

        if not held:
            kept.clear()
        return Work(step, change, rounds)

    return make


case("view", CHANGED)(after_change(4096, 2000, held=False))
case("view", ONE_ROW)(after_change(LARGE, 1000, held=False))
case("view", HELD)(after_change(LARGE, 30, held=True))


@case("view", HELD, "rival: numpy copy")
@case("view", ONE_ROW, "rival: numpy copy")
def array_copy(_: Path) -> Work:
    array, copy = np.ones(LARGE, "uint8"), np.ones(LARGE, "uint8")
    return Work(lambda: np.copyto(copy, array), rounds=30)


# --- snapshot ---

WITH = "with bus.snapshot()"


@case("snapshot", WITH)
def snapshot(folder: Path) -> Work:
    bus = mmsb.open(folder / "bus")
    rows(bus, "page", 4096)

    def step() -> None:
        with bus.snapshot():
            pass

    return Work(step)


@case("snapshot", WITH, "limit: a `with` of Python that does nothing")
def snapshot_limit(_: Path) -> Work:
    class Empty:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            pass

    def step() -> None:
        with Empty():
            pass

    return Work(step)


# --- replay ---

REOPEN = "opened: 100,000 commits of 16 B"
PAST = "bus.at(any of 100,000 epochs), a page of 64 KiB read"


def written(folder: Path) -> mmsb.Bus:
    """A bus of 100,000 commits of 16 B into a page of 64 KiB."""
    bus = mmsb.open(folder / "bus")
    page, data = bus.create_page("page", shape=(4096, 16), dtype="uint8"), np.full(16, 5, "uint8")
    for n in range(100_000):
        page[place(n, 4096)] = data
    return bus


@case("replay", REOPEN)
def reopen(folder: Path) -> Work:
    written(folder).close()
    return Work(lambda: mmsb.open(folder / "bus").close(), rounds=5)


@case("replay", REOPEN, "limit: a file of as many bytes read and checksummed")
def reopen_limit(folder: Path) -> Work:
    with written(folder) as bus:
        (folder / "limit").write_bytes(bytes(bus.stats()["log_bytes"]))
    return Work(lambda: crc32((folder / "limit").read_bytes()), rounds=5)


@case("replay", PAST)
def past(folder: Path) -> Work:
    bus, n = written(folder), count()
    return Work(lambda: bus.at(1 + place(next(n), 100_000))["page"].array.sum(), rounds=30)


@case("replay", PAST, "limit: the sum of a numpy array of as much")
def past_limit(_: Path) -> Work:
    array = np.ones((4096, 16), "uint8")
    return Work(lambda: array.sum())


# --- checkpoint ---

SPARSE = "64 MiB, 1000 times 256 B new since the last"


@case("checkpoint", SPARSE)
def checkpoint(folder: Path) -> Work:
    bus, n = mmsb.open(folder / "bus"), count()
    page = rows(bus, "page", LARGE)
    bus.checkpoint()

    def change() -> None:
        for _ in range(1000):
            page[place(next(n), len(page))] = ROW

    return Work(bus.checkpoint, change, rounds=10)


@case("checkpoint", SPARSE, "limit: the same bytes written to a new file, fdatasync")
def checkpoint_limit(folder: Path) -> Work:
    work = checkpoint(folder)
    assert work.prepare
    work.prepare()
    made = work.step()
    assert isinstance(made, mmsb.Checkpoint)
    data = bytes(made.bytes)

    def step() -> None:
        with (folder / "limit").open("wb") as file:
            file.write(data)
            file.flush()
            os.fdatasync(file.fileno())

    return Work(step, rounds=10)


# --- branch, diff, digest ---

FORK = "of 64 MiB: forked, 256 B written in it, dropped"
DIFF = "64 MiB, 256 B of them changed, rows listed"
DIGEST = "64 MiB, 256 B new"


@case("branch", FORK)
def branch(folder: Path) -> Work:
    bus, n = mmsb.open(folder / "bus"), count()
    rows(bus, "page", LARGE)

    def step() -> None:
        plan = bus.branch(str(next(n)))
        plan["page"][99] = ROW
        plan.drop()

    return Work(step)


@case("branch", FORK, "rival: numpy copy of 64 MiB")
def branch_rival(folder: Path) -> Work:
    return array_copy(folder)


@case("diff", DIFF)
def diff(folder: Path) -> Work:
    bus = mmsb.open(folder / "bus")
    page = rows(bus, "page", LARGE)
    before = bus.snapshot()
    page[12_345] = ROW
    after = bus.snapshot()
    return Work(lambda: bus.diff(before, after)[0].rows)


@case("diff", DIFF, "rival: numpy comparison of 64 MiB")
def diff_rival(_: Path) -> Work:
    one, other = np.ones((LARGE // 256, 256), "uint8"), np.ones((LARGE // 256, 256), "uint8")
    return Work(lambda: np.flatnonzero((one != other).any(axis=1)), rounds=10)


@case("digest", DIGEST)
def digest(folder: Path) -> Work:
    bus, n = mmsb.open(folder / "bus"), count()
    page = rows(bus, "page", LARGE)

    def change() -> None:
        i = next(n)
        page[place(i, len(page))] = np.full(256, i % 256, "uint8")

    return Work(bus.digest, change, rounds=200)


@case("digest", DIGEST, "rival: hashlib.blake2b of 64 MiB")
def digest_rival(_: Path) -> Work:
    data = bytes(LARGE)
    return Work(lambda: blake2b(data).digest(), rounds=5)
