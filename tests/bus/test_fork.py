"""After `fork` the child may read the views it has, and nothing else; the parent does not notice."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

import mmsb


def in_child(work: Callable[[], None]) -> None:
    """Runs the work in a forked child and fails when it raises there."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:This process")
def test_a_child_reads_views_and_uses_nothing_else(tmp_path: Path) -> None:
    bus = mmsb.open(tmp_path / "bus")
    page = bus.create_page("p", shape=(50_000,), dtype="i8")
    page[::3] = 7
    view, snapshot = page.array, bus.snapshot()
    held = snapshot["p"]
    tx = bus.transaction()

    def child() -> None:
        for use in (
            lambda: page.__setitem__(0, 1),
            lambda: page.array,
            lambda: bus["p"],
            lambda: bus.epoch,
            lambda: bus.close(),
            lambda: snapshot["p"],
            lambda: held[0],
            lambda: tx.__enter__(),
        ):
            with pytest.raises(mmsb.ForkedError, match="fork"):
                use()
        assert int(view.sum()) == 7 * 16667
        memory = mmsb.open()
        memory.create_page("own", size=3)[0] = 1
        memory.close()

    in_child(child)
    page[0] = 1
    assert page.array[0] == 1
    assert view[0] == 7


@pytest.mark.filterwarnings("ignore:This process")
def test_a_child_that_drops_everything_takes_nothing_from_the_parent(tmp_path: Path) -> None:
    bus = mmsb.open(tmp_path / "bus")
    page = bus.create_page("p", shape=(1 << 17,), dtype="i8")
    page[...] = 3
    holder = [bus, page, bus.snapshot(), page.array]
    view, snapshot = page.array, bus.snapshot()

    def child() -> None:
        holder.clear()
        gc.collect()

    context = multiprocessing.get_context("fork")
    process = context.Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == 0
    for n in range(200):
        page[n::1000] = n
    assert set(view.tolist()) == {3}
    assert set(snapshot["p"].array.tolist()) == {3}
    bus.close()
    with mmsb.open(tmp_path / "bus") as again:
        assert again.epoch == 202


@pytest.mark.filterwarnings("ignore:This process")
def test_a_child_opens_the_bus_beside_its_parent_and_outlives_it(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    bus.create_page("p", shape=(10,), dtype="i8")
    view = bus["p"].array
    to_child, to_parent = multiprocessing.Pipe()

    def child() -> None:
        # The parent's bus is not to be found under its path: this is one of the child's own.
        with mmsb.open(path) as mine:
            mine["p"][0] = 4
            to_parent.send("written")
            assert to_parent.recv() == "closed"
            assert mine["p"][:2].tolist() == [4, 5]
            mine["p"][0] = 6

    context = multiprocessing.get_context("fork")
    process = context.Process(target=child)
    process.start()
    assert to_child.poll(30), "the child says nothing"
    to_child.recv()
    assert bus["p"][0] == 4
    bus["p"][1] = 5
    bus.close()
    to_child.send("closed")
    process.join(30)
    assert process.exitcode == 0
    assert view[0] == 0
    with mmsb.open(path) as bus:
        assert bus["p"][:2].tolist() == [6, 5]


@pytest.mark.filterwarnings("ignore:This process")
def test_a_child_that_leaves_the_block_of_a_transaction_takes_nothing_from_the_parent(tmp_path: Path) -> None:
    bus = mmsb.open(tmp_path / "bus")
    page = bus.create_page("p", shape=(50_000,), dtype="i8")
    with bus.transaction() as tx:
        page[:] = 3
        assert page.array[7] == 3  # the transaction's own memory

        def leave() -> None:
            with pytest.raises(mmsb.ForkedError, match="fork"):
                tx.__exit__(None, None, None)
            tx.__exit__(ValueError, ValueError(), None)

        in_child(leave)
        other = bus.snapshot()
        page[10:20] = 5
    assert tx.epoch == bus.epoch == 2
    for n in range(50):  # new blocks do not come from what the transaction or the snapshot had
        page[n::50] = n
    assert other["p"][10] == 0
    assert page[:50].tolist() == list(range(50))
    assert bus.verify().ok


@pytest.mark.filterwarnings("ignore:This process")
def test_a_child_opens_buses_whatever_the_parent_was_opening(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    # Opening it waits until somebody writes to it.
    os.mkfifo(slow / "bus")

    def open_slowly() -> None:
        with pytest.raises(mmsb.MmsbError):
            mmsb.open(slow, mode="r")

    thread = threading.Thread(target=open_slowly)
    thread.start()
    time.sleep(0.3)

    def child() -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(20)
        path = tmp_path / f"new {os.getpid()}"
        with mmsb.open(path) as bus:
            bus.create_page("p", shape=(10,), dtype="i8")
        with mmsb.open(path, mode="r") as bus:
            assert list(bus) == ["p"]

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    beside = threading.Thread(target=child, daemon=True)
    try:
        assert process.exitcode == 0
        beside.start()
        beside.join(20)
        assert not beside.is_alive(), "nor does another thread wait"
        assert thread.is_alive()
    finally:
        os.close(os.open(slow / "bus", os.O_WRONLY))
        thread.join()


def test_what_came_by_a_fork_says_so(tmp_path: Path) -> None:
    bus = mmsb.open(tmp_path / "bus")
    snapshot = bus.snapshot()

    def child() -> None:
        assert repr(bus) == "<Bus 'bus' of a forked process>"
        assert "of a forked process" in repr(snapshot)

    in_child(child)


WRITER = """
import os, sys, time, mmsb
bus = mmsb.open(sys.argv[1])
bus.create_page("p", shape=(3,), dtype="i8")[0] = 7
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(60)
"""


def test_a_killed_writer_does_not_live_on_in_its_children(tmp_path: Path) -> None:
    """The lock goes with the process that has it, not with the last of those that it forked."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "bus")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        child = int(writer.stdout.readline())
        try:
            with mmsb.open(tmp_path / "bus") as bus:
                assert bus["p"][0] == 7
            writer.kill()
            writer.wait()
            with mmsb.open(tmp_path / "bus", mode="r+") as bus:
                assert bus["p"][0] == 7
                bus["p"][0] = 8
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)
            writer.kill()
