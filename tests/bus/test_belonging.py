"""What belongs where: pages to their bus and branch, transactions to whoever entered them."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import mmsb


@pytest.fixture
def bus() -> mmsb.Bus:
    bus = mmsb.open()
    bus.create_page("p", shape=(4,), dtype="i8")
    return bus


@pytest.fixture
def other() -> mmsb.Bus:
    other = mmsb.open()
    other.create_page("q", shape=(4,), dtype="i8")
    return other


def upsert(bus: mmsb.Bus, page: Any) -> mmsb.Upsert:
    return bus.upsert(page, when=lambda _: True, write=1)


USES: list[Callable[[mmsb.Bus, Any], Any]] = [
    lambda bus, page: bus[page],
    lambda bus, page: bus.drop_page(page),
    lambda bus, page: bus.log(page=page),
    lambda bus, page: bus.watch(page),
    upsert,
]


@pytest.mark.parametrize("use", USES)
def test_a_page_of_another_bus_is_refused(
    bus: mmsb.Bus, other: mmsb.Bus, use: Callable[[mmsb.Bus, Any], Any]
) -> None:
    before = bus.epoch, other.epoch
    for page in (other["q"], other.snapshot()["q"]):
        with pytest.raises(mmsb.InvalidArgument, match="another bus"):
            use(bus, page)
        assert page not in bus
    assert (bus.epoch, other.epoch) == before


def test_a_page_of_another_branch_is_read_by_its_id_and_not_written(bus: mmsb.Bus) -> None:
    plan = bus.branch("plan")
    plan["p"][0] = 5
    page = plan["p"]
    assert bus[page] is bus["p"]
    assert page in bus
    assert [entry.epoch for entry in bus.log(page=page)] == [1]
    for use in (upsert, lambda bus, page: bus.drop_page(page)):
        with pytest.raises(mmsb.InvalidArgument, match="branch plan"):
            use(bus, page)
    assert (bus.epoch, plan.epoch) == (1, 2)
    assert plan["p"].array.tolist() == [5, 0, 0, 0]


def test_in_says_what_indexing_does(bus: mmsb.Bus) -> None:
    page = bus["p"]
    assert page in bus
    assert page.id in bus
    assert page.id in bus.snapshot()
    assert 99 not in bus
    assert -1 not in bus
    assert True not in bus
    with pytest.raises(mmsb.DtypeError, match="bool"):
        bus[True]
    with pytest.raises(mmsb.DtypeError, match="bool"):
        bus.snapshot()[True]
    bus.drop_page("p")
    assert page not in bus


def test_a_transaction_ends_where_it_was_entered(bus: mmsb.Bus) -> None:
    tx = bus.transaction()
    tx.__enter__()
    bus["p"][0] = 1
    caught: list[BaseException] = []

    def end() -> None:
        try:
            tx.__exit__(None, None, None)
        except mmsb.WrongTransaction as error:
            caught.append(error)

    thread = threading.Thread(target=end)
    thread.start()
    thread.join()
    assert len(caught) == 1
    assert bus.snapshot()["p"].array[0] == 0
    bus["p"][1] = 2
    tx.__exit__(None, None, None)
    assert tx.epoch == 2
    assert bus["p"].array.tolist() == [1, 2, 0, 0]


def test_another_task_cannot_end_a_transaction(bus: mmsb.Bus) -> None:
    async def end(tx: mmsb.Transaction) -> None:
        tx.__exit__(None, None, None)

    async def main() -> None:
        with bus.transaction() as tx:
            bus["p"][0] = 1
            with pytest.raises(mmsb.WrongTransaction, match="task"):
                await asyncio.create_task(end(tx))
            bus["p"][1] = 2

    asyncio.run(main())
    assert bus["p"].array.tolist() == [1, 2, 0, 0]
    assert bus.epoch == 2


@pytest.mark.parametrize(
    ("outer", "inner", "words"),
    [
        ({}, {"source": "me"}, 'source "me".*none'),
        ({"source": "you"}, {"source": "me"}, 'source "me".*"you"'),
        ({"intent": 1}, {"intent": 2}, "intent"),
        ({}, {"durability": "disk"}, "durability 'disk'.*'process'"),
        ({"durability": "memory"}, {"durability": "process"}, "durability 'process'.*'memory'"),
        ({}, {"isolation": "serializable"}, "isolation 'serializable'"),
    ],
)
def test_a_nested_transaction_that_asks_for_more_is_refused(
    bus: mmsb.Bus, outer: dict[str, Any], inner: dict[str, Any], words: str
) -> None:
    with bus.transaction(**outer):
        bus["p"][0] = 1
        with pytest.raises(mmsb.InvalidArgument, match=words), bus.transaction(**inner):
            pass
    assert bus["p"].array[0] == 1


def test_a_nested_transaction_that_asks_for_no_more_joins(bus: mmsb.Bus) -> None:
    asked: dict[str, Any] = {"source": "me", "intent": {"a": 1}}
    with bus.transaction(**asked, isolation="serializable", durability="process") as tx:
        with bus.transaction(**asked, durability="memory"):
            bus["p"][0] = 1
        with bus.transaction():
            bus["p"][1] = 1
    assert tx.epoch == bus.epoch == 2


def test_an_upsert_joins_a_serializable_transaction(bus: mmsb.Bus) -> None:
    with bus.transaction(isolation="serializable"):
        bus["p"][0] = 1
        assert bus.upsert("p", when=lambda page: page[0] == 1, write=2) == mmsb.Upsert(
            True, "the condition holds", None
        )
        assert not bus.upsert("p", when=lambda page: page[0] == 1, write=3)
    assert bus.epoch == 2
    assert bus["p"].array.tolist() == [2, 2, 2, 2]
    with bus.transaction(), pytest.raises(mmsb.InvalidArgument, match="serializable"):
        upsert(bus, "p")


@pytest.mark.parametrize("answer", [None, 1, [True], "array", "ints"])
def test_a_condition_answers_with_a_boolean(bus: mmsb.Bus, answer: Any) -> None:
    answers = {"array": lambda page: page[...] == 0, "ints": lambda page: page[...]}
    when = answers[answer] if isinstance(answer, str) else lambda _: answer
    with pytest.raises(mmsb.InvalidArgument, match="when returned"):
        bus.upsert("p", when=when, write=1)
    assert bus.epoch == 1


def test_a_condition_may_answer_as_numpy_does(bus: mmsb.Bus) -> None:
    assert bus.upsert("p", when=lambda page: (page[...] == 0).all(), write=1)
    assert bus.upsert("p", when=lambda page: page[:1] == 1, write=2)
    assert bus.upsert("p", when=lambda page: page[0] == 0, write=3).why == "the condition does not hold"
    assert bus.upsert("p", when=lambda _: "not today", write=3).why == "not today"
