"""What is handed in wrongly is refused with a typed error that names it; odd but right things are taken."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsb

HALF = "\ud800"


@pytest.fixture
def bus() -> mmsb.Bus:
    bus = mmsb.open()
    for dtype in ("f2", "f4", "f8", "i8"):
        bus.create_page(dtype, shape=(4,), dtype=dtype)
    bus.create_page("raw", size=6)
    bus.create_page("one", shape=(), dtype="i8")
    bus.create_page("table", rows=3, columns={"a": "i4", "b": ("f4", (2,))}, op="add")
    return bus


def write(page: str, value: Any) -> Callable[[mmsb.Bus], Any]:
    return lambda bus: bus[page].__setitem__(..., value)


def create(**how: Any) -> Callable[[mmsb.Bus], Any]:
    return lambda bus: bus.create_page("new", **how)


MASKED = np.ma.masked_array([1, 2], [False, True])
PAIR = np.array([(1, 2.0)], [("a", "i4"), ("b", "f4")])

BAD: list[tuple[Callable[[mmsb.Bus], Any], str, str]] = [
    (write("f8", 10**400), "value-range", "float64"),
    (write("f8", [10**400]), "value-range", "float64"),
    (write("f4", 10**39), "value-range", "float32"),
    (write("f2", 2**64), "value-range", "18446744073709551616 does not fit float16"),
    (write("f2", 70_000), "value-range", "70000"),
    (lambda bus: bus.create_page(HALF, size=1), "invalid-argument", "surrogate"),
    (lambda bus: bus[HALF], "invalid-argument", "surrogate"),
    (lambda bus: bus.snapshot()[HALF], "invalid-argument", "surrogate"),
    (lambda bus: bus["table"][HALF], "invalid-argument", "surrogate"),
    (lambda bus: bus.transaction(source=HALF), "invalid-argument", "source"),
    (lambda bus: bus.transaction(intent=HALF), "invalid-argument", "intent"),
    (lambda bus: bus.transaction(intent=float("nan")), "invalid-argument", "intent"),
    (lambda bus: bus.branch(HALF), "invalid-argument", "branch"),
    (lambda bus: bus.branch(5), "invalid-argument", "branch 5"),  # type: ignore[arg-type]
    (lambda bus: bus.checkout(5), "invalid-argument", "branch 5"),  # type: ignore[arg-type]
    (lambda _: mmsb.open(5), "invalid-argument", "path 5"),  # type: ignore[arg-type]
    (lambda _: mmsb.open(HALF), "invalid-argument", "surrogate"),
    (lambda _: mmsb.verify(5), "invalid-argument", "path 5"),  # type: ignore[arg-type]
    (lambda _: mmsb.open("a\0b"), "invalid-argument", "null"),
    (lambda _: mmsb.open(mode=5), "invalid-argument", "mode 5"),  # type: ignore[arg-type]
    (lambda _: mmsb.open(durability=5), "invalid-argument", "durability 5"),  # type: ignore[arg-type]
    (lambda _: mmsb.open(busy_timeout="x"), "invalid-argument", "busy_timeout 'x'"),  # type: ignore[arg-type]
    (lambda bus: bus.transaction(isolation=5), "invalid-argument", "isolation 5"),  # type: ignore[arg-type]
    (lambda bus: bus.export(5), "invalid-argument", "path 5"),  # type: ignore[arg-type]
    (lambda bus: bus.at(True), "dtype", "bool"),
    (lambda bus: bus["table"].assign({5: 1}), "invalid-argument", "5 names no column"),
    (lambda bus: bus["table"].merge({HALF: 1}), "invalid-argument", "surrogate"),
    (create(data={HALF: [1]}), "invalid-argument", "surrogate"),
    (create(data=b"1234", dtype="O"), "dtype", "OBJECT"),
    (write("raw", np.ma.masked_array(np.zeros(6, "u1"), [True] * 6)), "dtype", "missing values"),
    (create(columns=["a", "b"], rows=1), "invalid-argument", "columns"),
    (create(columns=np.dtype("f4"), rows=1), "invalid-argument", "columns"),
    (create(columns={5: "f4"}, rows=1), "invalid-argument", "column's name 5"),
    (lambda _: mmsb.open(budget=-1), "invalid-argument", "budget -1"),
    (lambda bus: bus.prune(-1), "invalid-argument", "keep_checkpoints -1"),
    (lambda bus: bus.log(since=-1), "invalid-argument", "since -1"),
    (lambda bus: bus.log(until=datetime(2020, 1, 1)), "invalid-argument", "until"),  # type: ignore[arg-type]
    (lambda bus: bus.log(source=5), "invalid-argument", "source 5"),  # type: ignore[arg-type]
    (lambda bus: bus.at(time="2020"), "invalid-argument", "time '2020'"),  # type: ignore[arg-type]
    (lambda bus: bus.at(time=date(2020, 1, 1)), "invalid-argument", "time"),  # type: ignore[arg-type]
    (lambda bus: bus.merge("d"), "invalid-argument", "branch 'd'"),  # type: ignore[arg-type]
    (lambda bus: bus["i8"].merge(1, op=np.add), "invalid-argument", "op"),  # type: ignore[arg-type]
    (lambda bus: bus["table"]["a"].merge(1, op=5), "invalid-argument", "op 5"),
    (create(data=MASKED), "dtype", "missing values"),
    (create(data=b"12345", dtype="i4"), "shape", "5 bytes"),
    (create(data=np.array(PAIR[0])), "shape", "single row"),
    (create(shape=(2,), dtype="i4", rows=2), "invalid-argument", "rows goes with columns"),
    (create(size=2, dtype="i4"), "invalid-argument", "dtype goes with shape"),
    (create(columns={"a": "i4"}, rows=2, dtype="i4"), "invalid-argument", "dtype goes with shape"),
    (lambda bus: len(bus["one"]), "dtype", "scalar"),
    (lambda bus: list(bus["one"]), "dtype", "scalar"),
]


@pytest.mark.parametrize(("bad", "code", "words"), BAD)
def test_it_is_refused_by_name(bus: mmsb.Bus, bad: Callable[[mmsb.Bus], Any], code: str, words: str) -> None:
    before = bus.epoch, bus.digest(), bus.branches()
    with pytest.raises(mmsb.MmsbError, match=words) as caught:
        bad(bus)
    assert caught.value.code == code
    assert (bus.epoch, bus.digest(), bus.branches()) == before


def test_raw_bytes_take_bytes(bus: mmsb.Bus) -> None:
    raw = bus["raw"]
    raw[0:4] = b"abcd"
    assert bytes(raw.array) == b"abcd\0\0"
    raw.assign(bytearray(b"123456"))
    assert bytes(raw.array) == b"123456"
    raw[:] = memoryview(b"uvwxyz")
    raw[5] = b"!"
    assert bytes(raw.array) == b"uvwxy!"
    with pytest.raises(mmsb.ShapeError):
        raw[0:4] = b"abc"


def test_truth_and_membership_raise_nothing(bus: mmsb.Bus) -> None:
    assert not bus["one"]
    bus["one"][()] = 3
    assert bus["one"]
    assert bus["i8"]
    assert not bus.create_page("none", shape=(0,), dtype="i8")
    assert "a" in bus["table"]
    assert HALF not in bus["table"]
    assert 5 not in bus["table"]
    assert HALF not in bus
    assert bus[np.int64(1)] is bus["f2"]  # type: ignore[index]


NOTHING: list[Callable[[mmsb.Bus], Any]] = [
    lambda bus: bus["i8"].__setitem__([], []),
    lambda bus: bus["i8"].__setitem__(slice(0, 0), 5),
    lambda bus: bus["table"].merge({"a": []}, rows=[]),
    lambda bus: bus["table"].merge({}),
    lambda bus: bus["table"].assign({}),
]


@pytest.mark.parametrize("write", NOTHING)
def test_writing_no_cell_makes_no_epoch(bus: mmsb.Bus, write: Callable[[mmsb.Bus], Any]) -> None:
    before = bus.epoch
    write(bus)
    with bus.transaction() as tx:
        write(bus)
    assert bus.epoch == before
    assert not tx.changed


@pytest.mark.parametrize("write", NOTHING)
def test_writing_no_cell_still_takes_a_bus_to_write_to(
    tmp_path: Path, write: Callable[[mmsb.Bus], Any]
) -> None:
    with mmsb.open(tmp_path / "bus") as bus:
        bus.create_page("i8", shape=(4,), dtype="i8")
        bus.create_page("table", rows=3, columns={"a": "i4"}, op="add")
    with mmsb.open(tmp_path / "bus", "r") as bus, pytest.raises(mmsb.ReadOnlyError):
        write(bus)


def test_data_of_either_byte_order_and_bytes_as_cells_are_taken(bus: mmsb.Bus) -> None:
    big = bus.create_page("big", data=np.array([1.5, 2.5], ">f4"))
    assert (big.dtype, big[...].tolist()) == (np.dtype("<f4"), [1.5, 2.5])
    assert bus.create_page("asked", shape=(2,), dtype=">f4").dtype == np.dtype("<f4")
    cells = bus.create_page("cells", data=b"\1\0\0\0\2\0\0\0", dtype="i4")
    assert (cells.dtype, cells[...].tolist()) == (np.dtype("i4"), [1, 2])
    whole = bus.create_page("whole", data=np.ma.masked_array([1, 2], False))
    assert whole[...].tolist() == [1, 2]
    table = bus.create_page("fields", columns=PAIR.dtype, rows=2)
    assert table.columns == ["a", "b"]


def test_integers_go_into_floats(bus: mmsb.Bus) -> None:
    for dtype, most in (("f2", 65504), ("f4", 2**100), ("f8", 2**1000)):
        bus[dtype][...] = most
        assert bus[dtype][0] == most
        bus[dtype][...] = [most, -1, 0, 1]
        assert bus[dtype][0] == most


def test_the_history_of_a_past_page_ends_there(bus: mmsb.Bus) -> None:
    first = bus.epoch
    for n in range(3):
        bus["i8"][0] = n + 1
    plan = bus.branch("b", at=first + 2)
    for past in (bus.at(first + 2), plan.snapshot()):
        assert [entry.epoch for entry in past["i8"].history()] == [4, first + 1, first + 2]


def test_the_time_of_an_entry_gives_its_state(bus: mmsb.Bus) -> None:
    entries = list(bus.log())
    for entry, following in zip(entries, [*entries[1:], None], strict=True):
        if following is None or following.time != entry.time:
            assert bus.at(time=entry.time).epoch == entry.epoch
    for late in (datetime(2999, 1, 1), datetime.max, datetime.max.replace(tzinfo=UTC)):
        assert bus.at(time=late).epoch == bus.epoch
    assert bus.at(time=entries[0].time - timedelta(days=1)).epoch == 0
    assert bus.at(time=datetime(1900, 1, 1)).epoch == 0


def test_a_decorated_coroutine_has_the_state_in_its_body(bus: mmsb.Bus) -> None:
    @mmsb.mmsb(bus)
    async def read() -> bytes:
        await asyncio.sleep(0)
        return bytes(mmsb.query_page(bus["raw"].id))

    assert asyncio.run(read()) == bytes(6)
    with pytest.raises(mmsb.InvalidArgument, match="steps"):

        @mmsb.mmsb(bus)
        def steps() -> Iterator[int]:
            yield 1


def test_the_plain_functions_take_keywords(bus: mmsb.Bus) -> None:
    raw = bus["raw"].id
    mmsb.update_page(bus, page_id=raw, data=b"abcdef")
    assert bytes(mmsb.query_page(state=bus, page_id=raw)) == b"abcdef"
    with mmsb.mmsb(bus):
        mmsb.update_page(raw, data=b"ABCDEF")
        assert bytes(mmsb.query_page(page_id=raw)) == b"ABCDEF"
        for wrong in ({}, {"page": 1}, {"page_id": 1, "data": b""}):
            with pytest.raises(mmsb.InvalidArgument, match="page_id"):
                mmsb.query_page(**wrong)


def test_everything_shows_itself_in_a_line(bus: mmsb.Bus) -> None:
    watch = bus.watch("i8")
    view = bus["i8"].array.base
    while isinstance(view, np.ndarray):
        view = view.base
    assert repr(watch) == f"<Watch of page {bus['i8'].id} on branch main, seen up to epoch {bus.epoch}>"
    assert repr(mmsb.mmsb(bus)) == f"<mmsb of {bus!r}>"
    assert repr(view) == "<View in place, 32 B>"


def test_a_column_tells_its_bytes_and_version(bus: mmsb.Bus) -> None:
    bus["table"]["a"][0] = 1
    assert (bus["table"]["a"].nbytes, bus["table"]["b"].nbytes) == (12, 24)
    assert bus["table"]["a"].version == bus["table"].version == bus.epoch


def test_an_open_bus_verifies_itself(bus: mmsb.Bus, path: str) -> None:
    assert bus.verify().ok
    with mmsb.open(path) as kept:
        kept.branch("more")["pos"][1] = 3
        report = kept.verify()
        assert (report.ok, report.findings) == (True, [])
        assert report.bytes > 0
        kept["pos"][0] = 4


def test_what_cannot_be_called_or_counted_is_named(tmp_path: Path) -> None:
    with mmsb.open() as bus:
        page = bus.create_page("p", size=8)
        uses: list[tuple[str, Callable[[], object]]] = [
            ("when", lambda: bus.upsert(page, when=None, write=1)),  # type: ignore[arg-type]
            ("progress", lambda: bus.checkpoint(progress=5)),  # type: ignore[arg-type]
            ("progress", lambda: bus.export(tmp_path / "copy", progress=5)),  # type: ignore[arg-type]
            ("progress", lambda: bus.digest(progress=5)),  # type: ignore[arg-type]
            ("progress", lambda: bus.snapshot().digest(progress=5)),  # type: ignore[arg-type]
            ("progress", lambda: bus.diff(0, progress=5)),  # type: ignore[arg-type]
            ("progress", lambda: bus.revert(0, progress=5)),  # type: ignore[arg-type]
            ("progress", lambda: bus.merge(bus.branch("b"), progress=5)),  # type: ignore[arg-type]
            ("progress", lambda: mmsb.verify(tmp_path, progress=5)),  # type: ignore[arg-type]
            ("timeout", lambda: bus.watch().next(timeout="x")),  # type: ignore[arg-type]
            ("data", lambda: mmsb.update_page(bus, page.id, None)),  # type: ignore[call-overload]
        ]
        for what, use in uses:
            with pytest.raises(mmsb.InvalidArgument, match=f"^{what} "):
                use()
        assert bus.epoch == 1
    assert not (tmp_path / "copy").exists()


def test_names_that_cannot_be_say_whose_and_how_long_they_are() -> None:
    bus = mmsb.open()
    with pytest.raises(mmsb.InvalidArgument, match=r"branch name .xxx.*has 256 bytes, more than 255"):
        bus.branch("x" * 256)
    with pytest.raises(mmsb.InvalidArgument, match='branch name "" is empty'):
        bus.branch("")
    with pytest.raises(mmsb.InvalidArgument, match=r"page name .*has 600 bytes"):
        bus.create_page("é" * 300, size=1)
