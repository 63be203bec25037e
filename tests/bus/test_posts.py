"""What threads post: nothing waits, nothing is lost, the order is that of producers and their posts."""

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

import mmsb
from mmsb.errors import (
    ClosedError,
    FollowsError,
    IndexOutOfRange,
    InvalidArgument,
    MemoryBudgetExceeded,
    PageNotFound,
    RuleError,
    ShapeError,
    WrongTransaction,
)


def test_posts_are_one_commit_in_the_order_of_their_producers() -> None:
    bus = mmsb.open()
    pos = bus.create_page("pos", shape=(4, 2), dtype="f4")
    book = bus.create_page("book", rows=3, columns={"price": "f8", "qty": "i4"})
    total = bus.derive("total", mmsb.reduce(book["qty"], "sum"))
    left, right = bus.producer("left"), bus.producer("right")
    right.write(pos, [7, 8], rows=1)
    left.write(pos, 5, rows=[1, 2])
    left.write(book, {"price": [1, 2, 3], "qty": 1})
    right.merge(book["qty"], [10, 20], rows=[0, 0], op="add")
    epoch = bus.epoch
    assert (left.waiting, right.waiting, left.posts) == (2, 2, 2)
    assert not pos.array.any()
    assert total.array == 0
    assert repr(left) == "<Producer 'left' of branch main, 2 waiting>"
    collected = bus.collect(intent={"step": 1})
    assert (collected.epoch, collected.posts, collected.refused) == (epoch + 1, 4, ())
    np.testing.assert_array_equal(pos.array, [[0, 0], [7, 8], [5, 5], [0, 0]])
    np.testing.assert_array_equal(book["qty"].array, [31, 1, 1])
    assert total.array == 33
    assert (left.waiting, right.waiting) == (0, 0)
    entry = list(bus.log())[-1]
    assert (entry.source, entry.intent) == ("left, right", {"step": 1})
    assert bus.collect() == mmsb.Collected(None, 0, ())


def test_what_is_posted_is_copied() -> None:
    bus = mmsb.open()
    page = bus.create_page("page", shape=(3,), dtype="i8")
    one, values = bus.producer("one"), np.array([1, 2, 3])
    one.write(page, values)
    values[:] = 9
    bus.collect()
    np.testing.assert_array_equal(page.array, [1, 2, 3])


def test_threads_post_while_one_collects() -> None:
    bus = mmsb.open()
    page = bus.create_page("page", shape=(4,), dtype="i8", op="add")
    each = 500

    def work(number: int) -> None:
        mine = bus.producer(f"thread {number}")
        for value in range(each):
            mine.merge(page, value, rows=number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    posts = 0
    while any(thread.is_alive() for thread in threads):
        posts += bus.collect().posts
    posts += bus.collect().posts
    assert posts == 4 * each
    np.testing.assert_array_equal(page.array, np.full(4, each * (each - 1) // 2))


def test_what_cannot_be_is_refused_when_it_is_posted() -> None:
    bus, other = mmsb.open(), mmsb.open()
    page = bus.create_page("page", shape=(3,), dtype="i8")
    theirs = other.create_page("page", shape=(3,), dtype="i8")
    follows = bus.derive("follows", mmsb.col(page) + 1)
    one = bus.producer("one")
    with pytest.raises(IndexOutOfRange, match="page 'page'"):
        one.write(page, 1, rows=3)
    with pytest.raises(ShapeError, match="page 'page'"):
        one.write(page, [1, 2])
    with pytest.raises(FollowsError, match="'follows'"):
        one.write(follows, 1)
    with pytest.raises(InvalidArgument, match="of branch main of the bus"):
        one.write(theirs, 1)
    with pytest.raises(InvalidArgument, match="of branch b "):
        one.write(bus.branch("b")["page"], 1)
    with pytest.raises(InvalidArgument, match="a page, or a column of one, is wanted"):
        one.write("page", 1)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="has no operator of its own"):
        one.merge(page, 1)
    with pytest.raises(InvalidArgument, match='refused "no"'):
        bus.collect(refused="no")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="a producer's name"):
        bus.producer(3)  # type: ignore[arg-type]
    assert (one.waiting, one.posts) == (0, 0)
    with bus.transaction(), pytest.raises(WrongTransaction):
        bus.collect()
    bus.close()
    with pytest.raises(ClosedError):
        one.write(page, 1)


def test_a_post_is_no_part_of_a_transaction() -> None:
    bus = mmsb.open()
    page = bus.create_page("page", shape=(2,), dtype="i8")
    one = bus.producer("one")
    with bus.transaction():
        page.resize(4)
        one.write(page, 1)
        with pytest.raises(IndexOutOfRange, match="page 'page'"):
            one.write(page, 1, rows=3)
    assert bus.collect().posts == 1
    np.testing.assert_array_equal(page.array, [1, 1, 0, 0])


def test_one_that_fits_no_more_keeps_all_waiting_or_is_left_out() -> None:
    bus = mmsb.open()
    page, gone = (bus.create_page(name, shape=(3,), dtype="i8") for name in ("page", "gone"))
    one = bus.producer("one")
    one.write(page, 1, rows=0)
    one.write(gone, 2)
    bus.drop_page(gone)
    with pytest.raises(PageNotFound, match="post 1 of producer 'one'"):
        bus.collect()
    assert (one.waiting, page.array[0]) == (2, 0)
    collected = bus.collect(refused="drop")
    assert (collected.posts, one.waiting, page.array[0]) == (1, 0, 1)
    (refused,) = collected.refused
    assert (refused.producer, refused.number, refused.page) == ("one", 1, "gone")
    assert isinstance(refused.error, PageNotFound)


def test_a_rule_that_raises_keeps_all_waiting() -> None:
    bus = mmsb.open()
    page = bus.create_page("page", shape=(3,), dtype="i8")

    def positive(page: NDArray[np.int64]) -> NDArray[np.int64]:
        if (page < 0).any():
            raise ValueError("negative")
        return page

    made = bus.derive("positive", positive, inputs=[page], shape=(3,), dtype="i8")
    one = bus.producer("one")
    one.write(page, -1, rows=1)
    with pytest.raises(RuleError, match="negative"):
        bus.collect()
    assert (one.waiting, bus["page"].array[1]) == (1, 0)
    one.write(page, 1, rows=1)
    assert bus.collect().posts == 2
    np.testing.assert_array_equal(made.array, [0, 1, 0])


def test_no_more_waits_than_the_limit() -> None:
    bus = mmsb.open()
    page = bus.create_page("page", shape=(1000,), dtype="f8")
    one = bus.producer("one", limit=20_000)
    one.write(page, np.ones(1000))
    one.write(page, np.ones(1000))
    with pytest.raises(MemoryBudgetExceeded, match=r"'one' has \d+ bytes posted .* 20000 may wait"):
        one.write(page, np.ones(1000))
    assert (one.waiting, one.posts) == (2, 2)
    bus.collect()
    one.write(page, np.ones(1000))
