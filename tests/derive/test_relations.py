"""Rows of pages by rules: gathered, filtered, in windows, joined; against pandas and numpy after changes."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import mmsb

ROWS = 900


@pytest.fixture
def world() -> Any:
    """A bus with a table, its generator, and a smaller table with keys."""
    rng = np.random.default_rng(5)
    with mmsb.open() as bus:
        book = bus.create_page("book", rows=ROWS, columns={"key": "i4", "paid": "f8", "live": "?"})
        book["key"] = rng.integers(-3, 40, ROWS)
        book["paid"] = rng.normal(0, 100, ROWS)
        book["live"] = rng.random(ROWS) < 0.4
        names = bus.create_page("names", rows=30, columns={"key": "u2", "rank": "i8", "paid": "f4"})
        names["key"] = rng.permutation(30).astype("u2")
        names["rank"] = rng.integers(0, 1000, 30)
        yield bus, book, names, rng


def change(book: mmsb.Page, rng: np.random.Generator) -> None:
    """Some rows of each column."""
    rows = rng.integers(0, ROWS, 4)
    match rng.integers(3):
        case 0:
            book["key"][rows] = rng.integers(-3, 40, 4)
        case 1:
            book["paid"][rows] = rng.normal(0, 100, 4)
        case _:
            book["live"][rows] = rng.random(4) < 0.5


def test_filters_keep_rows_in_their_order(world: Any) -> None:
    """A page that grows and shrinks."""
    bus, book, _, rng = world
    live = bus.derive("live", mmsb.filter(book["live"]))
    total = bus.derive("total", mmsb.reduce(live["paid"], "sum"))
    for _ in range(25):
        rows = np.flatnonzero(book["live"].array)
        assert live["row"].array.tolist() == rows.tolist()
        assert live["paid"].array.tolist() == book["paid"].array[rows].tolist()
        np.testing.assert_allclose(total.array, book["paid"].array[rows].sum(), atol=1e-8)
        change(book, rng)
    before = bus.epoch
    book["live"] = False
    assert len(live) == 0
    assert bus.epoch == before + 1
    assert total.array == 0


def test_joins_find_the_row_of_a_key(world: Any) -> None:
    """As pandas does, all rows of the left side in their order."""
    bus, book, names, rng = world
    joined = bus.derive("joined", mmsb.join(book["key"], names["key"]))
    assert joined.columns == ["key", "paid", "live", "rank", "paid_right", "matched"]
    for step in range(20):
        left = pd.DataFrame({"key": book["key"].array.astype("i8"), "paid": book["paid"].array})
        right = pd.DataFrame({"key": names["key"].array.astype("i8"), "rank": names["rank"].array})
        wanted = left.merge(right, on="key", how="left")
        assert joined["matched"].array.tolist() == wanted["rank"].notna().tolist()
        assert joined["rank"].array.tolist() == wanted["rank"].fillna(0).astype("i8").tolist()
        if step % 3:
            change(book, rng)
        else:
            names["rank"][int(rng.integers(30))] = step
    digest = bus.digest()
    with pytest.raises(mmsb.RuleError, match="page 'joined'"):
        names["key"][3] = int(names["key"].array[4])
    assert bus.digest() == digest


@pytest.mark.parametrize("how", ["sum", "min", "max", "mean", "count"])
def test_windows_are_those_of_pandas(world: Any, how: str) -> None:
    """The last seven rows up to each."""
    bus, book, _, rng = world
    made = bus.derive("made", mmsb.window(book["paid"], how, 7))
    for _ in range(10):
        rolling = pd.Series(book["paid"].array).rolling(7, min_periods=1)
        np.testing.assert_allclose(made.array, getattr(rolling, how)(), rtol=1e-9, atol=1e-9)
        change(book, rng)
    again = bus.derive("again", mmsb.window(book["paid"], how, 7))
    assert again.array.tobytes() == made.array.tobytes()


def test_gathers_rows_by_an_index(world: Any) -> None:
    """With zeros where there is none, and an error for what is out of range."""
    bus, book, _, rng = world
    index = bus.create_page("index", shape=(50,), dtype="i8")
    index[...] = rng.integers(-1, ROWS, 50)
    made = bus.derive("made", mmsb.gather(book, index))
    for _ in range(20):
        rows = index.array
        wanted = np.where(rows >= 0, book["paid"].array[rows], 0)
        assert made["paid"].array.tolist() == wanted.tolist()
        change(book, rng)
        index[int(rng.integers(50))] = int(rng.integers(-1, ROWS))
    with pytest.raises(mmsb.RuleError, match="900"):
        index[3] = ROWS


def test_a_transaction_sees_as_many_rows_as_follow(world: Any) -> None:
    """A page that shrinks by the transaction's own writes."""
    bus, book, _, _ = world
    live = bus.derive("live", mmsb.filter(book["live"]))
    before = len(live)
    with bus.transaction():
        book["live"][...] = False
        assert live["paid"].array.shape == (0,)
        assert len(live) == 0
        book["live"][7] = True
        assert live["row"].array.tolist() == [7]
    assert len(live) == 1
    assert before > 1


def test_cells_are_put_where_an_index_says(world: Any) -> None:
    bus, book, _, rng = world
    book["key"] = rng.integers(-1, 40, ROWS)
    put = bus.derive("put", mmsb.scatter(book["paid"], book["key"], 40))
    most = bus.derive("most", mmsb.scatter(book["paid"], book["key"], 40, "max"))
    for _ in range(5):
        keys, paid = book["key"].array, book["paid"].array
        wanted = np.zeros(40)
        np.add.at(wanted, keys[keys >= 0], paid[keys >= 0])
        np.testing.assert_allclose(put.array, wanted, rtol=1e-12, atol=1e-9)
        for key in np.unique(keys[keys >= 0]):
            assert most.array[key] == paid[keys == key].max()
        book["key"][rng.integers(0, ROWS, 4)] = rng.integers(-1, 40, 4)
        book["paid"][rng.integers(0, ROWS, 4)] = rng.normal(0, 100, 4)
