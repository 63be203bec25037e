"""`create_page(..., data=)`: arrays, mappings, tables and data frames in, and what is refused."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mmsb
from mmsb.arrow import columns_of


@pytest.fixture
def bus() -> Iterator[mmsb.Bus]:
    with mmsb.open() as opened:
        yield opened


def check(bus: mmsb.Bus, data: Any, expected: dict[str, list[Any]]) -> None:
    page = bus.create_page("x", data=data)
    assert page.kind == "table"
    assert {name: array.tolist() for name, array in page.arrays.items()} == expected


def test_plain_arrays(bus: mmsb.Bus) -> None:
    epoch = bus.epoch
    page = bus.create_page("x", data=np.arange(6, dtype="f4").reshape(2, 3))
    assert bus.epoch == epoch + 1, "one epoch"
    assert (page.kind, page.shape, page.dtype) == ("array", (2, 3), np.dtype("f4"))
    assert bus.create_page("y", data=[1, 2, 3]).array.tolist() == [1, 2, 3]
    assert bus.create_page("z", data=7).shape == ()
    assert bus.create_page("s", data=["ab", "c"]).array.tolist() == [b"ab", b"c"]
    assert bus.create_page("u", data=[1, 2], dtype="u1").dtype == np.dtype("u1")
    assert bus.create_page("b", data=b"raw").kind == "raw"


def test_structured_arrays(bus: mmsb.Bus) -> None:
    rows = np.array([(1, 2.5, [1, 2]), (3, 4.5, [3, 4])], [("a", "i4"), ("b", "f8"), ("v", "f4", (2,))])
    check(bus, rows, {"a": [1, 3], "b": [2.5, 4.5], "v": [[1, 2], [3, 4]]})


def test_mappings(bus: mmsb.Bus) -> None:
    check(bus, {"a": [1, 2], "b": np.array([True, False])}, {"a": [1, 2], "b": [True, False]})


def test_pyarrow(bus: mmsb.Bus) -> None:
    pa = pytest.importorskip("pyarrow")
    columns = {
        "a": pa.array([1, 2, 3, 4], pa.int16()),
        "b": pa.array([True, False, True, True]),
        "c": pa.array([b"abc", b"xyz", b"def", b"ghi"], pa.binary(3)),
        "d": pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.float32(), 2)),
    }
    table = pa.table(columns)
    both = pa.concat_tables([table.slice(1, 2), table.slice(3)])
    expected: dict[str, list[Any]] = {
        "a": [2, 3, 4],
        "b": [False, True, True],
        "c": [b"xyz", b"def", b"ghi"],
        "d": [[3, 4], [5, 6], [7, 8]],
    }
    check(bus, both, expected)
    assert bus["x"]["a"].dtype == np.dtype("i2")
    assert bus.create_page("one", data=columns["a"].slice(2)).array.tolist() == [3, 4]
    assert bus.create_page("none", data=table.slice(4)).shape == (0,)
    batch = pa.record_batch(columns).slice(3)
    assert bus.create_page("batch", data=batch).arrays["b"].tolist() == [True]
    mixed = {"a": columns["a"], "n": np.arange(4)}
    assert bus.create_page("mixed", data=mixed).columns == ["a", "n"]


def test_without_a_copy() -> None:
    pa = pytest.importorskip("pyarrow")
    column = pa.array(range(1000))
    found = columns_of(pa.table({"a": column}))
    assert isinstance(found, dict)
    assert found["a"].ctypes.data == column.buffers()[1].address


def test_many_bits_from_anywhere() -> None:
    pa = pytest.importorskip("pyarrow")
    bits = np.random.default_rng(2).integers(0, 2, 100).astype(bool)
    for start in range(20):
        np.testing.assert_array_equal(columns_of(pa.array(bits).slice(start, 60)), bits[start : start + 60])


def test_polars(bus: mmsb.Bus) -> None:
    pl = pytest.importorskip("polars")
    check(bus, pl.DataFrame({"a": [1, 2], "b": [0.5, 1]}), {"a": [1, 2], "b": [0.5, 1]})
    assert bus.create_page("y", data=pl.Series([1, 2, 3])).array.tolist() == [1, 2, 3]


def test_pandas(bus: mmsb.Bus) -> None:
    pd = pytest.importorskip("pandas")
    whole = pd.array([1, 2], dtype="Int32")
    frame = pd.DataFrame({"a": [1, 2], "b": [1.0, float("nan")], "c": whole}, index=[5, 9])
    page = bus.create_page("x", data=frame)
    assert page.columns == ["a", "b", "c"], "the index is not taken"
    assert np.isnan(page.arrays["b"][1]), "NaN in numpy's floats is a value"
    assert page["c"].dtype == np.dtype("i4")
    assert bus.create_page("y", data=pd.Series([1, 2])).array.tolist() == [1, 2]


def refused(bus: mmsb.Bus, data: Any, error: type[Exception], words: str) -> None:
    epoch, digest = bus.epoch, bus.digest()
    with pytest.raises(error, match=words) as caught:
        bus.create_page("x", data=data)
    assert isinstance(caught.value, mmsb.MmsbError)
    assert str(caught.value).startswith("page 'x': ")
    assert (bus.epoch, bus.digest()) == (epoch, digest)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ({"a": [1, 2], "b": [1]}, mmsb.ShapeError, "'a' 2, 'b' 1"),
        ({"a": 1}, mmsb.ShapeError, "column 'a' is a single value"),
        ({"a": [1, None, None]}, mmsb.DtypeError, "column 'a' has 2 missing values"),
        ([1, "a", None], mmsb.DtypeError, "1 missing value,"),
        ({"a": [object()]}, mmsb.DtypeError, "column 'a' holds Python objects"),
        ({"a": np.array([1j])}, mmsb.DtypeError, "column 'a' holds complex128"),
        ({"a": np.array(["2020-01-01"], "M8[s]")}, mmsb.DtypeError, "datetime64"),
        ([[1], [1, 2]], mmsb.ShapeError, "the data has no shape"),
    ],
)
def test_what_is_refused(bus: mmsb.Bus, data: Any, error: type[Exception], words: str) -> None:
    refused(bus, data, error, words)


def test_what_is_refused_of_arrow(bus: mmsb.Bus) -> None:
    pa = pytest.importorskip("pyarrow")
    refused(bus, pa.table({"n": [1, None, 3, None]}), mmsb.DtypeError, "column 'n' has 2 missing values")
    refused(
        bus, pa.table({"n": [1, None, 3, None]}).slice(3), mmsb.DtypeError, "column 'n' has 1 missing value,"
    )
    refused(bus, pa.array([1, None]), mmsb.DtypeError, "the data has 1 missing value")
    refused(bus, pa.table({"s": ["a"]}), mmsb.DtypeError, "column 's' holds Arrow's string")
    refused(bus, pa.table({"l": [[1], [1, 2]]}), mmsb.DtypeError, "column 'l' holds Arrow's list")
    times = pa.table({"t": pa.array([1], pa.timestamp("s"))})
    refused(bus, times, mmsb.DtypeError, "column 't' holds Arrow's timestamp")
    coded = pa.table({"d": pa.array(["a"]).dictionary_encode()})
    refused(bus, coded, mmsb.DtypeError, "column 'd' holds Arrow's dictionary")
    twice = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    refused(bus, twice, mmsb.NameTaken, "column 'a' is there twice")


def test_what_is_refused_of_pandas(bus: mmsb.Bus) -> None:
    pd = pytest.importorskip("pandas")
    refused(bus, pd.DataFrame({"s": ["a"]}), mmsb.DtypeError, "column 's' holds")
    whole = pd.DataFrame({"n": pd.array([1, None], dtype="Int64")})
    refused(bus, whole, mmsb.DtypeError, "column 'n' has 1 missing value,")


def test_a_dtype_beside_the_data(bus: mmsb.Bus) -> None:
    with pytest.raises(mmsb.ValueRangeError):
        bus.create_page("x", data=[300], dtype="u1")
    with pytest.raises(mmsb.InvalidArgument, match="a dtype of its own"):
        bus.create_page("x", data={"a": [1]}, dtype="u1")
    assert "x" not in bus


def test_writes_take_what_speaks_arrow() -> None:
    class Spoken:
        """Rows that offer nothing but the Arrow PyCapsule interface."""

        def __init__(self, source: Any) -> None:
            self._source = source

        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
            return self._source.__arrow_c_stream__(requested_schema)

    bus = mmsb.open()
    columns: Any = {"a": "i4", "b": "f8"}
    given = bus.create_page("given", rows=3, columns=columns)
    given.assign({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5]})
    page = bus.create_page("t", rows=3, columns=columns)
    page[...] = Spoken(given)
    assert page["a"][:].tolist() == [1, 2, 3]
    page.merge(Spoken(given), op="add")
    assert page["b"][:].tolist() == [1.0, 3.0, 5.0]
    page.assign(Spoken(bus.create_page("few", data={"a": np.array([9], "i4")})), rows=[1])
    assert page["a"][:].tolist() == [2, 9, 6]
    with pytest.raises(mmsb.PageNotFound, match="no column 'x'"):
        page[...] = Spoken(bus.create_page("other", data={"x": np.zeros(3)}))
    with pytest.raises(mmsb.DtypeError, match="takes rows"):
        page[...] = Spoken(bus.create_page("plain", data=np.zeros(3)))
