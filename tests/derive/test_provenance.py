"""Lineage: which commits and pages made a value what it is."""

import copy
import pickle
from typing import Any

import pytest

import mmsb


@pytest.fixture
def bus() -> Any:
    """A bus in memory."""
    with mmsb.open() as bus:
        yield bus


def test_provenance_goes_back_to_what_was_written(bus: mmsb.Bus) -> None:
    """By row where a rule tells which rows it takes; what two ways lead to is told once."""
    book = bus.create_page("book", rows=4, columns={"price": "f8", "qty": "i8"})
    with bus.transaction(source="feed", intent={"file": 1}):
        book["price"] = [1.0, 2.0, 3.0, 4.0]
    with bus.transaction(source="desk"):
        book["qty"][1:3] = 5
    value = bus.derive("value", mmsb.col(book["price"]) * mmsb.col(book["qty"]))
    bus.derive("total", mmsb.reduce(value, "sum"))
    bus.derive("both", lambda v, b: v + b["qty"], inputs=[value, book], shape=(4,), dtype="f8")
    book["qty"][2] = 9
    why = bus.provenance("value", row=2)
    assert why.rows == (range(2, 3),)
    (taken,) = why.inputs
    assert [(origin.epoch, origin.source) for origin in taken.commits] == [(7, None), (2, "feed")]
    assert taken.commits[1].intent == {"file": 1}
    assert taken.commits[1].rows == (range(2, 3),)
    other = bus.provenance("value", row=0).inputs[0]
    assert [origin.epoch for origin in other.commits] == [2]
    total = bus.provenance("total")
    assert [part.page for part in total.parts()] == ["total", "value", "book"]
    both = bus.provenance("both", row=1)
    for told in (both, copy.deepcopy(both), pickle.loads(pickle.dumps(both))):
        assert told.inputs[0].inputs[0] is told.inputs[1]
    assert "book[0:4]: epochs 7, 3 by desk, 2 by feed" in str(both)
    past = bus.provenance("value", row=2, epoch=4).inputs[0]
    assert [origin.epoch for origin in past.commits] == [3, 2]
    with pytest.raises(mmsb.InvalidArgument, match="row 9 of a page of 4 rows"):
        bus.provenance("value", row=9)


def test_a_long_lineage_is_copied_and_pickled(bus: mmsb.Bus) -> None:
    """Without recursion."""
    last = bus.create_page("0", shape=(), dtype="i8")
    with bus.transaction():
        for number in range(1, 3000):
            last = bus.derive(str(number), mmsb.col(last) + 1)
    why = bus.provenance(last)
    for same in (copy.deepcopy(why), pickle.loads(pickle.dumps(why))):
        assert str(same) == str(why)
        assert len(same.parts()) == 3000
