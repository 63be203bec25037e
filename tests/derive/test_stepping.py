"""Propagation one page at a time: what is pending, what a step tells, what is read meanwhile, how it ends."""

import threading
from typing import Any

import numpy as np
import pytest

import mmsb


@pytest.fixture
def bus() -> Any:
    """A diamond, a page beyond it that comes out equal, and a function."""
    with mmsb.open() as bus:
        a = bus.create_page("a", shape=(2,), dtype="int64")
        b = bus.derive("b", mmsb.col(a) + 1)
        c = bus.derive("c", mmsb.col(a) // 100)
        d = bus.derive("d", mmsb.col(b) + mmsb.col(c))
        bus.derive("e", lambda d: d * 10, inputs=[d], shape=(2,), dtype="int64")
        yield bus


def test_pages_are_made_one_by_one(bus: mmsb.Bus) -> None:
    epoch = bus.epoch
    with bus.stepping(source="debugger") as s:
        assert not s.pending
        assert s.step() is None
        bus["a"][0] = 1
        assert [*s.pending] == ["b", "c"]
        assert bus["a"].array.tolist() == [1, 0]
        assert bus["b"].array.tolist() == [1, 1]
        step = s.step()
        assert step is not None
        assert (step.page, step.cause, step.level, step.rows_in, step.rows_out) == ("b", "a", 1, 2, 1)
        assert [*s.pending] == ["c"]
        assert bus["b"].array.tolist() == [2, 1]
        assert bus["d"].array.tolist() == [1, 1]
        step = s.step()
        assert step is not None
        assert (step.page, step.outcome) == ("c", "equal")
        assert [*s.pending] == ["d"]
        assert [(step.page, step.outcome) for step in s] == [("d", "changed"), ("e", "changed")]
        assert not s.pending
        assert s.step() is None
        assert bus["e"].array.tolist() == [20, 10]
        assert bus.epoch == epoch
    assert (bus.epoch, s.epoch) == (epoch + 1, epoch + 1)
    assert bus["e"].array.tolist() == [20, 10]
    assert [step.page for step in bus.trace()] == ["b", "c", "d", "e"]
    assert next(bus.log(since=s.epoch)).source == "debugger"


def test_the_commit_makes_what_is_left(bus: mmsb.Bus) -> None:
    with bus.stepping() as s:
        bus["a"][0] = 1000
        s.step()
    assert bus["e"].array.tolist() == [10110, 10]
    with bus.stepping():
        pass
    with bus.stepping() as s:
        bus["a"][0] = 1000
        # To write what is there has nothing follow.
        assert not s.pending
        assert s.step() is None
    assert not bus.trace()


def test_an_exception_leaves_nothing(bus: mmsb.Bus) -> None:
    epoch, digest = bus.epoch, bus.digest()
    with pytest.raises(KeyError, match="enough"), bus.stepping() as s:
        bus["a"][0] = 7
        s.step()
        raise KeyError("enough")
    assert (bus.epoch, bus.digest()) == (epoch, digest)
    assert bus["b"].array.tolist() == [1, 1]
    with pytest.raises(mmsb.WrongTransaction, match="stepping is over"):
        s.step()
    bus["a"][0] = 8
    assert bus["b"].array.tolist() == [9, 1]


def test_writing_in_the_midst_begins_anew(bus: mmsb.Bus) -> None:
    with bus.stepping() as s:
        bus["a"][0] = 1
        assert [step.page for step in (s.step(), s.step(), s.step()) if step] == ["b", "c", "d"]
        bus["a"][1] = 5
        # Nothing is made of either write now.
        assert bus["b"].array.tolist() == [1, 1]
        assert [*s.pending] == ["b", "c"]
        step = s.step()
        assert step is not None
        assert (step.page, step.rows_in) == ("b", 2)
        assert bus["b"].array.tolist() == [2, 6]
        with bus.transaction():
            bus["a"][1] = 6
        assert [step.page for step in s] == ["b", "c", "d", "e"]
        assert bus["e"].array.tolist() == [20, 70]
    assert bus["e"].array.tolist() == [20, 70]


def test_rules_that_come_in_the_block_are_stepped_too(bus: mmsb.Bus) -> None:
    with bus.stepping() as s:
        f = bus.derive("f", mmsb.col(bus["e"]) + 1)
        assert f.array.tolist() == [0, 0]
        assert [*s.pending] == ["f"]
        step = s.step()
        assert step is not None
        assert (step.page, step.cause) == ("f", "f")
        assert f.array.tolist() == [11, 11]
    assert f.array.tolist() == [11, 11]


def test_a_rule_that_raises_in_a_step(bus: mmsb.Bus) -> None:
    fails = True

    def function(b: Any) -> Any:
        if fails and b[0] > 1:
            raise ValueError("no")
        return b

    bus.derive("f", function, inputs="b", shape=(2,), dtype="int64")
    epoch = bus.epoch
    with pytest.raises(mmsb.RuleError, match=r"page 'f', rule '.*function': ValueError: no"):
        with bus.stepping() as s:
            bus["a"][0] = 1
            for _ in s:
                pass
    assert bus.epoch == epoch
    # Who goes on finds it begun anew, and the commit fails unless what was wrong is not any more.
    with bus.stepping() as s:
        bus["a"][0] = 1
        with pytest.raises(mmsb.RuleError, match="page 'f'"):
            for _ in s:
                pass
        assert bus["b"].array.tolist() == [1, 1]
        assert [*s.pending] == ["b", "c"]
        fails = False
        assert sorted(step.page for step in s) == ["b", "c", "d", "e", "f"]
    assert bus["f"].array.tolist() == [2, 1]
    fails = True
    with pytest.raises(mmsb.RuleError, match="page 'f'"):
        with bus.stepping() as s:
            bus["a"][0] = 3
            s.step()
    assert bus["a"].array.tolist() == [1, 0]


def test_stepping_is_the_outermost(bus: mmsb.Bus) -> None:
    with bus.transaction():
        with pytest.raises(mmsb.WrongTransaction, match="a transaction is open on this branch"):
            with bus.stepping():
                pass
    with bus.stepping():
        with pytest.raises(mmsb.WrongTransaction, match="a transaction is open on this branch"):
            with bus.stepping():
                pass
    with pytest.raises(mmsb.InvalidArgument, match="isolation"):
        with bus.stepping(isolation="none"):  # type: ignore[arg-type]
            pass
    other = bus.branch("other")
    with bus.stepping() as s, other.stepping() as t:
        bus["a"][0] = 1
        other["a"][0] = 200
        assert [step.outcome for step in s][:2] == ["changed", "equal"]
        assert [step.outcome for step in t][:2] == ["changed", "changed"]
        assert other["d"].array.tolist() == [203, 1]
    assert bus["d"].array.tolist() == [2, 1]


def test_somebody_else_first_is_a_conflict(bus: mmsb.Bus) -> None:
    def write() -> None:
        bus["a"][0] = 9

    with pytest.raises(mmsb.ConflictError):
        with bus.stepping() as s:
            bus["a"][0] = 1
            s.step()
            thread = threading.Thread(target=write)
            thread.start()
            thread.join()
            assert bus["b"].array.tolist() == [2, 1]
    assert np.array_equal(bus["b"].array, [10, 1])
