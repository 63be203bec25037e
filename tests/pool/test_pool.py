"""Tasks in processes: what they see, what becomes of what they change, and what is left when they fail."""

import contextlib
import copyreg
import gc
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pool_tasks
import pytest

import mmsb
from mmsb.pool import team as teams

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes share memory on Linux only")

X = np.random.default_rng(5).random(20)


def with_pages(bus: mmsb.Bus) -> mmsb.Bus:
    """The pages that the tasks know."""
    bus.create_page("x", data=X, op="add")
    bus.create_page("sum", shape=(2,), dtype="f8", op="add")
    bus.create_page("grid", shape=(20, 2), dtype="f4")
    bus.create_page("book", rows=20, columns={"qty": "i4", "name": "S8", "spot": ("f4", (2,))})
    bus.create_page("one", shape=(), dtype="i8")
    bus.create_page("blob", size=20)
    bus.create_page("seen", shape=(20, 4), dtype="f8")
    bus.create_page("runs", shape=(50,), dtype="i8", op="add")
    return bus


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[mmsb.Bus]:
    """One with a path; when it is closed, no memory and no process is left of it."""
    with with_pages(mmsb.open(tmp_path / "bus")) as made:
        yield made
        memory = pool_tasks.file_of(made["x"].array).parent
        assert memory.exists()
    assert multiprocessing.active_children() == []
    # An error that a test looked at holds its frames, and so what was being committed.
    gc.collect()
    assert not memory.exists()
    assert not [file for file in opened() if "mmsb-deltas" in file]
    assert "mmsb-deltas" not in Path("/proc/self/maps").read_text()


def opened() -> Iterator[str]:
    """The files that this process has open."""
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield str(file.readlink())


def meanwhile(monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
    """Has something happen after a run began, and before its workers start."""

    def started(*given: Any) -> Any:
        other = threading.Thread(target=what)
        other.start()
        other.join()
        return teams.team(*given)

    monkeypatch.setattr("mmsb.pool.running.team", started)


def test_any_number_of_processes_comes_to_the_same_bits(tmp_path: Path) -> None:
    expected, backwards = np.zeros(2), np.zeros(2)
    for task in range(20):
        pool_tasks.add_up(expected, task, X)
        pool_tasks.add_up(backwards, 19 - task, X)
    assert expected.tobytes() != backwards.tobytes()
    digests = set()
    for processes in (1, 2, 3):
        with with_pages(mmsb.open(tmp_path / str(processes))) as bus:
            ran = mmsb.run(bus, pool_tasks.add_far_apart, tasks=20, pages=["x"], processes=processes)
            assert ran == mmsb.Ran(epoch=9, seen=8, tasks=20, deltas=60, processes=processes)
            assert bus["sum"].array.tobytes() == expected.tobytes()
            digests.add(bus.digest())
    assert len(digests) == 1


def test_all_kinds_of_pages_indices_and_values_travel(tmp_path: Path) -> None:
    grid = np.zeros((20, 2), "f4")
    for task in range(10):
        grid[2 * task : 2 * task + 2, 1], grid[task, 0] = task, 7
        grid = np.maximum(grid, 1)
        grid[task] += 3
    digests = set()
    for processes in (1, 2):
        with with_pages(mmsb.open(tmp_path / str(processes))) as bus:
            mmsb.run(bus, pool_tasks.everything, tasks=range(10), processes=processes)
            assert bus["grid"].array.tolist() == grid.tolist()
            assert bus["book"]["qty"].array.sum() == 10 + sum(range(10))
            assert bus["book"]["spot"].array[9].tolist() == [5.5, 5.5]
            assert bus["book"]["name"].array.tolist() == [b"abc"] * 10 + [b""] * 10
            assert bytes(bus["blob"].array) == b"x" * 10 + bytes(10)
            assert bus["one"].array == 9
            digests.add(bus.digest())
    assert len(digests) == 1


@pytest.mark.parametrize("processes", [1, 2])
def test_monoids_travel_by_the_names_of_their_functions(bus: mmsb.Bus, processes: int) -> None:
    mmsb.run(bus, pool_tasks.merge_by, tasks=["named"], processes=processes)
    assert bus["x"].array[:5].tolist() == [7.0, 7.0, 5.0, 0.0, X[4]]
    if processes > 1:
        with pytest.raises(mmsb.InvalidArgument, match="a monoid's function must be found by its name"):
            mmsb.run(bus, pool_tasks.merge_by, tasks=["unnamed"], processes=processes)


@pytest.mark.parametrize(("start", "arena"), [("spawn", "shared"), ("forkserver", "directory")])
def test_a_worker_looks_at_the_memory_of_the_bus(tmp_path: Path, start: Any, arena: Any) -> None:
    with with_pages(mmsb.open(tmp_path / "bus", arena=arena)) as bus:
        mmsb.run(bus, pool_tasks.look, tasks=4, pages=[bus["x"]], processes=2, start=start)
        pids, shared, writeable, total = bus["seen"].array[:4].T
    assert os.getpid() not in pids
    assert shared.tolist() == [1] * 4
    assert writeable.tolist() == [0] * 4
    assert total.tolist() == [X.sum()] * 4


def test_no_array_is_pickled(bus: mmsb.Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(copyreg.dispatch_table, np.ndarray, pool_tasks.refuse)
    ran = mmsb.run(bus, pool_tasks.double, tasks=3, processes=2)
    assert ran.deltas == 3
    assert bus["x"].array.tobytes() == (X + X + X + X).tobytes()


def test_each_task_runs_once(bus: mmsb.Bus) -> None:
    ran = mmsb.run(bus, pool_tasks.count, tasks=iter(range(50)), processes=3, source="pool", intent="count")
    assert bus["runs"].array.tolist() == [1] * 50
    entry = list(bus.log())[-1]
    assert (entry.epoch, entry.source, entry.intent) == (ran.epoch, "pool", "count")


def test_what_waits_for_an_early_task_takes_few_files(bus: mmsb.Bus) -> None:
    bus.create_page("wide", shape=(40_000,), dtype="f8", op="add")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(opened())) + 60, limits[1]))
    try:
        mmsb.run(bus, pool_tasks.first_last, tasks=200, processes=2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert set(bus["wide"].array) == {sum(range(200))}


@pytest.mark.parametrize("processes", [1, 2])
def test_what_the_first_task_that_fails_raised_is_raised(bus: mmsb.Bus, processes: int) -> None:
    epoch, digest = bus.epoch, bus.digest()
    with pytest.raises(LookupError, match="not for 2") as caught:
        mmsb.run(bus, pool_tasks.fail, tasks=8, processes=processes)
    assert "in task 2 of 8; nothing was committed" in caught.value.__notes__
    if processes > 1:
        assert "pool_tasks.py" in caught.value.__notes__[0]
        with pytest.raises(RuntimeError, match="Own: 1 and 2"):
            mmsb.run(bus, pool_tasks.fail_oddly, tasks=1, processes=processes)
    assert (bus.epoch, bus.digest()) == (epoch, digest)


@pytest.mark.parametrize("processes", [1, 2])
def test_what_does_not_fit_is_named_by_task_and_delta(bus: mmsb.Bus, processes: int) -> None:
    with pytest.raises(mmsb.ShapeError, match=r"^task 1, delta 1: "):
        mmsb.run(bus, pool_tasks.misfit, tasks=3, processes=processes)
    assert bus["x"].array.tobytes() == X.tobytes()


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


def test_a_function_that_workers_cannot_find_is_refused(
    bus: mmsb.Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inside(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
        out.merge("runs", 1)

    for fn in (inside, lambda task, pages, out: None):
        with pytest.raises(mmsb.InvalidArgument, match="cannot find it by its name"):
            mmsb.run(bus, fn, tasks=2, processes=2)
    mmsb.run(bus, inside, tasks=2, processes=1)
    assert bus["runs"].array.tolist() == [2] * 50
    # One that is only here is found out there.
    module = types.ModuleType("only_here")
    exec("def fn(task, pages, out): pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(mmsb.InvalidArgument, match="a worker does not find it by its name"):
        mmsb.run(bus, module.fn, tasks=2, processes=2)
    with pytest.raises(mmsb.InvalidArgument, match=r"^task 1: a worker cannot be told it"):
        mmsb.run(bus, pool_tasks.nothing, tasks=[1, inside], processes=2)


def test_a_branch_is_read_and_written(bus: mmsb.Bus) -> None:
    side = bus.branch("side")
    side["x"][...] = 2.0
    main = bus.digest()
    assert mmsb.run(side, pool_tasks.assign, tasks=20, processes=2).epoch == side.epoch
    assert side["x"].array.tolist() == [3.0] * 20
    assert bus.digest() == main


@pytest.mark.parametrize("durability", ["memory", "process"])
def test_tasks_see_the_bus_as_it_was_when_the_run_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: Any
) -> None:
    with with_pages(mmsb.open(tmp_path / "bus", durability=durability)) as bus:
        bus["x"][...] = 1.0
        meanwhile(monkeypatch, lambda: bus["x"].merge(100.0))
        ran = mmsb.run(bus, pool_tasks.add, tasks=10, processes=2)
        assert ran.seen == 9
        assert ran.epoch == 11
        # Both merges count, and what the tasks saw was the 1.
        assert bus["x"].array.tolist() == [101.0] + [103.0] * 10 + [101.0] * 9


def test_cells_that_others_wrote_meanwhile_conflict(bus: mmsb.Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    meanwhile(monkeypatch, lambda: bus["x"].__setitem__(3, 100.0))
    with pytest.raises(mmsb.ConflictError) as caught:
        mmsb.run(bus, pool_tasks.assign, tasks=5, processes=2)
    assert caught.value.clashes == [("x", [3], "both wrote it")]
    assert bus["x"].array.tolist() == [*X[:3], 100.0, *X[4:]]


def test_a_bus_in_memory_is_run_over_here() -> None:
    with with_pages(mmsb.open()) as bus:
        assert mmsb.run(bus, pool_tasks.count, tasks=50).processes == 1
        assert bus["runs"].array.tolist() == [1] * 50
        with pytest.raises(mmsb.InvalidArgument, match=r"processes 2: the bus is in memory only"):
            mmsb.run(bus, pool_tasks.count, tasks=50, processes=2)


def test_nothing_to_do_and_nothing_changed_make_no_epoch(bus: mmsb.Bus) -> None:
    assert mmsb.run(bus, pool_tasks.count, tasks=0, processes=3) == mmsb.Ran(None, 8, 0, 0, 3)
    ran = mmsb.run(bus, pool_tasks.nothing, tasks=["a"])
    assert repr(ran) == f"Ran(epoch=None, seen=8, tasks=1, deltas=0, processes={ran.processes})"
    assert ran.processes == len(os.sched_getaffinity(0))


def test_what_a_task_asks_for_that_cannot_be_is_refused(bus: mmsb.Bus) -> None:
    bus.derive("twice", mmsb.col(bus["x"]) * 2)
    for what, error in (
        ("page", mmsb.PageNotFound),
        ("view", mmsb.PageNotFound),
        ("object", mmsb.DtypeError),
        ("op", mmsb.InvalidArgument),
        ("follows", mmsb.FollowsError),
    ):
        with pytest.raises(error):
            mmsb.run(bus, pool_tasks.bad, tasks=[what], processes=1)
    with pytest.raises(mmsb.PageNotFound, match="'sum' is not among those"):
        mmsb.run(bus, lambda task, pages, out: pages["sum"], tasks=1, pages=["x"], processes=1)


def test_views_show_themselves(bus: mmsb.Bus) -> None:
    def look(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
        assert list(pages) == ["x", "book"]
        assert repr(pages) == "<Views of 'x', 'book' at epoch 8>"
        assert pages["x"] is pages["x"]
        assert {name: column.flags.writeable for name, column in pages["book"].items()} == dict.fromkeys(
            ("qty", "name", "spot"), False
        )
        out.write("x", 0, 1)
        assert repr(out) == "<Out: 1 deltas>"
        assert pages["x"][0] == X[0]

    mmsb.run(bus, look, tasks=1, pages=["x", "book"], processes=1)


def test_arguments_are_checked(bus: mmsb.Bus) -> None:
    ok: dict[str, Any] = {"bus": bus, "fn": pool_tasks.nothing, "tasks": 1}
    for wrong, message in (
        ({"bus": "bus"}, "^bus 'bus'"),
        ({"fn": 3}, "^fn 3"),
        ({"tasks": -1}, "^tasks -1"),
        ({"tasks": 1.5}, "^tasks 1.5"),
        ({"pages": "x"}, "^pages 'x'"),
        ({"pages": 5}, "^pages 5"),
        ({"pages": [5]}, "^a page's name 5"),
        ({"processes": 0}, "^processes 0"),
        ({"processes": -2}, "^processes -2"),
        ({"processes": True}, "^processes True"),
        ({"start": "fork"}, "^start 'fork'"),
        ({"start": 1}, "^start 1"),
        ({"source": 1}, "^source 1"),
        ({"intent": {1}}, "^intent"),
    ):
        with pytest.raises(mmsb.InvalidArgument, match=message):
            mmsb.run(**(ok | wrong))
    with pytest.raises(mmsb.PageNotFound, match="'nobody'"):
        mmsb.run(bus, pool_tasks.nothing, tasks=1, pages=["nobody"])
    with bus.transaction(), pytest.raises(mmsb.WrongTransaction):
        mmsb.run(bus, pool_tasks.nothing, tasks=1)
    with mmsb.open(bus.place[1:-1], "r") as reader, pytest.raises(mmsb.ReadOnlyError):
        mmsb.run(reader, pool_tasks.nothing, tasks=1)
    closed = mmsb.open(bus.place[1:-1])
    closed.close()
    with pytest.raises(mmsb.ClosedError):
        mmsb.run(closed, pool_tasks.nothing, tasks=1)


PROGRAM = """
import sys, mmsb
def fn(task, pages, out):
    print("task", task)
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
    print(os.getpid(), flush=True)
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
