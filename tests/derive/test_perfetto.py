"""Traces as trace events: slices, tracks, arrows."""

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import mmsb


@pytest.fixture
def bus() -> Any:
    """A bus in memory with a diamond of pages."""
    with mmsb.open() as bus:
        a = bus.create_page("a", shape=(4,), dtype="int64")
        b = bus.derive("b", mmsb.col(a) + 1)
        c = bus.derive("c", mmsb.col(a) // 100)
        bus.derive("d", mmsb.col(b) + mmsb.col(c))
        yield bus


def written(bus: mmsb.Bus, path: Path, **which: Any) -> tuple[int, list[dict[str, Any]]]:
    """How many epochs were written, and the events."""
    count = bus.perfetto(path, **which)
    return count, json.loads(path.read_text(encoding="utf-8"))["traceEvents"]


def check(events: list[dict[str, Any]]) -> None:
    """Slices of a track do not overlap, those of levels lie in that of their epoch, arrows go forward."""
    tracks: dict[int, list[tuple[float, float, Any]]] = defaultdict(list)
    for event in events:
        assert event["ph"] in {"X", "M", "s", "f"}
        assert event["pid"] == 1
        if event["ph"] == "X":
            tracks[event["tid"]].append((event["ts"], event["ts"] + event["dur"], event))
    near = 1e-3
    for slices in tracks.values():
        for (_, end, _), (start, _, _) in pairwise(slices):
            assert end <= start + near
    outer = {event["args"]["epoch"]: (start, end) for start, end, event in tracks.pop(0)}
    for slices in tracks.values():
        for start, end, event in slices:
            first, last = outer[event["args"]["epoch"]]
            assert first - near <= start
            assert end <= last + near
            assert event["tid"] == event["args"]["level"]
    arrows: dict[int, dict[str, float]] = defaultdict(dict)
    for event in events:
        if event["ph"] in "sf":
            arrows[event["id"]][event["ph"]] = event["ts"]
    assert all(arrow["s"] <= arrow["f"] for arrow in arrows.values())


@pytest.mark.parametrize("by_time", [False, True])
def test_slices_lie_in_their_epochs_and_not_over_one_another(
    bus: mmsb.Bus, tmp_path: Path, by_time: bool
) -> None:
    first = bus.epoch
    with bus.transaction(source="feed", intent={"why": "é"}):
        bus["a"][1] = 5
    bus["a"][1] = 5000
    bus.create_page("aside", shape=(), dtype="f8")
    bus["a"][1] = 5001
    count, events = written(bus, tmp_path / "trace.json", since=first + 1, by_time=by_time)
    assert count == 3
    check(events)
    slices = [event for event in events if event["ph"] == "X"]
    epochs = [event for event in slices if event["tid"] == 0]
    assert [event["name"] for event in epochs] == [f"epoch {first + n}" for n in (1, 2, 4)]
    assert epochs[0]["args"]["source"] == "feed"
    assert epochs[0]["args"]["intent"] == {"why": "é"}
    assert all(one["ts"] + one["dur"] < two["ts"] for one, two in pairwise(epochs))
    steps = [
        (event["name"], event["cat"], event["tid"]) for event in slices if event["args"]["epoch"] == first + 1
    ]
    assert steps[1:] == [("b", "changed", 1), ("c", "equal", 1), ("d", "changed", 2)]
    (last,) = [event for event in slices if event["name"] == "d" and event["args"]["epoch"] == first + 2]
    assert last["args"] == {
        "cause": "b",
        "rule": "value",
        "outcome": "changed",
        "rows_in": 2,
        "rows_out": 1,
        "level": 2,
        "epoch": first + 2,
    }
    traced = {step.page: step.ns for step in bus.trace(first + 2)}
    assert last["dur"] == pytest.approx(traced["d"] / 1000)
    named = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert named == {0: "epochs", 1: "level 1", 2: "level 2"}
    assert sum(event["ph"] == "s" for event in events) == sum(event["ph"] == "f" for event in events) == 3


def test_epochs_are_chosen(bus: mmsb.Bus, tmp_path: Path) -> None:
    first = bus.epoch
    for value in range(5):
        bus["a"][0] = value + 1
    where = tmp_path / "trace.json"
    assert written(bus, where)[0] == first - 1 + 5
    count, events = written(bus, where, since=first + 2, until=first + 3)
    assert count == 2
    assert {event["args"]["epoch"] for event in events if event["ph"] == "X"} == {first + 2, first + 3}
    count, events = written(bus, where, since=first + 100)
    assert (count, [event for event in events if event["ph"] != "M"]) == (0, [])
    with pytest.raises(mmsb.InvalidArgument, match="since -1 is negative"):
        bus.perfetto(where, since=-1)
    with pytest.raises(mmsb.InvalidArgument, match="path"):
        bus.perfetto("")


def test_another_process_left_no_trace(tmp_path: Path) -> None:
    with mmsb.open(tmp_path / "bus") as bus:
        a = bus.create_page("a", shape=(4,), dtype="int64")
        bus.derive("b", mmsb.col(a) + 1)
    with mmsb.open(tmp_path / "bus") as bus:
        assert bus.perfetto(tmp_path / "trace.json") == 0
        bus["a"][0] = 1
        assert bus.perfetto(tmp_path / "trace.json") == 1
