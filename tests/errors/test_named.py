"""Every error of a write names the page, and the column where there are several, with its numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mmsb

Write = Callable[[mmsb.Bus], Any]


@pytest.fixture
def bus() -> mmsb.Bus:
    bus = mmsb.open()
    bus.create_page("pos", shape=(10, 3), dtype="f4")
    bus.create_page("book", rows=5, columns={"qty": "i4", "name": "S3"})
    bus.create_page("one", shape=(), dtype="i8")
    return bus


def put(page: str, index: Any, value: Any) -> Write:
    return lambda bus: bus[page].__setitem__(index, value)


def create(**how: Any) -> Write:
    return lambda bus: bus.create_page("new", **how)


BAD: list[tuple[Write, str, str]] = [
    (put("pos", slice(None, None, 0), 1), "bad-index", "page 'pos': slice step cannot be zero"),
    (put("pos", slice("a"), 1), "bad-index", "page 'pos': slice indices must be integers"),
    (put("pos", (0, slice(None, None, 0)), 1), "bad-index", "page 'pos': slice step"),
    (lambda bus: bus["pos"][::0], "bad-index", "page 'pos': slice step"),
    (lambda bus: (bus["pos"].array, bus["pos"][::0]), "bad-index", "page 'pos': slice step"),
    (
        put("pos", ..., np.zeros((7, 7))),
        "shape",
        r"page 'pos': values of shape \[7, 7\] do not fit \[10, 3\]",
    ),
    (put("book", ..., {"qty": [1, 2]}), "shape", "page 'book', column 'qty': values of shape"),
    (
        lambda bus: bus["pos"].merge(1, op="xor"),
        "dtype",
        "page 'pos': operator 'xor' does not work on float32",
    ),
    (
        lambda bus: bus["book"].merge({"qty": 1, "name": b"x"}, op="add"),
        "dtype",
        "page 'book', column 'name': operator 'add' does not work on S3",
    ),
    (lambda bus: bus["book"]["name"].merge(b"x", op="max"), "dtype", "page 'book', column 'name': operator"),
    (lambda bus: bus["pos"].merge(1, op="zz"), "invalid-argument", "page 'pos': no operator is named 'zz'"),
    (lambda bus: bus["book"]["qty"].merge(1, op="zz"), "invalid-argument", "page 'book': no operator"),
    (lambda bus: bus["pos"].merge(1, op=5), "invalid-argument", "page 'pos': op 5"),  # type: ignore[arg-type]
    (lambda bus: bus["pos"].resize(-1), "shape", "page 'pos': rows -1: negative"),
    (lambda bus: bus["pos"].resize("x"), "shape", "page 'pos': rows x: not an integer"),  # type: ignore[arg-type]
    (
        lambda bus: bus["pos"].resize(1 << 50),
        "shape",
        "page 'pos': a page of 1125899906842624 rows of 12 bytes",
    ),
    (lambda bus: bus["one"].resize(3), "shape", "page 'one': invalid schema: a scalar has one row, not 3"),
    (
        create(shape=(3,), dtype="f4", op="xor"),
        "dtype",
        "page 'new': operator 'xor' does not work on float32",
    ),
    (create(shape=(3,), dtype="f4", op="zz"), "invalid-argument", "page 'new': no operator is named 'zz'"),
    (create(shape=(3,), dtype="U5"), "dtype", "page 'new': unsupported dtype 'U5'"),
    (
        create(rows=3, columns={"a": "i4", "b": "U5"}),
        "dtype",
        "page 'new': column 'b': unsupported dtype 'U5'",
    ),
    (create(shape=(3, 0), dtype="f4"), "shape", "page 'new': invalid schema: inner axis 0"),
    (create(shape=(1 << 40,), dtype="f8"), "shape", "page 'new': a page of 1099511627776 rows of 8 bytes"),
    (create(rows=3, columns={}), "shape", "page 'new': invalid schema: 0 columns"),
    (create(rows=3, columns=[("a", "f4"), ("a", "f8")]), "shape", "page 'new': .* two columns are named 'a'"),
    (create(rows=3, columns={"": "f4"}), "invalid-argument", "page 'new': column name"),
    (lambda bus: mmsb.update_page(bus, 1, b"x"), "shape", "page 'pos' has 120 bytes, the data 1"),
    (lambda bus: bus.at(1)["pos"].__setitem__(0, 1), "read-only", "page 'pos' of the state at epoch 1"),
    (put("book", ["qty"], {"qty": 1 << 40}), "value-range", "page 'book', column 'qty': 1099511627776"),
]


@pytest.mark.parametrize(("bad", "code", "words"), BAD)
@pytest.mark.parametrize("inside", [False, True])
def test_it_names_the_page_and_changes_nothing(
    bus: mmsb.Bus, bad: Write, code: str, words: str, inside: bool
) -> None:
    before = bus.epoch, bus.digest(), list(bus)
    if inside:
        with bus.transaction(), pytest.raises(mmsb.MmsbError, match=words) as caught:
            bad(bus)
    else:
        with pytest.raises(mmsb.MmsbError, match=words) as caught:
            bad(bus)
    assert caught.value.code == code
    assert (bus.epoch, bus.digest(), list(bus)) == before


def test_a_message_shows_the_start_of_a_long_value(bus: mmsb.Bus) -> None:
    with pytest.raises(mmsb.ValueRangeError, match="page 'pos': ") as caught:
        bus["pos"][...] = [10**400]
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: mmsb.mmsb(5),  # type: ignore[arg-type]
        lambda: mmsb.mmsb(None),  # type: ignore[arg-type]
        lambda: mmsb.Bus(5),  # type: ignore[arg-type]
        lambda: mmsb.Bus("world.mmsb"),  # type: ignore[arg-type]
        lambda: mmsb.open(5),  # type: ignore[arg-type]
        lambda: mmsb.mmsb_start(path=5),  # type: ignore[arg-type]
        lambda: mmsb.mmsb_stop(5),  # type: ignore[arg-type]
        lambda: mmsb.create_page(5, size=3),  # type: ignore[arg-type]
        lambda: mmsb.query_page(state="x", page_id=1),  # type: ignore[call-overload]
        lambda: mmsb.update_page(state="x", page_id=1, data=b""),  # type: ignore[call-overload]
    ],
)
def test_no_bus_where_one_is_wanted(wrong: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match=r"bus|path") as caught:
        wrong()
    assert isinstance(caught.value, mmsb.InvalidArgument)


def test_equality_of_pages_is_identity_and_says_so(bus: mmsb.Bus) -> None:
    page = bus["pos"]
    assert page == bus["pos"]
    assert page != bus["book"]
    assert {page: 1}[bus["pos"]] == 1
    assert (page.array == 0).all()
    for kind in (mmsb.Page, mmsb.Column):
        assert "==" in (kind.__doc__ or "")
