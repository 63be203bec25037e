"""Pages: what they are made of, how they show themselves, and how others read their memory."""

import numpy as np
import pytest

import mmsb


@pytest.fixture
def bus() -> mmsb.Bus:
    return mmsb.open()


def test_a_page_is_made_of_a_shape_columns_a_size_or_data(bus: mmsb.Bus) -> None:
    pos = bus.create_page("pos", shape=(1000, 3), dtype="float32")
    book = bus.create_page("book", rows=10, columns={"price": "f8", "v": ("f4", (2, 3)), "code": "S5"})
    raw = bus.create_page("raw", size=7)
    one = bus.create_page("one", shape=(), dtype=np.int16)
    assert (pos.shape, pos.dtype.name, pos.kind, pos.ndim, pos.nbytes) == (
        (1000, 3),
        "float32",
        "array",
        2,
        12000,
    )
    assert (book.shape, book.columns, book.kind, len(book)) == (
        (10,),
        ["price", "v", "code"],
        "table",
        10,
    )
    assert book["v"].shape == (10, 2, 3)
    assert (raw.shape, raw.dtype.name, raw.kind) == ((7,), "uint8", "raw")
    assert (one.shape, one.array.shape, one.ndim) == ((), (), 0)
    assert list(bus) == ["pos", "book", "raw", "one"]
    assert len(bus) == 4
    assert "pos" in bus
    assert "nope" not in bus
    assert bus["pos"] is pos
    assert bus[pos.id] is pos


def test_a_page_is_made_of_data_in_one_epoch(bus: mmsb.Bus) -> None:
    numbers = np.arange(12, dtype="i2").reshape(4, 3)
    assert (bus.create_page("a", data=numbers).array == numbers).all()
    assert bus.epoch == 1
    rows = np.array([(1, 2.5), (3, 4.5)], dtype=[("n", "i4"), ("x", "f8")])
    assert (bus.create_page("rows", data=rows)[:] == rows).all()
    table = bus.create_page("table", data={"n": [1, 2, 3], "name": ["a", "bb", "ccc"]})
    assert table["name"][:].tolist() == [b"a", b"bb", b"ccc"]
    assert bus.create_page("bytes", data=b"abc").array.tobytes() == b"abc"
    assert bus.epoch == 4


def test_every_dtype_keeps_its_values(bus: mmsb.Bus) -> None:
    for name in ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "S5"]:
        values = np.array([0, 1, 100, 7], "i1").astype(name)
        page = bus.create_page(name, shape=(4,), dtype=name)
        page[...] = values
        assert page.array.dtype == values.dtype
        assert (page.array == values).all()
        assert (bus.at(page.version)[name].array == values).all()


def test_rows_grow_and_shrink(bus: mmsb.Bus) -> None:
    page = bus.create_page("p", shape=(3,), dtype="i4")
    page[:] = [1, 2, 3]
    page.resize(5)
    assert page.array.tolist() == [1, 2, 3, 0, 0]
    page.resize(rows=2)
    assert page[:].tolist() == [1, 2]
    page.resize(4)
    assert page[:].tolist() == [1, 2, 0, 0], "what was cut off does not come back"


def test_a_dropped_page_is_gone_and_its_views_stay(bus: mmsb.Bus) -> None:
    page = bus.create_page("p", shape=(3,), dtype="i4")
    page[:] = 5
    view = page.array
    bus.drop_page("p")
    assert "p" not in bus
    with pytest.raises(mmsb.PageNotFound):
        page[0] = 1
    with pytest.raises(mmsb.PageNotFound):
        _ = page.array
    assert view.tolist() == [5, 5, 5]
    again = bus.create_page("p", shape=(1,), dtype="i4")
    assert again.id != page.id


def test_tables_read_and_write_rows(bus: mmsb.Bus) -> None:
    book = bus.create_page("book", rows=6, columns={"price": "f8", "qty": "i4"})
    book[1:3] = {"price": 2.5, "qty": [7, 8]}
    before = bus.epoch
    book[[4, 5]] = np.array([(1.5, 1), (2.5, 2)], dtype=[("price", "f8"), ("qty", "i4")])
    assert bus.epoch == before + 1, "several columns are one delta"
    assert book[1:3].tolist() == [(2.5, 7), (2.5, 8)]
    assert book[5].tolist() == (2.5, 2)
    assert book["qty"][:].tolist() == [0, 7, 8, 0, 1, 2]
    book["qty"][:] += 1
    assert book["qty"][:].tolist() == [1, 8, 9, 1, 2, 3]
    arrays = book.arrays
    assert list(arrays) == ["price", "qty"]
    assert not arrays["qty"].flags.writeable
    assert np.asarray(book).dtype.names == ("price", "qty")
    assert "qty" in book
    assert "nope" not in book


def test_merging_is_logged_as_the_operation(bus: mmsb.Bus) -> None:
    sums = bus.create_page("sums", shape=(4,), dtype="i8", op="add")
    assert sums.op == "add"
    sums.merge([1, 2, 3], rows=[0, 0, 3])
    sums.merge(10)
    sums.merge(11, rows=slice(0, 1), op="max")
    assert sums[:].tolist() == [13, 10, 10, 13]
    assert [delta["op"] for entry in sums.history() for delta in entry.deltas] == [
        "create",
        "add",
        "add",
        "max",
    ]


def test_whole_pages_log_only_what_changed(bus: mmsb.Bus) -> None:
    page = bus.create_page("p", shape=(10_000,), dtype="f8")
    values = np.arange(10_000.0)
    page[...] = values
    values[77] = -1
    page[...] = values
    page[:] = values
    last = list(bus.log())[-2:]
    assert [entry.deltas[0]["bytes"] for entry in last] == [8, 0]
    assert (page.array == values).all()


def test_others_read_the_memory_as_it_is(bus: mmsb.Bus) -> None:
    page = bus.create_page("p", shape=(5,), dtype="f8")
    page[:] = np.arange(5)
    assert np.asarray(page).ctypes.data == page.array.ctypes.data
    assert not np.asarray(page).flags.writeable
    assert page.__array__() is page.array
    assert np.array(page, copy=True).flags.writeable
    assert np.asarray(page, dtype="f4").dtype == np.float32
    with pytest.raises(mmsb.DtypeError):
        page.__array__(dtype="f4", copy=False)
    shared = np.from_dlpack(page)
    assert not shared.flags.writeable
    assert shared.ctypes.data == page.array.ctypes.data
    assert page.__dlpack_device__() == (1, 0)
    assert page.__dlpack__() is not None, "an old consumer gets a copy"
    with pytest.raises(BufferError):
        page.__dlpack__(copy=False)
    memory = memoryview(page)  # type: ignore[arg-type]
    assert memory.readonly
    assert memory.format == "d"
    assert memory.tolist() == [0, 1, 2, 3, 4]


def test_reprs_say_what_one_would_ask_next(bus: mmsb.Bus) -> None:
    pos = bus.create_page("pos", shape=(1000, 3), dtype="float32")
    assert repr(pos) == "<Page 'pos' float32[1000, 3] at epoch 1, 11.7 KiB, 0 views>"
    held = pos.array
    assert repr(pos).endswith("1 view>")
    del held
    assert repr(bus) == "<Bus in memory branch main at epoch 1, 1 page, durability process>"
    assert repr(bus.snapshot()) == "<Snapshot of branch main at epoch 1, 1 page>"
    book = bus.create_page("<b>", rows=2, columns={"qty": "i4"})
    assert repr(book["qty"]) == "<Column 'qty' of page '<b>' int32[2]>"
    assert "&lt;b&gt;" in book._repr_html_()
    assert repr(next(iter(bus.log()))).startswith("<LogEntry epoch 1 on main: create 'pos'")
    assert repr(bus.diff(0, 1)) == "[<Change of page 'pos': created, 3000 cells>]"
    bus.close()
    assert repr(bus) == "<Bus in memory closed>"
