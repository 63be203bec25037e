"""Workers that die, callers that are killed, interrupted or forked, and programs that start workers."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pool_tasks
import pytest
from pool_tasks import X, with_pages

import mmsb

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes share memory on Linux only")


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[mmsb.Bus]:
    with pool_tasks.leaving_nothing(tmp_path / "bus") as made:
        yield made


def test_a_worker_that_dies_is_named_with_its_task(bus: mmsb.Bus) -> None:
    epoch = bus.epoch
    message = r"^worker \d+ was killed by SIGKILL in task 3 of 60; nothing was committed$"
    with pytest.raises(mmsb.WorkerDied, match=message) as caught:
        mmsb.run(bus, pool_tasks.die, tasks=60, processes=2)
    assert isinstance(caught.value, mmsb.MmsbError)
    with pytest.raises(mmsb.WorkerDied, match="ended with exit code 7 in task 0 of 2"):
        mmsb.run(bus, pool_tasks.leave, tasks=2, processes=2)
    assert bus.epoch == epoch
    # And the bus is as good as before.
    mmsb.run(bus, pool_tasks.count, tasks=2, processes=2)
    assert bus["runs"].array[:3].tolist() == [1, 1, 0]
    assert {pin.pid for pin in bus.pins()} <= {os.getpid()}


PROGRAM = """
import sys, mmsb
def fn(task, pages, out):
    sys.stdout.write(f"task {task}\\n")
    out.merge("runs", 1, rows=[task])
def main():
    with mmsb.open(sys.argv[1]) as bus:
        try:
            print(mmsb.run(bus, fn, tasks=2, processes=2))
        except mmsb.MmsbError as error:
            print(repr(error))
"""


@pytest.mark.parametrize("guard", ["if __name__ == '__main__': ", ""])
def test_a_program_finds_its_own_functions_where_it_guards_its_start(tmp_path: Path, guard: str) -> None:
    with with_pages(mmsb.open(tmp_path / "bus")):
        pass
    program = tmp_path / "program.py"
    program.write_text(f"{PROGRAM}\n{guard}main()\n")
    ran = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "bus")], capture_output=True, text=True, check=True
    )
    if guard:
        lines = ran.stdout.splitlines()
        # What a task prints is not lost.
        assert {"task 0", "task 1", "Ran(epoch=9, seen=8, tasks=2, deltas=2, processes=2)"} == set(lines)
    else:
        assert "WorkerDied" in ran.stdout
        assert "before it had a task: a program that starts workers" in ran.stdout


KILLED = """
import os, sys, time, mmsb, numpy
def fn(task, pages, out):
    sys.stdout.write(f"{os.getpid()}\\n")
    sys.stdout.flush()
    time.sleep(0.01)
    out.merge("x", numpy.ones(20))
if __name__ == "__main__":
    mmsb.run(mmsb.open(sys.argv[1]), fn, tasks=100_000, processes=2)
"""


def test_workers_go_with_whoever_started_them(tmp_path: Path) -> None:
    program, path = tmp_path / "program.py", tmp_path / "bus"
    program.write_text(KILLED)
    with with_pages(mmsb.open(path)) as bus:
        caller = subprocess.Popen(
            [sys.executable, str(program), str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert caller.stdout is not None
        workers: set[int] = set()
        while len(workers) < 2:
            workers.add(int(caller.stdout.readline()))
        caller.kill()
        # Their ends of it are closed when they are gone, too.
        caller.communicate(timeout=60)
        assert not [pid for pid in workers if Path(f"/proc/{pid}/exe").exists()]
        # What it had not committed is nowhere.
        assert bus["x"].array.tolist() == X.tolist()
        assert bus.verify().ok


@pytest.mark.filterwarnings("ignore:This process")
def test_a_bus_that_came_by_fork_is_not_run_over(bus: mmsb.Bus) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            mmsb.run(bus, pool_tasks.count, tasks=1)
        except mmsb.ForkedError:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_who_is_interrupted_ends_the_workers(bus: mmsb.Bus) -> None:
    main = threading.get_ident()
    threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        mmsb.run(bus, pool_tasks.sleep, tasks=2, processes=2)
    assert multiprocessing.active_children() == []
    assert bus.epoch == 8
