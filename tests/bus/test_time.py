"""Time: snapshots, past states, differences, the log, bringing a state back."""

import gc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import mmsb


@pytest.fixture
def bus() -> mmsb.Bus:
    bus = mmsb.open()
    page = bus.create_page("p", shape=(10, 2), dtype="i8")
    for n in range(1, 6):
        with bus.transaction(source="odd" if n % 2 else "even", intent={"n": n}):
            page[n] = n
    return bus


def test_a_snapshot_stays_as_it_is(bus: mmsb.Bus) -> None:
    with bus.snapshot() as now:
        view, epoch, digest = now["p"].array, now.epoch, now.digest()
        bus["p"][:] = -1
        bus.create_page("q", size=5)
        assert now["p"].array is view
        assert now["p"][5].tolist() == [5, 5]
        assert (now.epoch, now.digest(), list(now), len(now)) == (epoch, digest, ["p"], 1)
        assert "q" not in now
        page = now["p"]
        with pytest.raises(mmsb.ReadOnlyError):
            page[0] = 1
    with pytest.raises(mmsb.ClosedError, match="let go"):
        now["p"]
    for use in (
        lambda: page.array,
        lambda: page[0],
        lambda: page[[1, 2]],
        lambda: page.shape,
        lambda: len(page),
        lambda: page.version,
        lambda: page.history(),
        lambda: np.asarray(page),
    ):
        with pytest.raises(mmsb.ClosedError, match="snapshot of epoch 6 was let go"):
            use()
    assert "let go" in repr(page)
    assert (page.name, page.columns, view[5, 0]) == ("p", ["value"], 5)


def test_a_page_keeps_a_state_that_nobody_let_go(bus: mmsb.Bus) -> None:
    page, cells = bus.snapshot()["p"], bus["p"][:]
    gc.collect()
    bus["p"][:] = -1
    assert np.array_equal(page[:], cells)
    assert np.array_equal(page.array, cells)


def test_every_epoch_can_be_had_again(bus: mmsb.Bus, tmp_path: Path) -> None:
    kept = mmsb.open(tmp_path / "bus")
    page = kept.create_page("p", shape=(50,), dtype="i4")
    wanted = {kept.epoch: (page[:], kept.digest())}
    rng = np.random.default_rng(5)
    for n in range(60):
        if n % 20 == 19:
            page.resize(50 + n)
        else:
            page[rng.integers(0, len(page), 3)] = rng.integers(0, 100, 3)
        wanted[kept.epoch] = (page[:], kept.digest())
    kept.close()
    with mmsb.open(tmp_path / "bus") as again:
        for epoch, (cells, digest) in wanted.items():
            past = again.at(epoch)
            assert np.array_equal(past["p"][:], cells)
            assert past.digest() == digest


def test_a_time_names_the_last_commit_before_it(bus: mmsb.Bus) -> None:
    entries = list(bus.log())
    for entry in entries:
        assert bus.at(time=entry.time + timedelta(microseconds=1)).epoch >= entry.epoch
    assert bus.at(time=datetime.now(UTC) + timedelta(days=1)).epoch == bus.epoch
    assert bus.at(time=datetime(2001, 1, 1, tzinfo=UTC)).epoch == 0
    assert len(bus.at(0)) == 0


def test_differences_name_cells_and_read_them_late(bus: mmsb.Bus) -> None:
    (change,) = bus.diff(2, 4)
    assert (change.page, change.kind, change.columns, change.count) == ("p", "changed", ["value"], 4)
    assert change.rows.tolist() == [2, 3]
    assert change.cells["value"].tolist() == [4, 5, 6, 7]
    assert change.before.tolist() == [0, 0, 0, 0]
    assert change.after.tolist() == [2, 2, 3, 3]
    book = bus.create_page("book", rows=4, columns={"x": "f8", "n": "i4"})
    before = bus.epoch
    book[1] = {"x": 1.5, "n": 2}
    book["n"][3] = 4
    book.resize(6)
    bus.drop_page("p")
    first, second = bus.diff(before, bus.snapshot())
    assert (first.kind, first.page, first.after, first.count) == ("dropped", "p", None, 20)
    assert (second.columns, second.resized, second.rows.tolist()) == (["x", "n"], (4, 6), [1, 3])
    assert second.after["n"].tolist() == [2, 4]
    assert bus.diff(bus.epoch, bus.epoch) == []
    (back,) = bus.diff(before, 0)[1:] or bus.diff(before, 0)[:1]
    assert back.kind == "dropped"


def test_a_diff_has_what_is_in_rows_that_came_or_went() -> None:
    bus = mmsb.open()
    page = bus.create_page("p", shape=(2, 2), dtype="i8")
    before = bus.snapshot()
    page.resize(4)
    page[3, 1] = 9
    page[0] = [1, 0]
    (grown,) = bus.diff(before, bus)
    assert (grown.resized, grown.rows.tolist(), grown.count) == ((2, 4), [0, 3], 2)
    assert (grown.before.tolist(), grown.after.tolist()) == ([0, 0], [1, 9])
    (shrunk,) = bus.diff(bus, before)
    assert (shrunk.resized, shrunk.rows.tolist()) == ((4, 2), [0, 3])
    assert (shrunk.before.tolist(), shrunk.after.tolist()) == ([1, 9], [0, 0])
    epoch = bus.epoch
    page.resize(4)
    assert bus.epoch == epoch, "as many rows as before"


def test_the_log_remembers_who_and_why(bus: mmsb.Bus) -> None:
    entries = list(bus.log(source="odd"))
    assert [entry.epoch for entry in entries] == [2, 4, 6]
    assert [entry.intent for entry in entries] == [{"n": 1}, {"n": 3}, {"n": 5}]
    assert [entry.epoch for entry in bus.log(since=3, until=4)] == [3, 4]
    bus.create_page("q", shape=(3,), dtype="i4")[0] = 1
    assert [entry.epoch for entry in bus.log(page="q")] == [7, 8]
    assert [entry.epoch for entry in bus["p"].history()] == [1, 2, 3, 4, 5, 6]
    assert bus["p"].version == 6
    entry = entries[0]
    assert (entry.branch, entry.durability) == ("main", "process")
    assert entry.deltas == [{"page": "p", "id": 1, "op": "assign", "columns": ["value"], "bytes": 8}]
    assert entry.seq < entries[1].seq
    assert entry.time.tzinfo is not None
    assert 0 < entry.bytes < 400


def test_a_long_log_is_read_once_and_in_order() -> None:
    bus = mmsb.open()
    page = bus.create_page("p", shape=(4,), dtype="i8")
    for n in range(1000):
        page[n % 4] = n
    assert [entry.epoch for entry in bus.log()] == list(range(1, 1002))
    log = bus.log()
    next(log)
    page[0] = 1
    assert [entry.epoch for entry in log][-1] == 1001, "what comes while it is read is not part of it"


def test_reverting_is_a_new_epoch(bus: mmsb.Bus) -> None:
    digest = bus.at(3).digest()
    bus.create_page("q", size=3)
    bus["p"].resize(20)
    epoch = bus.revert(to=3, source="me")
    assert epoch == bus.epoch
    assert bus.digest() == digest
    assert bus["p"].shape == (10, 2)
    assert bus.revert(to=3) is None
    bus.drop_page("p")
    bus.revert(to=5)
    assert bus["p"][4].tolist() == [4, 4]
    assert bus["p"].id == 1, "under its own id"


def test_the_log_names_pages_that_were_dropped() -> None:
    bus = mmsb.open()
    bus.create_page("gone", rows=3, columns={"price": "float64", "qty": "int32"})
    bus["gone"]["qty"][1] = 7
    page = bus["gone"].id
    bus.drop_page("gone")
    bus.create_page("gone", size=8)
    told = [delta for entry in bus.log() for delta in entry.deltas if delta["id"] == page]
    assert [(delta["op"], delta["page"]) for delta in told] == [
        ("create", "gone"),
        ("assign", "gone"),
        ("drop", "gone"),
    ]
    assert told[1]["columns"] == ["qty"]
    assert [entry.epoch for entry in bus.log(page=page)] == [1, 2, 3]


def test_the_log_of_an_intent() -> None:
    bus = mmsb.open()
    page = bus.create_page("a", shape=(4,), dtype="i8")
    other = bus.create_page("b", shape=(4,), dtype="i8")
    said: list[object] = [
        {"run": 7, "why": "test"},
        {"run": 8},
        "tidy",
        {"run": True, "none": None},
        ["x"],
        1,
    ]
    for i, intent in enumerate(said):
        with bus.transaction(intent=intent):
            (page if i % 2 == 0 else other)[0] = i + 1

    def epochs(intent: object) -> list[int]:
        return [entry.epoch - 3 for entry in bus.log(intent=intent)]

    assert epochs({"run": 7}) == [0]
    assert epochs({"run": 7, "why": "other"}) == []
    assert epochs({"run": 1}) == []
    assert epochs({"why": None}) == []
    assert epochs({"none": None}) == [3]
    assert epochs("tidy") == [2]
    assert epochs(["x"]) == [4]
    assert epochs(1) == [5]
    assert epochs({}) == [0, 1, 3]
    assert len(list(bus.log(intent=None))) == 8
    assert [entry.epoch - 3 for entry in page.history(intent={"run": 7})] == [0]
    assert list(page.history(intent={"run": 8})) == []
    assert [e.epoch - 3 for e in bus.snapshot()["b"].history(intent={"run": 8})] == [1]
    with pytest.raises(mmsb.InvalidArgument, match="intent"):
        bus.log(intent=object())


def test_the_log_of_a_rare_intent_is_found_far_behind() -> None:
    bus = mmsb.open()
    page = bus.create_page("a", shape=(4,), dtype="i8")
    for i in range(700):
        with bus.transaction(intent="rare" if i in (5, 690) else "common"):
            page[0] = i + 1
    assert [entry.epoch for entry in bus.log(intent="rare")] == [7, 692]
