"""Transactions: one epoch or nothing, isolation, whose they are, and how they nest."""

import asyncio
import contextlib
import contextvars
import threading
import weakref
from collections.abc import Callable

import numpy as np
import pytest

import mmsb


@pytest.fixture
def bus() -> mmsb.Bus:
    bus = mmsb.open()
    bus.create_page("a", shape=(100,), dtype="i8")
    bus.create_page("b", rows=10, columns={"x": "f8", "n": "i4"})
    return bus


def test_a_transaction_is_one_epoch_and_reads_its_own_writes(bus: mmsb.Bus) -> None:
    before = bus.epoch
    with bus.transaction(source="me", intent={"why": ["it", 1]}) as tx:
        bus["a"][3] = 7
        bus["b"]["x"][:2] = 1.5
        bus["a"].merge(1, rows=[3, 3], op="add")
        page = bus.create_page("new", shape=(2,), dtype="f4")
        page[1] = 4
        bus["a"].resize(200)
        assert bus["a"][3] == 9
        assert bus["a"].array[3] == 9
        assert bus["a"].shape == (200,)
        assert "new" in bus
        assert list(bus) == ["a", "b", "new"]
        assert bus.epoch == before, "nobody else sees it"
        assert bus.snapshot()["a"][3] == 0
        assert tx.epoch is None
    assert tx.epoch == bus.epoch == before + 1
    assert tx.changed
    entry = next(iter(bus.log(since=tx.epoch)))
    assert (entry.source, entry.intent) == ("me", {"why": ["it", 1]})
    assert bus["new"][1] == 4


def test_an_exception_leaves_nothing(bus: mmsb.Bus) -> None:
    before, digest = bus.epoch, bus.digest()
    with pytest.raises(ZeroDivisionError), bus.transaction() as tx:
        bus["a"][:] = 1
        bus.create_page("new", shape=(1,), dtype="f4")
        bus.drop_page("b")
        _ = 1 / 0
    assert (bus.epoch, bus.digest()) == (before, digest)
    assert tx.epoch is None
    assert "new" not in bus
    assert not bus["a"].array.any()


def test_an_error_inside_that_is_caught_changes_nothing_else(bus: mmsb.Bus) -> None:
    with bus.transaction():
        bus["a"][0] = 1
        with pytest.raises(mmsb.ShapeError):
            bus["a"][:] = np.zeros((3, 3), int)
        with pytest.raises(mmsb.NameTaken):
            bus.create_page("a", shape=(1,), dtype="f4")
        bus["a"][1] = 2
    assert bus["a"][:2].tolist() == [1, 2]


def test_nothing_to_commit_makes_no_epoch(bus: mmsb.Bus) -> None:
    before = bus.epoch
    with bus.transaction() as tx:
        _ = bus["a"].array
    assert (tx.epoch, tx.changed, bus.epoch) == (before, False, before)


def test_views_taken_inside_do_not_change(bus: mmsb.Bus) -> None:
    with bus.transaction():
        first = bus["a"].array
        bus["a"][0] = 1
        second = bus["a"].array
        bus["a"][0] = 2
        third = bus["a"].array
        assert [view[0] for view in (first, second, third)] == [0, 1, 2]
    assert [view[0] for view in (first, second, third)] == [0, 1, 2]


def test_the_first_committer_of_a_cell_wins(bus: mmsb.Bus) -> None:
    with pytest.raises(mmsb.ConflictError, match=r"page 'a', row 5") as caught, bus.transaction():
        bus["a"][5] = 1
        in_thread(lambda: bus["a"].__setitem__(slice(4, 7), 2))
    assert caught.value.pages == ["a"]
    assert caught.value.clashes[0][1] == [5]
    assert bus["a"][5] == 2
    with bus.transaction():
        bus["a"][5] = 3
        in_thread(lambda: bus["a"].__setitem__(6, 4))
    assert bus["a"][5:7].tolist() == [3, 4]


def test_a_whole_page_that_was_written_meanwhile_conflicts(bus: mmsb.Bus) -> None:
    values = np.arange(100)
    bus["a"][...] = values
    with pytest.raises(mmsb.ConflictError), bus.transaction():
        values[0] = -1
        bus["a"][...] = values
        in_thread(lambda: bus["a"].__setitem__(50, 7))
    assert bus["a"][50] == 7


def test_serializable_also_protects_what_was_read(bus: mmsb.Bus) -> None:
    def read_then_write(isolation: str, row: int) -> None:
        with bus.transaction(isolation=isolation):  # type: ignore[arg-type]
            total = int(bus["a"][10:20].sum())
            bus["b"]["n"][0] = total
            in_thread(lambda: bus["a"].__setitem__(row, 1))

    read_then_write("snapshot", 11)
    read_then_write("serializable", 30)
    with pytest.raises(mmsb.ConflictError, match="read"):
        read_then_write("serializable", 12)


def test_serializable_also_protects_the_number_of_rows(bus: mmsb.Bus) -> None:
    with pytest.raises(mmsb.ConflictError), bus.transaction(isolation="serializable"):
        bus["a"][0] = len(bus["b"])
        in_thread(lambda: bus["b"].resize(11))
    with bus.transaction(isolation="serializable"):
        bus["a"][0] = len(bus["b"])
        in_thread(lambda: bus["b"]["n"].__setitem__(0, 1))


def test_merges_by_the_pages_operator_do_not_conflict(bus: mmsb.Bus) -> None:
    sums = bus.create_page("sums", shape=(4,), dtype="i8", op="add")
    with bus.transaction():
        sums.merge(5, rows=[0])
        in_thread(lambda: sums.merge(7, rows=[0]))
    assert sums[0] == 12


def test_what_would_not_be_a_part_of_one_is_refused_inside(bus: mmsb.Bus) -> None:
    plan = bus.branch("plan")
    plan["a"][5] = 1
    before = bus.epoch
    with pytest.raises(ZeroDivisionError), bus.transaction():
        bus["a"][0] = 1
        for use in (
            lambda: bus.revert(1),
            lambda: bus.merge(plan),
            lambda: plan.merge(bus),
            lambda: bus.branch("other"),
            lambda: bus.drop(),
        ):
            with pytest.raises(mmsb.WrongTransaction, match="outside"):
                use()
        bus.checkpoint()
        in_thread(lambda: plan.branch("elsewhere"))
        _ = 1 / 0
    assert bus.epoch == before
    assert sorted(bus.branches()) == ["elsewhere", "main", "plan"]
    bus.merge(plan)
    assert bus["a"][5] == 1


def test_nested_ones_join(bus: mmsb.Bus) -> None:
    before = bus.epoch
    with bus.transaction(source="outer") as outer:
        bus["a"][0] = 1
        with bus.transaction() as inner:
            bus["a"][1] = 2
        assert bus.epoch == before
    assert outer.epoch == inner.epoch == bus.epoch == before + 1
    with pytest.raises(mmsb.WrongTransaction, match="nested"), bus.transaction():
        with pytest.raises(ZeroDivisionError), bus.transaction():
            bus["a"][2] = 3
            _ = 1 / 0
    assert bus.epoch == before + 1


def test_other_buses_and_branches_are_their_own(bus: mmsb.Bus) -> None:
    other, branch = mmsb.open(), bus.branch("b")
    with bus.transaction() as outer:
        bus["a"][0] = 1
        page = other.create_page("p", shape=(1,), dtype="i8")
        branch["a"][0] = 5
        with other.transaction() as inner:
            page[0] = 2
            bus["a"][1] = 3
        assert inner.epoch == other.epoch == 2
    assert outer.epoch == bus.epoch
    assert bus["a"][:2].tolist() == [1, 3]
    assert branch["a"][:2].tolist() == [5, 0]


def test_it_belongs_to_its_thread(bus: mmsb.Bus) -> None:
    with bus.transaction():
        bus["a"][0] = 1
        in_thread(lambda: bus["a"].__setitem__(1, 2))
        assert bus["a"][1] == 0
        context = contextvars.copy_context()
        with pytest.raises(mmsb.WrongTransaction, match="another thread"):
            in_thread(lambda: context.run(bus["a"].__setitem__, 1, 2))
    assert bus["a"][:2].tolist() == [1, 2]


def test_it_belongs_to_its_task(bus: mmsb.Bus) -> None:
    async def write(row: int) -> None:
        bus["a"][row] = row

    async def main() -> None:
        with bus.transaction():
            await write(1)
            with pytest.raises(mmsb.WrongTransaction, match="another asyncio task"):
                await asyncio.create_task(write(2))
            late = asyncio.create_task(later(3))
        await late

    async def later(row: int) -> None:
        while bus.epoch < 3:
            await asyncio.sleep(0)
        bus["a"][row] = row

    asyncio.run(main())
    assert bus["a"][:4].tolist() == [0, 1, 0, 3]


def test_tasks_have_transactions_of_their_own(bus: mmsb.Bus) -> None:
    async def work(row: int) -> int:
        with bus.transaction(source=f"task {row}") as tx:
            bus["a"][row] = row
            await asyncio.sleep(0.001)
            bus["a"][row + 50] = row
        assert tx.epoch is not None
        return tx.epoch

    async def main() -> list[int]:
        return await asyncio.gather(*(work(row) for row in range(8)))

    epochs = asyncio.run(main())
    assert sorted(epochs) == list(range(3, 11))
    assert bus["a"][50:58].tolist() == list(range(8))


def test_it_is_entered_once_and_not_used_after(bus: mmsb.Bus) -> None:
    tx = bus.transaction()
    with tx:
        pass
    with pytest.raises(mmsb.WrongTransaction), tx:
        pass


def test_upsert_checks_and_writes_under_one_epoch(bus: mmsb.Bus) -> None:
    page = bus["a"]
    done = bus.upsert("a", when=lambda a: a[0] == 0, write=lambda a: a.__setitem__(0, 5), intent="first")
    assert done
    assert (done.applied, done.epoch) == (True, bus.epoch)
    refused = bus.upsert(page, when=lambda a: a[0] == 0 or "taken", write=9)
    assert (refused.applied, refused.why, refused.epoch) == (False, "taken", bus.epoch)
    races = iter([1, 2])

    def count(a: mmsb.Page) -> bool:
        found = a[1]
        if next(races, None):
            in_thread(lambda: page.merge(1, rows=[1], op="add"))
        return bool(found < 10)

    assert bus.upsert(page, when=count, write=lambda a: a.__setitem__(1, a[1] * 10)).applied
    assert page[1] == 20


def in_thread(work: object) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def test_serializable_protects_that_a_page_is_there(bus: mmsb.Bus) -> None:
    bus.create_page("flag", shape=(1,), dtype="i8")
    with pytest.raises(mmsb.ConflictError, match="flag"), bus.transaction(isolation="serializable"):
        if "flag" in bus:
            bus["a"][0] = 1
        in_thread(lambda: bus.drop_page("flag"))
    assert bus["a"][0] == 0


def test_long_work_inside_lets_other_threads_run(others_run: Callable[[Callable[[], object]], None]) -> None:
    bus = mmsb.open()
    count = 8_000_000
    page = bus.create_page("p", shape=(count,), dtype="f8")
    ones, picked = np.ones(count), np.arange(0, count, 3)
    with bus.transaction():
        others_run(lambda: page.assign(ones, rows=slice(0, count)))
        others_run(lambda: page[picked])
        page[:] = 3.0
        others_run(lambda: page.array)
        others_run(lambda: page.__setitem__(slice(None), ones))
        page[1] = 5
        assert page[:3].tolist() == [1, 5, 1]


def test_pages_that_never_came_to_be_are_let_go_and_those_that_did_stay_the_same() -> None:
    with mmsb.open() as bus:
        gone, here = [], []
        for n in range(2000):
            with contextlib.suppress(KeyError), bus.transaction():
                page = bus.create_page("undone" if n % 2 else f"kept {n}", size=4)
                if n % 2:
                    gone.append(weakref.ref(page))
                    raise KeyError(n)
                here.append(weakref.ref(page))
        del page
        assert not any(ref() for ref in gone)
        assert all(ref() is bus[f"kept {2 * n}"] for n, ref in enumerate(here))


def test_pages_dropped_in_transactions_are_let_go() -> None:
    with mmsb.open() as bus:
        gone = []
        for _ in range(1000):
            gone.append(weakref.ref(bus.create_page("passing", size=4)))
            with bus.transaction():
                bus.drop_page("passing")
        assert not any(ref() for ref in gone)


def test_a_page_is_the_same_object_while_others_make_pages_and_after(bus: mmsb.Bus) -> None:
    with bus.transaction():
        page = bus.create_page("mine", size=4)

        def others() -> None:
            for n in range(200):
                bus.create_page(f"other {n}", data=np.zeros(4))

        thread = threading.Thread(target=others)
        thread.start()
        thread.join()
        assert bus["mine"] is page
    assert bus["mine"] is page
    with contextlib.suppress(KeyError), bus.transaction():
        bus.drop_page("mine")
        raise KeyError
    assert bus["mine"] is page


def test_pages_of_a_nested_transaction_go_with_the_whole(bus: mmsb.Bus) -> None:
    gone = []
    with contextlib.suppress(KeyError), bus.transaction():
        with bus.transaction():
            gone.append(weakref.ref(bus.create_page("inner", size=4)))
        assert gone[0]() is bus["inner"]
        raise KeyError
    assert not any(ref() for ref in gone)
