"""Closing a bus leaves it to others; what was taken from it stays."""

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import mmsb

ELSEWHERE = """
import sys
import mmsb
with mmsb.open(sys.argv[1], mode="r+") as bus:
    bus["p"][:10] = int(sys.argv[2])
"""


def write_elsewhere(path: Path, value: int) -> None:
    """Commits from another process."""
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(path), str(value)], check=True)


@pytest.mark.parametrize("arena", ["shared", "directory"])
def test_another_process_writes_while_a_view_is_held(
    tmp_path: Path, arena: Literal["shared", "directory"]
) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path, arena=arena)
    page = bus.create_page("p", shape=(50_000,), dtype="i8")
    page[...] = 5
    again = mmsb.open(path)
    view, snapshot, tx = page.array, bus.snapshot(), bus.transaction()
    bus.close()
    write_elsewhere(path, 4)
    assert again["p"].array[:11].tolist() == [4] * 10 + [5]
    again.close()
    write_elsewhere(path, 6)
    assert (view == 5).all()
    assert (snapshot["p"].array == 5).all()
    for use in (lambda: page[0], lambda: page.__setitem__(0, 1), lambda: bus.snapshot(), tx.__enter__):
        with pytest.raises(mmsb.ClosedError):
            use()
    with mmsb.open(path, arena=arena) as new:
        assert new["p"].array[:11].tolist() == [6] * 10 + [5]
        new["p"][0] = 7
        write_elsewhere(path, 8)
        assert new["p"][0] == 8
    assert (view == 5).all()
    write_elsewhere(path, 9)
    with mmsb.open(path) as new:
        assert new["p"].array[0] == 9


def test_closing_a_branch_leaves_the_bus_open(tmp_path: Path) -> None:
    bus = mmsb.open(tmp_path / "bus")
    page = bus.create_page("p", shape=4, dtype="i8")
    with bus.branch("plan") as plan:
        plan["p"][0] = 1
        inner = plan.checkout("main")
    assert (plan.closed, inner.closed, bus.closed) == (True, True, False)
    with pytest.raises(mmsb.ClosedError):
        plan["p"][0] = 2
    page[0] = 3
    assert bus.epoch == 2
    plan = bus.checkout("plan")
    assert plan["p"][0] == 1
    bus.close()
    assert plan.closed
    with pytest.raises(mmsb.ClosedError):
        plan["p"][0]


def test_each_handle_has_its_own_durability(tmp_path: Path) -> None:
    bus = mmsb.open(tmp_path / "bus", budget=1 << 30)
    page = bus.create_page("p", shape=4, dtype="i8")
    safe = mmsb.open(tmp_path / "bus", durability="disk")
    page[0] = 1
    safe["p"][0] = 2
    with bus.transaction():
        page[1] = 3
    with safe.transaction():
        safe["p"][1] = 4
    assert [entry.durability for entry in bus.log(since=2)] == ["process", "disk", "process", "disk"]
    for options in ({"budget": 1 << 31}, {"arena": "directory"}):
        with pytest.raises(mmsb.InvalidArgument, match="already"):
            mmsb.open(tmp_path / "bus", **options)


def test_a_past_snapshot_is_read_after_closing(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    page = bus.create_page("p", shape=(5_000,), dtype="i8")
    for value in range(1, 6):
        page[...] = value
    past = bus.at(3)
    bus.close()
    write_elsewhere(path, 9)
    assert (past["p"].array == 2).all()


def test_the_log_has_what_the_page_has_whoever_writes_into_the_array(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    over = threading.Event()
    array = np.zeros((400_000, 3), "i4")

    def scribble() -> None:
        n = 0
        while not over.is_set():
            n += 1
            array[...] = n

    with mmsb.open(path) as bus:
        page = bus.create_page("p", shape=array.shape, dtype=array.dtype)
        thread = threading.Thread(target=scribble)
        thread.start()
        end = time.monotonic() + 1
        while time.monotonic() < end:
            page[...] = array
            page[17:-5] = array[17:-5]
            page[100:] = array[100:]
            page[::2] = array[::2]
        over.set()
        thread.join()
        digest = bus.digest()
    assert mmsb.verify(path).findings == []
    with mmsb.open(path) as bus:
        assert bus.digest() == digest
