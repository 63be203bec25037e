"""Tasks in processes: what they see, what becomes of what they change, and what is left when they fail."""

import copyreg
import os
import resource
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pool_tasks
import pytest
from pool_tasks import X, opened, with_pages

import mmsb
from mmsb.pool import team as teams

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes share memory on Linux only")


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[mmsb.Bus]:
    with pool_tasks.leaving_nothing(tmp_path / "bus") as made:
        yield made


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
