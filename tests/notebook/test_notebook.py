"""What notebooks show: a table of what one would ask next, escaped, whatever state the thing is in."""

from html.parser import HTMLParser
from typing import Any

import numpy as np

import mmsb


class Cells(HTMLParser):
    """The text of all cells; every tag that opens closes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def texts(thing: Any) -> list[str]:
    html = thing._repr_html_()
    return Cells(html).texts


def test_a_bus_and_a_state() -> None:
    with mmsb.open() as bus:
        bus.create_page("<b>pos</b>", shape=(1000, 3), dtype="f4")
        bus.create_page("book", rows=4, columns={"price": "f8", "qty": "i4"})
        found = texts(bus)
        assert "<b>pos</b>" in found
        assert "(1000, 3)" in found
        assert "12,000" in found
        assert "price float64, qty int32" in found
        bus.branch("plan")
        assert "main at 2" in texts(bus)
        with bus.snapshot() as now:
            assert "book" in texts(now)
        assert texts(now) == [repr(now)]
    assert texts(bus) == [repr(bus)]


def test_names_that_would_break_a_line() -> None:
    odd, shown = "a\nb\x1b[31m\u061c\u202e", r"a\nb\x1b[31m\u061c\u202e"
    with mmsb.open() as bus:
        page = bus.create_page(odd, rows=2, columns={odd: "S8", "b": "i4"})
        page[0] = (b"x\ny", 1)
        plan = bus.branch(odd)
        with plan.transaction(source=odd) as tx:
            plan[odd]["b"] = 2
        (change,) = bus.diff(plan)
        things = [plan, plan.snapshot(), page, page[odd], tx, change, plan.log(), next(iter(plan.log()))]
        for thing in [*things, list(plan.log())[-1], plan.branches()[odd], plan.watch()]:
            assert shown in repr(thing)
            assert not set(repr(thing)) & set(odd[1:2] + odd[3:4] + odd[-2:])
        for thing in things:
            html = thing._repr_html_()
            assert shown in html
            assert not set(html) & set(odd[1:2] + odd[3:4] + odd[-2:])
        assert any(shown in text for text in texts(bus))
        bus.drop_page(page)
        assert shown in repr(page)


def test_many_pages() -> None:
    with mmsb.open() as bus:
        for i in range(60):
            bus.create_page(f"p{i}", shape=(1,), dtype="i4")
        assert "10 more" in texts(bus)


def test_pages_and_columns() -> None:
    with mmsb.open() as bus:
        pos = bus.create_page("pos", shape=(1000, 3), dtype="f4")
        pos[1] = 1.5
        assert "[1.5 1.5 1.5]" in texts(pos)
        assert "995 more" in texts(pos)
        book = bus.create_page("book", data={"price": np.array([0.5, 2]), "name": np.array([b"<a>", b"b"])})
        assert "price float64" in texts(book)
        assert "0.5" in texts(book["price"])
        assert "1 more" not in texts(book)
        one = bus.create_page("one", shape=(), dtype="i8")
        assert "0" in texts(one)
        bus.drop_page("pos")
        assert len(texts(pos)) == 1
    assert len(texts(book)) == 1
    assert len(texts(book["price"])) == 1


def test_transactions_changes_and_the_log() -> None:
    with mmsb.open() as bus:
        pos = bus.create_page("pos", shape=(10,), dtype="i4")
        with bus.transaction(source="me", intent={"why": "<x>"}) as tx:
            pos[2:4] = 1
            assert "open or given up" in texts(tx)
        assert f"epoch {tx.epoch}" in texts(tx)
        pos[[1, 3, 5, 7, 9]] = 4
        (change,) = bus.diff(1, 3)
        assert "1:4, 5, 7, 9" in "".join(texts(change))
        log = bus.log()
        assert "{'why': '<x>'}" in texts(log)
        assert [entry.epoch for entry in log] == [1, 2, 3], "showing it takes nothing from it"
        assert "assign pos" in texts(next(iter(bus.log(source="me"))))
        for i in range(30):
            pos[0] = i
        assert "and more" in texts(bus.log())
        log = bus.log()
    assert texts(log) == [repr(log)]
