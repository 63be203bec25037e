"""Pages declared anew, told long ways round, and read in transactions when their rules fail."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mmsb


@pytest.fixture
def bus() -> Iterator[mmsb.Bus]:
    """A bus in memory."""
    with mmsb.open() as bus:
        yield bus


def test_declaring_anew_does_not_change_the_shape(bus: mmsb.Bus) -> None:
    a = bus.create_page("a", shape=(4,), dtype="int64")
    b = bus.derive("b", lambda a: a, inputs=[a], shape=(4,), dtype="int64")
    for shape in ({"shape": (2,), "dtype": "int64"}, {"shape": (4,), "dtype": "float32"}):
        with pytest.raises(mmsb.RuleError, match=r"page 'b'.*it has 4 rows of the columns"):
            bus.derive("b", lambda a: a * 3, inputs=[a], **shape)  # type: ignore[arg-type]
    a[0] = 2
    assert (b.array[0], b.dtype) == (2, np.dtype("int64"))


def test_a_failed_read_leaves_what_the_transaction_did(bus: mmsb.Bus) -> None:
    a = bus.create_page("a", shape=(4,), dtype="int64")

    def positive(a: Any) -> Any:
        if (a < 0).any():
            raise ValueError("negative")
        return a

    b = bus.derive("b", positive, inputs=[a], shape=(4,), dtype="int64")
    with bus.transaction():
        new = bus.create_page("new", shape=(2,), dtype="int64")
        a[0] = -5
        with pytest.raises(mmsb.RuleError, match="negative"):
            _ = b.array
        assert "new" in bus
        assert bus["new"].array.tolist() == [0, 0]
        new[0] = 3
        a[0] = 5
        assert b.array[0] == 5
    assert (b.array[0], bus["new"].array[0]) == (5, 3)


def test_a_long_cycle_is_told_by_its_ends(bus: mmsb.Bus) -> None:
    a = bus.create_page("a", shape=(1,), dtype="int64")
    chain = [a]
    with bus.transaction():
        for number in range(100):
            chain.append(bus.derive(f"p{number}", mmsb.col(chain[-1]) + 1))
    with pytest.raises(mmsb.CycleError) as caught:
        bus.derive("p0", mmsb.col(chain[-1]) + 1)
    assert list(caught.value.path) == ["p0", *(f"p{number}" for number in range(1, 100)), "p0"]
    assert "(85 more)" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_pages_and_columns_of_others_are_refused_whatever_their_names(bus: mmsb.Bus) -> None:
    """Another bus, and another branch, have pages of the same names and numbers."""
    layout: dict[str, Any] = {"rows": 4, "columns": {"key": "i8", "price": "f8", "keep": "?"}}
    ours = bus.create_page("book", **layout)
    branch = bus.branch("other")
    with mmsb.open() as elsewhere:
        theirs = elsewhere.create_page("book", **layout)
        for strange, said in ((theirs, "of another bus"), (branch["book"], "of branch other")):
            rules = [
                mmsb.col(ours["price"]) + mmsb.col(strange["price"]),
                mmsb.col(strange["price"]) + mmsb.col(ours["price"]),
                mmsb.reduce(strange["price"], "sum"),
                mmsb.reduce(strange["price"], mmsb.monoid("sum_of_its_own", np.add, 0.0, "f8")),
                mmsb.gather(ours, strange["key"]),
                mmsb.window(strange["price"], "sum", 2),
                mmsb.filter(strange["keep"]),
                mmsb.join(ours["key"], strange["key"]),
            ]
            for rule in rules:
                with pytest.raises(mmsb.InvalidArgument, match=said):
                    bus.derive("sum", rule)
            with pytest.raises(mmsb.InvalidArgument, match="not a column of the page that is reduced"):
                mmsb.reduce(ours["price"], "sum", by=strange["key"], groups=4)
    assert "sum" not in bus
    # What is read at some time is the same page all the while.
    with bus.snapshot() as state:
        summed = bus.derive("sum", mmsb.col(state["book"]["price"]) + mmsb.col(ours["price"]))
    ours["price"][:] = 2.0
    assert summed[:].tolist() == [4.0] * 4
    assert [edge["kind"] for edge in bus.graph().edges()] == ["data"]
