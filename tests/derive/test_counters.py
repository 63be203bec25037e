"""How often pages were looked at, and what came of it: exact counts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mmsb
from mmsb import Counters


def counts(bus: mmsb.Bus) -> dict[str, Counters]:
    """The counters without the time, which has been taken."""
    found = bus.counters()
    assert all((seen.ns > 0) == (seen.looked > seen.raised) for seen in found.values())
    return {name: replace(seen, ns=0) for name, seen in found.items()}


def test_every_look_is_counted_once() -> None:
    with mmsb.open() as bus:
        assert bus.counters() == {}
        a = bus.create_page("a", shape=(4,), dtype="int64")
        tens = bus.derive("tens", mmsb.col(a) // 10)
        bus.derive("x", mmsb.col(tens) + 1)
        bus.derive("y", mmsb.col(tens) + 2)
        bus.derive("total", mmsb.reduce(a, "sum"))
        # Making pages of zeros: what comes out as zeros is as it was.
        assert counts(bus) == {
            "tens": Counters(looked=1, ran=1, equal=1, rows_in=4),
            "x": Counters(looked=1, ran=1, rows_in=4, rows_out=4),
            "y": Counters(looked=1, ran=1, rows_in=4, rows_out=4),
            "total": Counters(looked=1, ran=1, equal=1, rows_in=4),
        }
        a[1] = 5
        a[1] = 25
        a[1] = 25
        with bus.transaction():
            a[0] = 1
            assert bus["total"].array == 26
            a[2:] = 10
            assert bus["total"].array == 46
        assert counts(bus) == {
            "tens": Counters(looked=4, ran=4, equal=2, cut_off=2, rows_in=9, rows_out=3),
            "x": Counters(looked=3, ran=3, rows_in=7, rows_out=7),
            "y": Counters(looked=3, ran=3, rows_in=7, rows_out=7),
            "total": Counters(looked=4, ran=4, equal=1, rows_in=9, rows_out=3),
        }
        assert replace(bus.explain("tens").counters or Counters(), ns=0) == counts(bus)["tens"]
        assert "looked at 4 times: ran 4, equal 2, raised 0" in str(bus.explain("tens"))
        assert bus.explain("a").counters is None


def test_why_a_page_is_what_it_is_ends_with_its_own_rule() -> None:
    with mmsb.open() as bus:
        a = bus.create_page("a", shape=(4,), dtype="int64")
        bus.derive("b", mmsb.col(a) + 1)
        bus.derive("c", mmsb.col(bus["b"]) + 1)
        assert "4 rows, because its rule is new" in str(bus.explain("b"))
        a[1] = 5
        assert "1 rows, because of b <- a" in str(bus.explain("c"))


def test_what_raised_and_what_ran_before_it() -> None:
    with mmsb.open() as bus:
        a = bus.create_page("a", shape=(2,), dtype="int64")
        bus.derive("b", mmsb.col(a) + 1)
        fails = False

        def function(b: Any) -> Any:
            if fails:
                raise ValueError
            return b

        bus.derive("c", function, inputs="b", shape=(2,), dtype="int64")
        fails = True
        for _ in range(3):
            with pytest.raises(mmsb.RuleError):
                a[0] = 1
        fails = False
        a[0] = 2
        seen = counts(bus)
        # The commits that failed looked at `b` as well, each as if it were the first.
        assert (seen["b"].looked, seen["b"].ran, seen["b"].raised) == (5, 5, 0)
        assert (seen["c"].looked, seen["c"].ran, seen["c"].raised) == (5, 2, 3)
        assert "raised 3" in str(bus.explain("c"))


def test_counts_outlast_the_structure() -> None:
    """Rules that come, go and fail to come leave others' alone; a page that is dropped takes its own."""
    with mmsb.open() as bus:
        a = bus.create_page("a", shape=(2,), dtype="int64")
        bus.derive("b", mmsb.col(a) + 1)
        bus.derive("c", mmsb.col(a) + 2)
        a[0] = 1
        before = counts(bus)["c"]
        with pytest.raises(mmsb.RuleError):
            bus.derive("d", lambda a: 1 / 0, inputs="a", shape=(2,), dtype="int64")
        bus.drop_page("b")
        assert counts(bus) == {"c": before}
        bus.derive("b", mmsb.col(a) + 3)
        bus.derive("e", mmsb.col(a) + 3)
        assert counts(bus)["c"] == before
        assert counts(bus)["b"].looked == 1
        a[1] = 5
        assert {name: seen.looked for name, seen in counts(bus).items()} == {"b": 2, "c": 3, "e": 2}
        bus.release("c")
        assert "c" not in counts(bus)


def test_branches_count_for_themselves_and_an_opening_begins_anew(tmp_path: Path) -> None:
    with mmsb.open(tmp_path / "bus") as bus:
        a = bus.create_page("a", shape=(2,), dtype="int64")
        bus.derive("b", mmsb.col(a) + 1)
        bus.derive("late", lambda a: a, inputs="a", after="b", shape=(2,), dtype="int64")
        other = bus.branch("other")
        other["a"][0] = 5
        assert (counts(bus)["b"].looked, counts(other)["b"].looked) == (1, 1)
    with mmsb.open(tmp_path / "bus") as bus:
        assert counts(bus) == {"b": Counters(), "late": Counters()}
        bus["a"][0] = 1
        # Nobody has declared the function here: it is looked at, and cannot run.
        assert counts(bus)["late"] == Counters(looked=1, rows_in=2)
        assert counts(bus)["b"].ran == 1
