"""When pages are made: in every commit, in an epoch of their own, or when somebody reads them."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsb


def _until(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.001)


def test_a_deferred_page_is_stale_until_an_epoch_of_its_own_makes_it() -> None:
    bus = mmsb.open()
    a = bus.create_page("a", shape=(4,), dtype="float64")
    runs: list[int] = []

    @bus.derive("b", inputs=[a], shape=(4,), dtype="float64", when="deferred")  # type: ignore[untyped-decorator]
    def b(a: Any) -> Any:
        runs.append(len(runs))
        return a + 1

    total = bus.derive("total", mmsb.reduce(b, "sum"))
    _until(lambda: not bus.explain("total").stale, "the background makes it")
    epoch = bus.epoch
    a[0] = 5
    _until(lambda: not bus.explain("total").stale, "the background makes it")
    assert bus.epoch == epoch + 2
    assert bus.at(epoch + 1)["b"].array[0] == 1.0
    assert (b.array[0], total.array[()]) == (6.0, 9.0)
    assert [entry.source for entry in bus.log(since=epoch + 2)] == ["deferred"]
    assert bus.settle() is None
    assert bus.explain("b").when == "deferred"
    assert str(bus.explain("b")).startswith("b: function ")
    assert ", deferred" in str(bus.explain("b"))


class _Rule:
    """What makes a page be as another, while it works."""

    works = True

    def __call__(self, a: Any) -> Any:
        if not self.works:
            raise ValueError("not now")
        return a


def _deferred() -> tuple[mmsb.Bus, Any, Any, _Rule]:
    """A bus, a page, one that follows from it in epochs of its own, and its rule."""
    bus, rule = mmsb.open(), _Rule()
    a = bus.create_page("a", shape=(), dtype="int64")
    b = bus.derive("b", rule, inputs=[a], shape=(), dtype="int64", when="deferred")
    bus.settle()
    return bus, a, b, rule


def test_staleness_is_seen_in_pages_and_states() -> None:
    bus, a, b, rule = _deferred()
    _until(lambda: not b.stale, "the background makes it")
    rule.works = False
    a[...] = 1
    with bus.snapshot() as then:
        assert (b.stale, then["b"].stale, a.stale) == (True, True, False)
        rule.works = True
        bus.settle()
        _until(lambda: not b.stale, "it is made")
        assert then["b"].stale


def test_staleness_in_a_transaction_is_that_of_what_it_reads() -> None:
    """Of the state that it began with and its own writes, whatever others make meanwhile."""
    bus, a, b, rule = _deferred()
    rule.works = False
    with bus.transaction():
        assert not b.stale
        a[...] = 1
        assert (b.stale, a.stale, b.array) == (True, False, 0)
    with bus.transaction():
        assert (b.stale, b.array) == (True, 0)
        rule.works = True
        others: list[bool] = []

        def settle() -> None:
            bus.settle()
            others.append(b.stale)

        thread = threading.Thread(target=settle)
        thread.start()
        thread.join()
        assert others == [False]
        assert (b.stale, b.array) == (True, 0)
    assert (b.stale, b.array) == (False, 1)


def test_a_deferred_page_whose_rule_raises_says_so() -> None:
    bus = mmsb.open()
    a = bus.create_page("a", shape=(), dtype="int64")

    @bus.derive("b", inputs=[a], shape=(), dtype="int64", when="deferred")  # type: ignore[untyped-decorator]
    def b(a: Any) -> Any:
        if a == 0:
            raise ZeroDivisionError("no division by it")
        return 10 // a

    _until(lambda: "division" in (bus.explain("b").failed or ""), "the failure is told")
    with pytest.raises(mmsb.RuleError, match=r"page .b.*division"):
        bus.settle()
    a[...] = 5
    bus.settle()
    assert b.array[()] == 2
    assert not bus.explain("b").stale


def test_a_lazy_page_is_made_when_it_is_read_and_once() -> None:
    bus = mmsb.open()
    a = bus.create_page("a", shape=(4,), dtype="float64")
    runs: list[int] = []

    @bus.derive("b", inputs=[a], shape=(4,), dtype="float64", when="lazy")  # type: ignore[untyped-decorator]
    def b(a: Any) -> Any:
        runs.append(len(runs))
        return a * 2

    double = bus.derive("c", mmsb.col(b) + 1, when="lazy")
    for i in range(10):
        a[i % 4] = i
        assert bus.trace() == []
    assert runs == []
    assert b.array.tolist() == [16, 18, 12, 14]
    assert double[1:3].tolist() == [19, 13]
    assert b.array is b.array
    assert len(runs) == 1
    shown = b.array
    a[0] = 1
    assert b.array[0] == 2
    assert shown[0] == 16
    with bus.transaction():
        a[0] = 7
        assert b.array[0] == 14
        assert double.array[0] == 15
    assert bus.at(bus.epoch - 1)["c"].array[0] == 3
    with bus.snapshot() as now:
        a[0] = 9
        assert now["c"].array[0] == 15
    digest = bus.digest()
    assert double.array[0] == 19
    assert bus.digest() == digest
    with pytest.raises(mmsb.FollowsError):
        b[0] = 1


def test_a_lazy_page_reads_as_an_eager_one(tmp_path: Path) -> None:
    bus = mmsb.open(tmp_path / "bus")
    book = bus.create_page("book", rows=5, columns={"price": "float64", "qty": "int64"})
    rules: dict[str, Callable[[], Any]] = {
        "value": lambda: mmsb.col(book["price"]) * mmsb.col(book["qty"]),
        "sum": lambda: mmsb.reduce(book["qty"], "sum"),
        "moving": lambda: mmsb.window(book["price"], "mean", 2),
    }
    for name, rule in rules.items():
        bus.derive(name, rule())
        bus.derive(f"{name}_lazy", rule(), when="lazy")
    rng = np.random.default_rng(7)
    for _ in range(20):
        row = int(rng.integers(5))
        book["price"][row] = float(rng.normal())
        book["qty"][row] = int(rng.integers(9))
        for name in rules:
            assert bus[name].array.tobytes() == bus[f"{name}_lazy"].array.tobytes()
    bus.close()
    bus = mmsb.open(tmp_path / "bus")
    for name in rules:
        assert bus[name].array.tobytes() == bus[f"{name}_lazy"].array.tobytes()
    total = bus.derive("total", mmsb.reduce(bus["value_lazy"], "sum"))
    assert bus.explain("value_lazy").when == "eager"
    assert total.array[()] == np.add.reduce(bus["value"].array)


def test_what_cannot_be_is_refused() -> None:
    bus = mmsb.open()
    a = bus.create_page("a", shape=(4,), dtype="float64")
    t = bus.create_page("t", rows=3, columns={"keep": "bool"})
    with pytest.raises(mmsb.InvalidArgument, match="page 'b': when \"soon\": 'eager', 'deferred' and 'lazy'"):
        bus.derive("b", mmsb.reduce(a, "sum"), when="soon")  # type: ignore[arg-type]
    with pytest.raises(mmsb.RuleError, match="page 'f': a lazy page: how many rows a filter keeps"):
        bus.derive("f", mmsb.filter(t["keep"]), when="lazy")
    assert "b" not in bus
    assert "f" not in bus
    with pytest.raises(mmsb.InvalidArgument, match="threads 0: one at least"):
        mmsb.open(threads=0)
