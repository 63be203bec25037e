"""Rows of a table: tuples, records and some of the columns, as numpy's structured arrays have them."""

from typing import Any

import numpy as np
import pytest

import mmsb

COLUMNS: dict[str, Any] = {"price": "f8", "qty": "i4", "spot": ("f4", (2,)), "name": "S3"}
ROW = (1.5, 2, (3, 4), b"abc")


@pytest.fixture
def book() -> mmsb.Page:
    return mmsb.open().create_page("book", rows=6, columns=COLUMNS)


@pytest.fixture
def model(book: mmsb.Page) -> np.ndarray[Any, Any]:
    return np.zeros(6, book.dtype)


@pytest.mark.parametrize(
    ("rows", "value"),
    [
        (2, ROW),
        (-1, ROW),
        (slice(1, 3), ROW),
        (slice(1, 3), [ROW, (2, 3, (4, 5), "x")]),
        ([4, 0], [ROW, (2, 3, (4, 5), b"")]),
        (np.array([True, False, True, False, False, False]), [ROW, ROW]),
        (3, [ROW]),
        (slice(2, 2), []),
        (..., ROW),
    ],
)
def test_tuples(book: mmsb.Page, model: np.ndarray[Any, Any], rows: Any, value: Any) -> None:
    epoch = next(book.history()).epoch
    book[rows] = value
    model[rows] = value[0] if isinstance(value, list) and len(value) == 1 else value
    assert np.array_equal(book[:], model)
    assert len(list(book.history())) - epoch <= 1, "one delta, one epoch"


def test_records(book: mmsb.Page) -> None:
    book[0] = ROW
    book[1] = book[0]
    book[2:4] = list(book[0:2])
    assert str(book[3]) == str(book[0])
    assert book["name"][:].tolist() == [b"abc"] * 4 + [b""] * 2
    book.assign([ROW, ROW], rows=[4, 5])
    book.merge({"qty": 1}, op="add")
    assert book["qty"][:].tolist() == [3] * 6


def test_some_columns(book: mmsb.Page, model: np.ndarray[Any, Any]) -> None:
    book[:2] = model[:2] = [ROW, ROW]
    some = book[["qty", "spot"]]
    assert some.dtype.names == ("qty", "spot")
    assert all(np.array_equal(some[name], model[name]) for name in some.dtype.names)
    some["qty"] = 9
    assert book["qty"][0] == 2, "a copy"
    assert book[["price"]].dtype.names == ("price",)
    book[["price", "qty"]] = (0.5, 7)
    model[["price", "qty"]] = (0.5, 7)
    assert np.array_equal(book[:], model)
    book[["qty", "price"]] = [(n, n / 2) for n in range(6)]
    assert book["qty"][:].tolist() == list(range(6))
    assert book["price"][:].tolist() == [n / 2 for n in range(6)]
    book[["price", "qty"]] = book[["price", "qty"]][::-1]
    assert book["qty"][:].tolist() == [5, 4, 3, 2, 1, 0]
    book[["qty"]] = {"qty": 1}
    assert book["qty"][:].tolist() == [1] * 6


@pytest.mark.parametrize(
    ("index", "value", "error", "words"),
    [
        (slice(0, 3), [], mmsb.ShapeError, r"values of shape \[0\] do not fit \[3\]"),
        (0, (1, 2), mmsb.ShapeError, "page 'book': a row of 2 values for 4 columns"),
        (0, [(1, 2)], mmsb.ShapeError, "a row of 2 values for 4 columns"),
        (slice(0, 3), [ROW, ROW], mmsb.ShapeError, r"column 'price': values of shape \[2\] do not fit \[3\]"),
        (0, (1, 2.5, (0, 0), b""), mmsb.DtypeError, "column 'qty'"),
        (0, (1, 1 << 40, (0, 0), b""), mmsb.ValueRangeError, "column 'qty'"),
        (0, (1, 2, (0, 0, 0), b""), mmsb.ShapeError, "column 'spot'"),
        (0, [ROW, 5], mmsb.DtypeError, "takes rows as tuples"),
        (0, [1, 2, 3, 4], mmsb.DtypeError, "takes rows as tuples"),
        (0, 5, mmsb.DtypeError, "takes rows as tuples"),
        (["qty", "price"], (1, 2, 3), mmsb.ShapeError, "a row of 3 values for 2 columns"),
        (["qty", "qty"], (1, 2), mmsb.InvalidArgument, "column 'qty' is chosen twice"),
        (["qty", 1], (1, 2), mmsb.InvalidArgument, "1 names no column"),
        (["qty", "zz"], (1, 2), mmsb.PageNotFound, "no column 'zz'"),
        (["qty"], {"price": 1}, mmsb.InvalidArgument, "column 'price' is not among those"),
    ],
)
def test_what_does_not_fit(
    book: mmsb.Page, index: Any, value: Any, error: type[Exception], words: str
) -> None:
    before = book[:], book.version
    with pytest.raises(error, match=words):
        book[index] = value
    assert np.array_equal(book[:], before[0])
    assert book.version == before[1]


def test_columns_that_are_not_there(book: mmsb.Page) -> None:
    for names in (["qty", "zz"], ["qty", "qty"], ["qty", 1]):
        with pytest.raises(mmsb.MmsbError, match="page 'book'"):
            book[names]
