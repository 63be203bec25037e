"""Readers in other processes share the writer's memory and follow it; whoever dies leaves nothing behind."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from told import Told

import mmsb

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes share memory on Linux only")

READER = """
import os, sys, mmsb
bus = mmsb.open(sys.argv[1], mode="r")
for line in sys.stdin:
    print(repr(eval(line)), flush=True)
"""


@pytest.fixture
def reader() -> Iterator[Callable[[Path], Told]]:
    """Starts readers, and ends them after the test."""
    readers: list[Told] = []

    def start(path: Path) -> Told:
        readers.append(Told(READER, path))
        return readers[-1]

    yield start
    for one in readers:
        one.process.kill()
        one.end()


def test_a_reader_sees_each_commit_pages_and_branches_too(
    tmp_path: Path, reader: Callable[[Path], Told]
) -> None:
    bus = mmsb.open(tmp_path / "bus")
    page = bus.create_page("p", shape=(1000,), dtype="i8")
    other = reader(tmp_path / "bus")
    assert other.ask("bus.follows, bus.epoch, int(bus['p'].array.sum())") == "(True, 1, 0)"
    assert other.ask("globals().update(old=bus['p'].array, snapshot=bus.snapshot())") == "None"
    for value in range(1, 50):
        page[value] = value
        assert other.ask("bus.epoch, int(bus['p'].array.sum())") == str((bus.epoch, value * (value + 1) // 2))
    # More than the first span holds, of another schema, on another branch.
    bus.create_page("big", shape=(12 << 20,), dtype="f8")[...] = 2.0
    side = bus.branch("side")
    side["p"][...] = 3
    assert other.ask("float(bus['big'].array.sum())") == str(2.0 * (12 << 20))
    assert (
        other.ask("sorted(bus.branches()), int(bus.checkout('side')['p'].array.sum())")
        == "(['main', 'side'], 3000)"
    )
    assert other.ask("bus.digest()") == repr(bus.digest())
    assert other.ask("int(old.sum()), snapshot.epoch, int(snapshot['p'].array.sum())") == "(0, 1, 0)"
    side.drop()
    assert other.ask("sorted(bus.branches())") == "['main']"
    bus.branch("side")["p"][...] = 4
    assert other.ask("int(bus.checkout('side')['p'].array.sum())") == "4000"


def test_a_reader_finds_history_that_was_made_since_it_came(
    tmp_path: Path, reader: Callable[[Path], Told]
) -> None:
    bus = mmsb.open(tmp_path / "bus")
    page = bus.create_page("p", shape=(200_000,), dtype="i8")
    other = reader(tmp_path / "bus")
    assert other.ask("len(list(bus.log()))") == "1"
    rng = np.random.default_rng(7)
    sums = []
    # Several segments of the log.
    for _ in range(12):
        page[...] = rng.integers(0, 1 << 60, 200_000)
        sums.append(int(page.array.sum()))
    assert other.ask("len(list(bus.log()))") == "13"
    for epoch, total in enumerate(sums, 2):
        assert other.ask(f"int(bus.at({epoch})['p'].array.sum())") == str(total)


def test_a_reader_that_waits_is_woken(tmp_path: Path, reader: Callable[[Path], Told]) -> None:
    bus = mmsb.open(tmp_path / "bus")
    page = bus.create_page("p", shape=(10,), dtype="i8")
    other = reader(tmp_path / "bus")
    assert other.ask("globals().update(watch=iter(bus.watch())) or 'ready'") == "'ready'"
    for epoch in range(2, 12):
        other.tell("(lambda update: (update.since, update.epoch, update.pages))(next(watch))")
        time.sleep(0.02)
        page[0] = epoch
        assert other.told() == str((epoch - 1, epoch, ["p"]))


def test_a_dead_reader_holds_nothing(tmp_path: Path, reader: Callable[[Path], Told]) -> None:
    bus = mmsb.open(tmp_path / "bus")
    page = bus.create_page("p", shape=(100_000,), dtype="i8")
    other = reader(tmp_path / "bus")
    assert other.ask("globals().update(old=bus['p'].array)") == "None"
    page[...] = 1
    pins = [pin for pin in bus.pins() if pin.pid == other.process.pid]
    assert pins
    other.kill()
    assert not [pin for pin in bus.pins() if pin.pid == other.process.pid]
    held = reader(tmp_path / "bus")
    assert held.ask("globals().update(old=bus['p'].array) or int(old.sum())") == "100000"
    for value in range(100):
        page[...] = value
    assert held.ask("int(old.sum())") == "100000"


def test_readers_that_come_and_go_take_over_what_those_before_left(
    tmp_path: Path, reader: Callable[[Path], Told]
) -> None:
    bus = mmsb.open(tmp_path / "bus", arena="directory")
    page = bus.create_page("p", shape=(1000,), dtype="i8")
    page[...] = 5
    page[...] = 6
    arena = tmp_path / "bus" / "arena"
    spans = []
    for _ in range(4):
        other = reader(tmp_path / "bus")
        # A past state is this process's own: it needs a span of its own.
        assert other.ask("int(bus.at(2)['p'].array.sum())") == "5000"
        spans.append(len(list(arena.glob("*/span-*"))))
        other.kill()
    assert spans == [2, 2, 2, 2]
    bus.close()
    assert not arena.exists()


def test_a_reader_outlives_the_writer_and_follows_the_next_one(
    tmp_path: Path, reader: Callable[[Path], Told]
) -> None:
    path = tmp_path / "bus"
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import mmsb, sys, time\n"
            "bus = mmsb.open(sys.argv[1])\n"
            "bus.create_page('p', shape=(10,), dtype='i8')[...] = 1\n"
            "print('ready', flush=True)\n"
            "time.sleep(60)",
            str(path),
        ],
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    other = reader(path)
    assert other.ask("globals().update(old=bus['p'].array) or (bus.follows, bus.epoch)") == "(True, 2)"
    writer.kill()
    writer.wait()
    writer.stdout.close()
    state = "bus.follows, bus.epoch, int(old.sum()), int(bus['p'].array.sum())"
    assert other.ask(state) == "(True, 2, 10, 10)"
    bus = mmsb.open(path)
    bus["p"][...] = 2
    assert other.ask(state) == "(True, 3, 10, 20)"
    later = reader(path)
    assert later.ask("bus.follows, int(bus['p'].array.sum())") == "(True, 20)"
    bus.close()
    assert later.ask("bus.follows, int(bus['p'].array.sum())") == "(True, 20)"
    with mmsb.open(path) as bus:
        bus["p"][...] = 3
        assert later.ask("int(bus['p'].array.sum())") == "30"


def test_a_copy_of_a_bus_does_not_lead_to_the_memory_of_the_first(
    tmp_path: Path, reader: Callable[[Path], Told]
) -> None:
    bus = mmsb.open(tmp_path / "bus")
    page = bus.create_page("p", shape=(10,), dtype="i8")
    page[...] = 1
    shutil.copytree(tmp_path / "bus", tmp_path / "copy")
    page[...] = 2
    other = reader(tmp_path / "copy")
    assert other.ask("bus.follows, int(bus['p'].array.sum())") == "(False, 10)"


def test_two_opens_in_one_process_are_one(tmp_path: Path, reader: Callable[[Path], Told]) -> None:
    bus = mmsb.open(tmp_path / "bus")
    bus.create_page("p", shape=(10,), dtype="i8")
    other = reader(tmp_path / "bus")
    again = f"mmsb.open({str(tmp_path / 'bus')!r}, mode='r')['p'].array.ctypes.data"
    assert other.ask(f"bus['p'].array.ctypes.data == {again}") == "True"
    assert bus.follows
    assert (tmp_path / "bus" / "ARENA").exists()
    bus.close()
    assert (tmp_path / "bus" / "ARENA").exists(), "another process uses it"
    assert other.ask("bus.close()") == "None"
    assert not (tmp_path / "bus" / "ARENA").exists()
