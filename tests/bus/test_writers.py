"""Processes that write one bus in turn: each commits on top of the others, and all see the same."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from told import Start

import mmsb

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes share memory on Linux only")


def test_all_commit_on_top_of_each_other(tmp_path: Path, writer: Start) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    bus.create_page("sum", shape=(1,), dtype="i8")
    others = [writer(path) for _ in range(3)]
    for other in others:
        other.tell("count(200)")
    page = bus["sum"]
    left = 200
    while left:
        try:
            with bus.transaction():
                page[0] = page[0] + 1
            left -= 1
        except mmsb.ConflictError:
            pass
    assert [other.told() for other in others] == ["None"] * 3
    assert (int(page[0]), bus.epoch) == (800, 801)
    assert {other.ask("bus.digest(), bus.epoch, len(list(bus.log()))") for other in others} == {
        repr((bus.digest(), 801, 801))
    }
    for epoch in range(1, 801, 50):
        assert int(bus.at(epoch)["sum"][0]) == epoch - 1
    bus.close()
    assert others[0].ask("bus['sum'].__setitem__(0, 5) or int(bus['sum'][0])") == "5"
    # Once more from the files.
    for other in others:
        other.process.kill()
        other.process.wait()
    with mmsb.open(path) as bus:
        assert (int(bus["sum"][0]), bus.epoch) == (5, 802)


def test_pages_branches_and_merges_of_others_are_as_ones_own(tmp_path: Path, writer: Start) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    page = bus.create_page("p", shape=(1000,), dtype="i8")
    other = writer(path)
    assert other.ask("bus.create_page('q', shape=(3, 4), dtype='f4').shape") == "(3, 4)"
    bus["q"][1] = 2.5
    assert other.ask("bus['q'][1].tolist()") == "[2.5, 2.5, 2.5, 2.5]"
    # A branch that one made is written by the other and merged by both, by turns.
    side = bus.branch("side")
    for n in range(1, 20):
        assert other.ask(f"bus.checkout('side')['p'].__setitem__({n}, {n})") == "None"
        page[100 + n] = n
        if n % 2:
            bus.merge(side)
        else:
            assert "error" not in other.ask("bus.merge(bus.checkout('side'))").lower()
        assert page[n] == n
    assert bus["p"].array[:20].tolist() == list(range(20))
    assert other.ask("bus.checkout('side').drop()") == "None"
    assert sorted(bus.branches()) == ["main"]
    with pytest.raises(mmsb.BranchNotFound):
        side["p"][0] = 1
    assert other.ask("bus.branch('side')['p'].__setitem__(0, 7)") == "None"
    assert bus.checkout("side")["p"][0] == 7
    assert other.ask("bus.drop_page('q') if hasattr(bus, 'drop_page') else bus['q'].drop()") == "None"
    assert "q" not in bus
    assert other.ask("bus.digest()") == repr(bus.digest())
    assert bus.verify().ok


def test_who_waits_is_woken_by_whoever_commits(tmp_path: Path, writer: Start) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    page = bus.create_page("p", shape=(10,), dtype="i8")
    one, other = writer(path), writer(path)
    assert one.ask("globals().update(watch=iter(bus.watch())) or 'ready'") == "'ready'"
    for n in range(1, 20):
        one.tell("(next(watch).epoch, int(bus['p'][0]))")
        assert other.ask(f"bus['p'].__setitem__(0, {n})") == "None"
        assert one.told() == str((bus.epoch, n))
        assert page[0] == n


def test_one_that_is_busy_is_named_and_one_that_died_is_not_waited_for(tmp_path: Path, writer: Start) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path, busy_timeout=0.2)
    page = bus.create_page("p", shape=(10,), dtype="i8")
    other = writer(path)
    slow = "lambda p: time.sleep(30) or p.sum() if p[0] == 5 else p.sum()"
    assert other.ask(f"bus.derive('s', {slow}, inputs=['p'], shape=(), dtype='i8').name") == "'s'"
    other.tell("bus['p'].__setitem__(0, 5)")
    end = time.monotonic() + 20
    busy: mmsb.BusyError | None = None
    while busy is None and time.monotonic() < end:
        try:
            page[1] = 1
        except mmsb.BusyError as error:
            busy = error
    assert str(other.process.pid) in str(busy)
    # What it has begun is not seen, and reading waits for nobody.
    assert page[0] == 0
    other.process.kill()
    other.process.wait()
    page[2] = 3
    assert (page[0], page[2]) == (0, 3)


def test_one_that_is_stopped_holds_up_nobody_who_reads(tmp_path: Path, writer: Start) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    page = bus.create_page("p", shape=(50_000,), dtype="i8")
    page[...] = 1
    other = writer(path)
    assert other.ask("globals().update(old=bus['p'].array) or int(old.sum())") == "50000"
    other.process.send_signal(signal.SIGSTOP)
    for value in range(2, 60):
        page[...] = value
    assert [pin for pin in bus.pins() if pin.pid == other.process.pid]
    other.process.send_signal(signal.SIGCONT)
    assert other.ask("int(old.sum()), int(bus['p'].array[0])") == "(50000, 59)"


def test_processes_that_come_and_go_leave_no_more_memory_than_they_wrote(
    tmp_path: Path, writer: Start
) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path, arena="directory")
    page = bus.create_page("p", shape=(100_000,), dtype="i8")
    page[...] = 1
    # Held all the while: nobody knows which of what the others let go of it reads.
    held = page.array
    spans = []
    for n in range(24):
        other = writer(path)
        assert (
            other.ask(f"bus.create_page('of {n}', shape=(1000,), dtype='i8').__setitem__(..., {n})") == "None"
        )
        assert other.ask(f"bus['p'].__setitem__(..., {n})") == "None"
        if n % 2:
            other.process.kill()
        other.end()
        spans.append(len(list((path / "arena").glob("*/span-*"))))
    assert max(spans) <= 4, spans
    assert held.sum() == 100_000
    assert all(int(bus[f"of {n}"].array.sum()) == 1000 * n for n in range(24))
    del held
    bus.close()
    with mmsb.open(path) as bus:
        assert all(int(bus[f"of {n}"].array.sum()) == 1000 * n for n in range(24))
        assert len(list((path / "log").iterdir())) < 60


def test_a_checkpoint_by_one_is_used_by_all(tmp_path: Path, writer: Start) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    page = bus.create_page("p", shape=(50_000,), dtype="i8")
    other = writer(path)
    rng = np.random.default_rng(3)
    sums = {}
    for n in range(6):
        page[...] = rng.integers(0, 1 << 40, 50_000)
        sums[bus.epoch] = int(page.array.sum())
        assert other.ask("bus.checkpoint() and 1") == "1" if n % 2 else bus.checkpoint()
    assert bus.stats()["checkpoints"] == 6
    for epoch, total in sums.items():
        assert other.ask(f"int(bus.at({epoch})['p'].array.sum())") == str(total)
    bus.prune(keep_checkpoints=1)
    assert other.ask("bus.stats()['checkpoints']") == "1"
    assert "HistoryPruned" in writer(path).ask("bus.at(2)['p'][0]")
    assert other.ask("bus.checkpoint() and bus.verify().ok") == "True"
    assert bus.verify().ok


def test_a_function_runs_in_its_process_whoever_writes(tmp_path: Path, writer: Start) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    page = bus.create_page("p", shape=(10,), dtype="i8")
    bus.derive("built in", mmsb.col(page) * 2)
    other = writer(path)
    rule = "lambda p: (globals().update(runs=globals().get('runs', 0) + 1), p.sum())[1]"
    assert other.ask(f"bus.derive('s', {rule}, inputs=['p'], shape=(), dtype='i8').name") == "'s'"
    # Its own commits make it in their epoch.
    assert (
        other.ask("bus['p'].__setitem__(0, 5) or (int(bus['s'][()]), bus['s'].stale, bus.epoch)")
        == "(5, False, 4)"
    )
    for n in range(1, 30):
        page[1] = n
        epoch = bus.epoch
        then = bus.at(epoch)
        # A rule that needs no function is made by whoever writes.
        assert then["built in"].array[1] == 2 * n
        assert then["s"].stale or int(then["s"][()]) == 5 + n
        end = time.monotonic() + 20
        while bus["s"].stale:
            assert time.monotonic() < end, "its owner does not catch up"
            time.sleep(0.001)
        assert int(bus["s"][()]) == 5 + n
        assert bus.epoch >= epoch
    # Once when it was declared, once for each commit.
    assert other.ask("runs") == "31"
    assert other.ask("bus.digest()") == repr(bus.digest())
    other.process.kill()
    other.process.wait()
    page[1] = 100
    assert bus["s"].stale
    assert bus["built in"].array[1] == 200


def test_who_holds_memory_that_is_wanted_is_named(tmp_path: Path, writer: Start) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path, budget=16 << 20)
    page = bus.create_page("p", shape=(1 << 18,), dtype="i8")
    page[...] = 1
    other = writer(path)
    assert other.ask("globals().update(held=[]) or held.append(bus.snapshot())") == "None"
    with pytest.raises(mmsb.MemoryBudgetExceeded) as error:
        for n in range(2, 100):
            page[...] = n
            assert other.ask("held.append(bus.snapshot())") == "None"
    assert f"process {other.process.pid}" in str(error.value)
    assert "budget of 16777216 bytes" in str(error.value)
    assert other.ask("held.clear()") == "None"
    page[...] = 7
    assert page[0] == 7


def test_what_a_killed_process_had_not_read_in_is_made_by_who_wants_it(tmp_path: Path, writer: Start) -> None:
    path = tmp_path / "bus"
    rng = np.random.default_rng(11)
    pages = 1500
    with mmsb.open(path) as bus:
        sums = []
        with bus.transaction():
            for n in range(pages):
                page = bus.create_page(f"of {n}", shape=(5000,), dtype="i8")
                page[...] = rng.integers(0, 1 << 40, 5000)
        side = bus.branch("side")
        side["of 0"][...] = 5
        bus["of 1"][...] = 6
        bus.checkpoint()
        sums = [int(bus[f"of {n}"].array.sum()) for n in range(pages)]
        digest, of_side = bus.digest(), side.digest()
    # It makes the memory, and is stopped before it has read in everything; then it is killed.
    code = "import mmsb, os, signal, sys; bus = mmsb.open(sys.argv[1]); os.kill(os.getpid(), signal.SIGSTOP)"
    first = subprocess.Popen([sys.executable, "-c", code, str(path)])
    os.waitpid(first.pid, os.WUNTRACED)
    bus = mmsb.open(path)
    assert [process.pid for process in bus.processes() if not process.is_this] == [first.pid]
    first.kill()
    first.wait()
    assert int(bus["of 1499"].array.sum()) == sums[1499]
    bus["of 1400"][0] = 1
    bus["of 1400"][...] = 0
    other = writer(path)
    assert other.ask("bus['of 1300'].__setitem__(0, 3) or int(bus['of 1300'][0])") == "3"
    assert int(bus.checkout("side")["of 0"].array.sum()) == 25_000
    assert [int(bus[f"of {n}"].array.sum()) for n in range(1000)] == sums[:1000]
    assert bus.at(1).digest() == bus.at(1).digest()
    bus.revert(to=2)
    assert bus.digest() == digest
    assert bus.checkout("side").digest() == of_side
    bus.checkpoint()
    assert other.ask("bus.digest()") == repr(digest)


def test_one_that_was_idle_while_history_went_goes_on_behind_it(tmp_path: Path, writer: Start) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    page = bus.create_page("p", shape=(100_000,), dtype="i8")
    other = writer(path)
    assert other.ask("bus['p'].__setitem__(0, 1)") == "None"
    page[1] = 2
    # Several segments, of which the first ones go, with what this process knows of the log.
    data = "np.random.default_rng(n).integers(0, 9, 100_000)"
    code = f"[bus['p'].__setitem__(..., {data}) for n in range(12)] and 1"
    assert other.ask("globals().update(np=__import__('numpy'))") == "None"
    assert other.ask(code) == "1"
    assert other.ask("bus['p'].__setitem__(slice(0, 5), 11) or bus.checkpoint() and 1") == "1"
    assert other.ask("bus.prune(1) and bus['p'].__setitem__(2, 3)") == "None"
    first = other.ask("sorted(os.listdir(sys.argv[1] + '/log'))[0]")
    assert "0000000001" not in first
    page[3] = 4
    assert other.ask("bus['p'].__setitem__(4, 5) or bus['p'].array[:5].tolist()") == "[11, 11, 3, 4, 5]"
    epoch, digest = bus.epoch, bus.digest()
    assert bus.verify().ok
    bus.close()
    other.end()
    with mmsb.open(path) as bus:
        assert (bus.epoch, bus.digest(), bus["p"].array[:5].tolist()) == (epoch, digest, [11, 11, 3, 4, 5])
