"""Watching: every epoch is in some update, in loops, threads and asyncio tasks."""

import asyncio
import contextlib
import threading
import time

import pytest

import mmsb


@pytest.fixture
def bus() -> mmsb.Bus:
    bus = mmsb.open()
    for name in "ab":
        bus.create_page(name, shape=(4,), dtype="i8")
    return bus


def test_what_was_committed_between_two_looks_is_one_update(bus: mmsb.Bus) -> None:
    watch = bus.watch()
    bus["a"][0] = 1
    bus["b"][1] = 2
    update = next(watch)
    assert (update.since, update.epoch, list(update.epochs)) == (2, 4, [3, 4])
    assert update.pages == ["a", "b"]
    assert update.changes[1].after.tolist() == [2]
    assert watch.next(timeout=0.01) is None


def test_a_page_is_watched_alone(bus: mmsb.Bus) -> None:
    with bus.watch("a") as watch:
        bus["b"][0] = 1
        assert watch.next(timeout=0.01) is None
        bus["a"][0] = 1
        update = next(watch)
        assert update.pages == ["a"]
        assert 4 in update.epochs
    assert list(watch) == []


def test_a_thread_sees_every_epoch_once(bus: mmsb.Bus) -> None:
    watch = bus.watch("a")
    seen: list[int] = []

    def follow() -> None:
        for update in watch:
            seen.extend(update.epochs)
            if update.epoch >= 202:
                return

    thread = threading.Thread(target=follow)
    thread.start()
    for n in range(1, 201):
        bus["a"][0] = n
    thread.join(20)
    assert seen == list(range(3, 203))


def test_a_commit_wakes_a_waiting_thread(bus: mmsb.Bus) -> None:
    watch = bus.watch()
    woken: list[float] = []
    thread = threading.Thread(target=lambda: woken.append((next(watch), time.perf_counter())[1]))
    thread.start()
    time.sleep(0.02)
    start = time.perf_counter()
    bus["a"][0] = 1
    thread.join(5)
    assert woken[0] - start < 1


def test_a_task_follows_without_blocking_the_loop(bus: mmsb.Bus) -> None:
    async def follow(count: int) -> list[int]:
        found: list[int] = []
        async for update in bus.watch("a"):
            found.extend(update.epochs)
            if len(found) >= count:
                break
        return found

    async def main() -> list[list[int]]:
        followers = [asyncio.create_task(follow(5)) for _ in range(3)]
        await asyncio.sleep(0.01)
        for n in range(1, 6):
            bus["a"][0] = n
            await asyncio.sleep(0.002)
        return await asyncio.gather(*followers)

    assert asyncio.run(main()) == [[3, 4, 5, 6, 7]] * 3


def test_a_task_that_waits_can_be_cancelled_and_a_watch_closed(bus: mmsb.Bus) -> None:
    async def main() -> None:
        watch = bus.watch()
        waiting = asyncio.create_task(anext(watch))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        waiting = asyncio.create_task(anext(watch))
        await asyncio.sleep(0.01)
        watch.close()
        with pytest.raises(StopAsyncIteration):
            await waiting

    asyncio.run(main())


def test_closing_the_bus_ends_a_watch_with_an_error(bus: mmsb.Bus) -> None:
    watch = bus.watch()
    bus.close()
    with pytest.raises(mmsb.ClosedError):
        next(watch)


def test_a_wait_that_was_given_up_takes_nothing(bus: mmsb.Bus) -> None:
    async def rounds() -> None:
        watch = bus.watch()
        for n in range(30):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(anext(watch), 0.001 * (n % 5))
            bus["a"][0] += 1
            update = await asyncio.wait_for(anext(watch), 5)
            assert (update.since, update.epoch) == (bus.epoch - 1, bus.epoch)

    asyncio.run(rounds())


def test_a_slow_watcher_may_have_each_epoch_by_itself(bus: mmsb.Bus) -> None:
    watch, of_page = bus.watch(slow="each"), bus.watch("a", slow="each")
    for n in range(1, 31):
        bus["a" if n % 3 else "b"][0] = n
    updates = [next(watch) for _ in range(30)]
    assert [(update.since, update.epoch) for update in updates] == [(n, n + 1) for n in range(2, 32)]
    assert [update.changes[0].after.tolist() for update in updates] == [[n] for n in range(1, 31)]
    assert watch.next(timeout=0.01) is None
    mine = [next(of_page) for _ in range(20)]
    assert [update.changes[0].after[0] for update in mine] == [n for n in range(1, 31) if n % 3]
    assert all(len(update.epochs) == 1 for update in mine)
    assert of_page.next(timeout=0.01) is None


def test_a_slow_watcher_need_not_hold_what_it_saw_last(bus: mmsb.Bus) -> None:
    holding = bus.watch()
    assert len(bus.pins()) == 1
    watch = bus.watch(slow="release")
    assert len(bus.pins()) == 1
    del holding
    for n in range(1, 11):
        bus["a"][n % 4] = n
    update = next(watch)
    assert (list(update.epochs), update.pages) == (list(range(3, 13)), ["a"])
    assert sorted(update.changes[0].after.tolist()) == [7, 8, 9, 10]
    del update
    assert bus.pins() == []
    bus["a"][0] = 1
    assert list(next(watch).epochs) == [13]
    with pytest.raises(mmsb.InvalidArgument, match="'each'"):
        bus.watch(slow="block")  # type: ignore[arg-type]


def test_who_waits_is_told_of_the_next_epoch_or_that_there_was_none(bus: mmsb.Bus) -> None:
    assert bus.wait(timeout=0.01) == 2
    assert bus.wait(0, timeout=10) == 2
    thread = threading.Timer(0.05, lambda: bus["a"].__setitem__(0, 5))
    thread.start()
    assert bus.wait(timeout=20) == 3
    thread.join()
    assert bus["a"][0] == 5
    side = bus.branch("side")
    bus["a"][0] = 6
    # A commit to another branch is none of this one.
    assert side.wait(timeout=0.05) == 3
    assert bus.wait(timeout=-1) == 4
    bus.close()
    with pytest.raises(mmsb.ClosedError):
        bus.wait(timeout=1)
