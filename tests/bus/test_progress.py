"""While the core works, callbacks may use their bus, and no thread waits for what is only let go of."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mmsb


def made(path: Path, rows: int = 50_000) -> mmsb.Bus:
    bus = mmsb.open(path)
    bus.create_page("p", shape=(rows,), dtype="u1")[...] = 5
    return bus


def ends(work: Callable[[], None]) -> None:
    """Does the work, which must come to an end."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "it waits for ever"
    if failed:
        raise failed[0]


def test_a_callback_may_use_the_bus(tmp_path: Path) -> None:
    def work() -> None:
        bus = made(tmp_path / "bus")
        told: list[int] = []

        def use(done: int) -> None:
            told.append(done)
            bus["p"][0] = len(told)
            with bus.transaction():
                bus["p"][1] = 7
            assert bus.snapshot().digest() == bus.digest()
            bus.branch(f"branch {len(told)}")
            assert len(list(bus.log())) > 2
            bus.sync()

        def refused(done: int) -> None:
            use(done)
            for call in (bus.checkpoint, bus.prune, bus.squash):
                with pytest.raises(mmsb.BusyError, match="progress"):
                    call()

        def checkpoint(done: int) -> None:
            use(done)
            bus.checkpoint()

        bus.checkpoint(progress=refused)
        bus.export(tmp_path / "copy", progress=checkpoint)
        assert told
        mmsb.verify(tmp_path / "bus", progress=use)
        bus.verify(progress=lambda done: use(done) if len(told) < 20 else None)
        bus.checkpoint(progress=lambda _done: bus.close())
        assert bus.closed

    ends(work)


def test_pruning_squashing_and_the_doctor_tell_how_far_they_are(tmp_path: Path) -> None:
    def work() -> None:
        told: dict[str, list[int]] = {"prune": [], "squash": [], "doctor": []}
        with made(tmp_path / "bus", 1 << 20) as bus:
            bus.checkpoint()
            bus["p"][...] = 6

            def pruning(done: int) -> None:
                told["prune"].append(done)
                bus["p"][0] = 7
                bus.checkpoint()

            bus.prune(progress=pruning)
            bus.squash(told["squash"].append)
            assert (bus["p"].array[1:] == 6).all()
            with pytest.raises(ZeroDivisionError):
                bus.prune(progress=lambda done: 1 // 0)
            for wrong in (5, "x"):
                with pytest.raises(mmsb.InvalidArgument, match="progress"):
                    bus.prune(progress=wrong)  # type: ignore[arg-type]
                with pytest.raises(mmsb.InvalidArgument, match="progress"):
                    bus.squash(wrong)  # type: ignore[arg-type]
        report = mmsb.doctor(tmp_path / "bus", progress=told["doctor"].append)
        assert report.ok
        for what, steps in told.items():
            assert max(steps, default=0) >= 1 << 20, what

    ends(work)


def test_digest_diff_merge_and_revert_tell_how_far_they_are() -> None:
    def work() -> None:
        bus = mmsb.open()
        for name in range(3):
            bus.create_page(str(name), shape=(2 << 20,), dtype="u1")[...] = name + 1
        told: list[int] = []

        def use(done: int) -> None:
            told.append(done)
            bus.digest()
            assert bus.snapshot().epoch == bus.epoch

        digest = bus.digest(told.append)
        assert told == sorted(told)
        assert told[-1] == 6 << 20
        assert len(told) > 12, "within a page too"
        told.clear()
        assert bus.digest(use) == bus.snapshot().digest(progress=use) == digest
        assert set(told) <= {0}, "all is known"
        side = bus.branch("side")
        side["0"][5] = 9
        side["2"][5] = 9
        told.clear()
        side.snapshot().digest(progress=use)
        assert told
        told.clear()
        assert len(bus.diff(bus, side, progress=use)) == 2
        assert told[-2:] == [1, 2], "pages that are the same are not looked at"
        told.clear()
        assert bus.merge(side, progress=use) == bus.epoch
        assert told == [1, 2, 3, 4], "two compared, two joined"
        told.clear()
        assert bus.revert(3, progress=use) == bus.epoch
        assert told[-1] > 2

        def fail(_done: int) -> None:
            raise KeyboardInterrupt

        bus["0"][0] += 1
        before = bus.epoch
        calls: list[Callable[[], object]] = [
            lambda: bus.digest(fail),
            lambda: bus.diff(3, progress=fail),
            lambda: bus.revert(3, progress=fail),
            lambda: bus.merge(bus.checkout("side"), progress=fail),
        ]
        side["0"][7] = 9
        for call in calls:
            with pytest.raises(KeyboardInterrupt):
                call()
        assert bus.epoch == before + 2, "what was done is done"
        assert bus["0"][7] == 9

    ends(work)


def test_a_callback_that_fails_leaves_no_copy(tmp_path: Path) -> None:
    bus = made(tmp_path / "bus")

    def fail(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bus.export(tmp_path / "copy", progress=fail)
    assert not (tmp_path / "copy").exists()
    bus.export(tmp_path / "copy", progress=lambda _done: None)
    with mmsb.open(tmp_path / "copy", mode="r") as copy:
        assert (copy["p"].array == 5).all()
    with pytest.raises(mmsb.BusExists):
        bus.export(tmp_path / "copy", progress=fail)
    assert (tmp_path / "copy").exists(), "what was there stays"


def test_other_threads_go_on_while_a_handle_that_was_let_go_of_is_closed(tmp_path: Path) -> None:
    ticks, over = [0], threading.Event()

    def tick() -> None:
        while not over.is_set():
            ticks[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        for attempt in range(3):
            bus = mmsb.open(tmp_path / str(attempt))
            data = np.random.default_rng(attempt).integers(0, 255, (50 << 20) << attempt, dtype="u1")
            # A checkpoint begins behind it.
            bus.create_page("p", data=data)
            begun, before = time.perf_counter(), ticks[0]
            del bus
            took, ticked = time.perf_counter() - begun, ticks[0] - before
            if took > 0.1:
                assert ticked > 10, f"{ticked} in {took} s"
                return
    finally:
        over.set()
        thread.join()
    pytest.skip("closing never takes long here")
