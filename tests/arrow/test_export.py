"""Pages read through Arrow: the same cells, in the bus's own memory, of the version they were taken at."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsb

pa = pytest.importorskip("pyarrow")

DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "S5"]


def cells(dtype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    numbers = np.random.default_rng(1).integers(0, 2 if dtype == "?" else 100, shape)
    return numbers.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0,), (1,), (13,), (5, 3), (4, 2, 3)])
def test_every_dtype_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    with mmsb.open() as bus:
        values = cells(dtype, shape)
        page = bus.create_page("x", data=values)
        lent = pa.array(page)
        assert len(lent) == shape[0]
        assert lent.null_count == 0
        back = bus.create_page("y", data=lent)
        assert back.dtype == page.dtype
        np.testing.assert_array_equal(back.array, values)


def test_memory_is_shared() -> None:
    with mmsb.open() as bus:
        page = bus.create_page("x", data=np.arange(1000.0))
        lent = pa.array(page)
        assert lent.buffers()[1].address == page.array.ctypes.data
        table = bus.create_page("t", data={"a": np.arange(5), "v": np.ones((5, 2), "f4")})
        batch = pa.record_batch(table)
        assert batch.column("v").values.buffers()[1].address == table["v"].array.ctypes.data


def test_what_is_lent_never_changes(tmp_path: Path) -> None:
    bus = mmsb.open(tmp_path / "w.mmsb")
    page = bus.create_page("x", data=np.arange(10_000))
    lent = pa.array(page)
    page[:] = -1
    assert pa.array(page)[5].as_py() == -1
    bus.drop_page("x")
    bus.close()
    assert lent[5].as_py() == 5
    assert lent.to_numpy().sum() == sum(range(10_000))


def test_a_table_and_its_columns() -> None:
    with mmsb.open() as bus:
        columns: dict[str, Any] = {"price": "f8", "ok": "?", "name": "S4", "v": ("f4", (2,))}
        book = bus.create_page("book", rows=3, columns=columns)
        book["price"][1] = 2.5
        book["ok"][2] = True
        book["name"][0] = b"ab"
        table = pa.table(book)
        assert table.schema.field("v").type == pa.list_(pa.field("item", pa.float32(), nullable=False), 2)
        assert table.column("price").to_pylist() == [0, 2.5, 0]
        assert table.column("ok").to_pylist() == [False, False, True]
        assert table.column("name").to_pylist()[0] == b"ab\0\0"
        assert pa.array(book["price"]).to_pylist() == [0, 2.5, 0]
        assert pa.schema(book).names == list(columns)
        assert book.to_arrow().to_pylist()[1]["price"] == 2.5
        assert book["ok"].to_arrow().to_pylist() == [False, False, True]


def test_a_state_and_a_scalar() -> None:
    with mmsb.open() as bus:
        one = bus.create_page("one", shape=(), dtype="i8")
        epoch = bus.epoch
        one[()] = 3
        assert pa.array(one).to_pylist() == [3]
        assert pa.array(bus.at(epoch)["one"]).to_pylist() == [0]


def test_polars() -> None:
    pl = pytest.importorskip("polars")
    with mmsb.open() as bus:
        book = bus.create_page("book", data={"a": np.arange(4), "b": np.array([1.5, 2, 3, 4])})
        frame = pl.DataFrame(book)
        assert frame["a"].sum() == 6
        assert pl.Series("x", book["b"]).to_list() == [1.5, 2, 3, 4]


def test_pandas() -> None:
    pd = pytest.importorskip("pandas")
    with mmsb.open() as bus:
        book = bus.create_page("book", data={"a": np.arange(4), "b": np.array([1.5, 2, 3, 4])})
        frame = (
            pd.DataFrame.from_arrow(book)
            if hasattr(pd.DataFrame, "from_arrow")
            else pa.table(book).to_pandas()
        )
        assert frame["b"].tolist() == [1.5, 2, 3, 4]
