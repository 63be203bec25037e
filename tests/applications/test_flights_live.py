"""The readers of the demo: what they saw is proved, the proof can fail, and a real one finds a wrong cell."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plain_bus import PlainBus, Played, flights_or_skip, play
from test_flights_proofs import spoiled

import mmsb
from mmsb.applications.flights import demo, following, live, pages, readers
from mmsb.applications.flights.live import Look, Seen
from mmsb.applications.flights.oracle import Oracle
from mmsb.applications.flights.proofs import Proof
from mmsb.applications.flights.source import Flights
from mmsb.applications.flights.stream import Stream

START, LAST = 1, 301
TIMES = {epoch: 1_000_000 * epoch for epoch in range(LAST + 1)}
"""When the epochs were committed: one a millisecond."""


@pytest.fixture(scope="module")
def few() -> Flights:
    """The first two hundred flights: enough for 300 minutes."""
    return flights_or_skip(200)


@pytest.fixture(scope="module")
def played(few: Flights) -> Played:
    """A bus with those flights played. Not to be written to."""
    return play(few)


def seen(bus: PlainBus, every: int) -> Seen:
    """What a reader sees that is told of so many epochs at a time, 20 us after the last one."""
    looks = []
    for since in range(START, LAST, every):
        epoch = min(since + every, LAST)
        time = TIMES[epoch]
        looks.append(Look(since, epoch, time - 10_000, time + 20_000, epoch, bus.at(epoch).digest(), []))
    return Seen(looks, 0, "")


def proof(bus: PlainBus, *all_seen: Seen) -> Proof:
    return live.followed(bus, list(all_seen), TIMES, START, 100)


def test_readers_that_missed_nothing_are_a_proof(played: Played) -> None:
    bus, _ = played
    found = proof(bus, seen(bus, 1), seen(bus, 7))
    assert found.holds, found
    assert found.figure.startswith("300 epochs told to each, in 300 and 43 updates")
    assert found.details["of_several_epochs"] == [0, 43]
    assert found.details["before_the_kill"] == [99, 14]
    assert found.details["seen_after_ns"] == 20_000
    assert found.figure.endswith("told 0.02 ms after the commit, the median of the 343 waited for")


def test_what_was_there_before_it_waited_tells_no_delay(played: Played) -> None:
    bus, _ = played
    one = seen(bus, 7)
    late = [dataclasses.replace(look, waited=look.seen) for look in one.looks]
    found = proof(bus, dataclasses.replace(one, looks=late))
    assert found.holds
    assert found.details["seen_after_ns"] is None
    assert "median" not in found.figure


Change = Callable[[list[Look]], object]


def with_look(at: int, **changes: Any) -> Change:
    """One look is another."""

    def change(looks: list[Look]) -> None:
        looks[at] = dataclasses.replace(looks[at], **changes)

    return change


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda looks: looks.pop(10), "epochs 79 to 85 were told of after epoch 71"),
        (lambda looks: looks.pop(0), "epochs 9 to 15 were told of after epoch 1"),
        (lambda looks: looks.pop(), "the last epoch that was told of is 295, not 301"),
        (lambda looks: looks.clear(), "the last epoch that was told of is 1, not 301"),
        (with_look(10, epoch=60), "epochs 72 to 60 were told of after epoch 71"),
        (with_look(10, state=60), "epoch 60 was seen after epoch 78"),
        (with_look(10, wrong=["ways.value"]), "epoch 78: ways.value"),
        (with_look(10, digest="another"), "epoch 78 was seen in 2 states"),
        (with_look(-1, epoch=400, state=400), "epoch 400 was seen and is not in the log"),
    ],
)
def test_a_fault_of_one_reader_is_no_proof(played: Played, spoil: Change, word: str) -> None:
    bus, _ = played
    one = seen(bus, 7)
    spoil(one.looks)
    found = proof(bus, seen(bus, 7), one)
    assert not found.holds
    assert any(fault.startswith(word) for fault in found.details["wrong"]), found.details["wrong"]
    assert found.figure == found.details["wrong"][0]


def test_a_reader_that_failed_is_no_proof(played: Played) -> None:
    bus, _ = played
    found = proof(bus, seen(bus, 7), dataclasses.replace(seen(bus, 7), status=1, complaints="out of luck\n"))
    assert not found.holds
    assert found.figure == "a reader ended with 1: out of luck"


def test_the_past_is_another_than_all_have_seen(played: Played) -> None:
    bus, _ = played
    one = seen(bus, 7)
    found = proof(spoiled(bus, "carriers", "miles"), one, one)
    assert not found.holds
    assert found.details["wrong"] == [f"epoch {look.state} was not what was seen of it" for look in one.looks]


def test_a_state_is_that_of_its_epoch_and_of_the_file(played: Played) -> None:
    bus, stream = played
    oracle = Oracle(stream.flights)
    start = stream.start(bus)
    assert readers.differences(bus.at(start), stream, oracle, start) == []
    state = bus.at(start + 200)
    assert readers.differences(state, stream, oracle, start) == []
    (fault,) = readers.differences(state, stream, oracle, start + 1)
    assert fault == f"minute {stream.minutes[199]}, the 200. of {len(stream)}, at epoch {start + 200}"
    between = spoiled(bus, "clock", "minute").at(start)
    assert readers.differences(between, stream, oracle, start) == [
        f"minute 1, the 0. of {len(stream)}, at epoch {start}"
    ]
    wrong = spoiled(bus, "carriers", "miles").at(start + 200)
    assert readers.differences(wrong, stream, oracle, start) == ["carriers.miles"]


@pytest.mark.skipif(not readers.LIVE, reason="processes share memory on Linux only")
def test_a_reader_of_its_own_process_finds_a_wrong_cell(
    few: Flights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "COUNT", 1)
    stream, path = Stream(few), tmp_path / "bus"
    with mmsb.open(path) as bus:
        pages.create(bus, few)  # type: ignore[arg-type]
        following.derive(bus, few)  # type: ignore[arg-type]
        bus["carriers"].merge({"miles": np.array([1])}, rows=np.array([0]), op="add")
        start = bus.epoch
        crowd = readers.Readers(path, ["--flights", "200"])
        try:
            stream.play(bus, len(stream))  # type: ignore[arg-type]
            all_seen = crowd.ended()
        finally:
            crowd.stop()
        times: Mapping[int, int] = {entry.epoch: entry.time_ns for entry in bus.log()}
        found = live.followed(bus, all_seen, times, start, bus.epoch)  # type: ignore[arg-type]
    assert [one.status for one in all_seen] == [1]
    assert not found.holds
    assert "carriers.miles" in found.figure


@pytest.mark.skipif(not readers.LIVE, reason="processes share memory on Linux only")
def test_a_reader_that_finds_no_bus_says_so(tmp_path: Path) -> None:
    flights_or_skip(10)
    with pytest.raises(RuntimeError, match="BusNotFound"):
        readers.Readers(tmp_path / "none", ["--flights", "10"])


@pytest.mark.skipif(not readers.LIVE, reason="processes share memory on Linux only")
def test_what_one_reader_finds_fails_the_demo(
    few: Flights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert few
    ended = readers.Readers.ended

    def found(crowd: readers.Readers) -> list[Seen]:
        all_seen = ended(crowd)
        with_look(-1, wrong=["ways.value"])(all_seen[1].looks)
        return all_seen

    monkeypatch.setattr(readers.Readers, "ended", found)
    report = demo.run(demo.Options(20, 1, tmp_path, at_least=0.5))
    assert not report.ok
    (failed,) = (proof for proof in report.proofs if not proof.holds)
    assert failed.figure.endswith("ways.value")
    assert failed.figure in capsys.readouterr().out


def test_where_no_memory_is_shared_there_are_no_readers(
    few: Flights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert few
    monkeypatch.setattr(demo, "LIVE", False)
    report = demo.run(demo.Options(20, 1, tmp_path, at_least=0.5))
    assert report.ok
    assert not any("follow both writers" in proof.claim for proof in report.proofs)
    assert "no live readers" in capsys.readouterr().out
