"""The proofs of the demo, on a plain bus: that they hold, and that they fail when something is wrong."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from plain_bus import ConflictError, PlainBus, Played, created, flights_or_skip, play

import mmsb
from mmsb.applications.flights import following, pages, picture, proofs, whatif
from mmsb.applications.flights.oracle import Oracle
from mmsb.applications.flights.source import DAY, Flights
from mmsb.applications.flights.stream import Stream


@pytest.fixture(scope="module")
def few() -> Flights:
    """The first thousand flights: all of 1 January and the morning after."""
    return flights_or_skip(1000)


@pytest.fixture(scope="module")
def played(few: Flights) -> Played:
    """A bus with those flights played. Not to be written to."""
    return play(few)


def spoiled(bus: PlainBus, page: str, column: str) -> PlainBus:
    """The bus with one cell wrong at every epoch."""
    other = PlainBus([*bus.states], bus.first)
    for epoch, state in enumerate(other.states):
        if page in state:
            columns = {name: values.copy() for name, values in state[page].items()}
            columns[column][-1] += 1
            other.states[epoch] = {**state, page: columns}
    return other


def test_what_survived_is_whole_and_nothing_acknowledged_is_missing(few: Flights) -> None:
    bus, stream, oracle = created(few), Stream(few), Oracle(few)

    def proof(bus: PlainBus, acknowledged: int) -> proofs.Proof:
        return proofs.survived(bus, stream, oracle, acknowledged, (bus.epoch, bus.digest()))

    assert proof(bus, 0).holds
    stream.play(bus, 500)
    found = proof(bus, 448)
    assert found.holds
    assert found.details["epoch"] == 501
    assert found.details["minute"] == stream.minutes[499]
    assert not proof(bus, 501).holds
    assert not proof(spoiled(bus, "carriers", "airborne"), 448).holds
    for from_files in ((500, bus.digest()), (501, "")):
        assert not proofs.survived(bus, stream, oracle, 448, from_files).holds


def test_the_digest_is_compared_with_the_undisturbed_run(played: Played) -> None:
    bus, _ = played
    other = {"digest": bus.digest(), "epoch": bus.epoch}
    assert proofs.undisturbed(bus, other).holds
    assert not proofs.undisturbed(bus, other | {"epoch": bus.epoch + 1}).holds
    assert not proofs.undisturbed(spoiled(bus, "routes", "arrived"), other).holds


def test_past_minutes_are_compared_with_the_oracle(played: Played) -> None:
    bus, stream = played
    oracle = Oracle(stream.flights)
    assert [proof.holds for proof in proofs.past(bus, stream, oracle, random.Random(1))] == [True, True]
    wrong = spoiled(bus, "logbooks", "miles")
    assert [proof.holds for proof in proofs.past(wrong, stream, oracle, random.Random(1))] == [False, True]


def test_noon_is_that_of_the_middle_day_of_a_short_stream(played: Played) -> None:
    bus, stream = played
    proof, table = proofs.noon(bus, stream, Oracle(stream.flights))
    assert proof.holds
    assert proof.details["minute"] == DAY // 2
    assert [row["code"] for row in table[:3]] == ["LGA", "EWR", "JFK"]
    assert table[0]["scheduled"] == table[0]["departed"] + table[0]["cancelled"] + table[0]["board"]
    assert not proofs.noon(spoiled(bus, "airports", "board"), stream, Oracle(stream.flights))[0].holds


def test_newark_is_closed_in_a_branch(played: Played) -> None:
    bus, stream = played
    epoch, digest = bus.epoch, bus.digest()
    closure, steps = whatif.close_newark(bus, stream, ConflictError)
    assert [step.holds for step in steps] == [True] * 4, steps
    assert (bus.epoch, bus.digest()) == (epoch, digest)
    assert closure.day == 1
    assert closure.flights > 50
    assert steps[1].details["rows"]["airports"] > 1
    assert "both lines changed" in steps[2].details["refusal"]


def test_a_merge_that_nothing_refuses_is_no_proof(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    bus, stream = played
    copy = PlainBus([*bus.states], bus.first, bus.follow)
    monkeypatch.setattr(PlainBus, "merge", lambda *_, **__: None)
    _, steps = whatif.close_newark(copy, stream, ConflictError)
    assert [step.holds for step in steps] == [True, True, False, False]


def test_a_difference_that_misses_a_row_is_no_proof(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    bus, stream = played
    monkeypatch.setattr(PlainBus, "diff", lambda *_: [])
    _, steps = whatif.close_newark(bus, stream, ConflictError)
    assert [step.holds for step in steps] == [True, False, True, True]


def test_the_picture_counts_what_the_file_counts(played: Played, tmp_path: Path) -> None:
    bus, stream = played
    few = stream.flights
    year = picture.look_back(bus, stream)
    assert (year.step, year.periods) == (60, 48)
    oracle = Oracle(few)
    here = [[airport.code for airport in few.airports].index(code) for code in proofs.NEW_YORK]
    for place, departed, cancelled in zip(here, year.departed, year.cancelled, strict=True):
        for times, counted in ((oracle.left, departed), (oracle.cancelled, cancelled)):
            those = times[(few.origin == place) & (times < 2 * DAY)]
            assert np.array_equal(np.bincount(those // 60, minlength=48), counted)

    pytest.importorskip("matplotlib")
    line = picture.Moment(900, 480), picture.Moment(720, 350), picture.Moment(3000, bus.epoch)
    path = tmp_path / "year.png"
    picture.draw(path, few, year, line, whatif.Closure(1, 901, 60, 400))
    assert path.read_bytes().startswith(b"\x89PNG")
    by_day = picture.Year(DAY, np.full((3, 20), 300), np.full((3, 20), 5))
    picture.draw(path, few, by_day, line, whatif.Closure(1, 901, 60, 400))


def test_delays_are_means_by_hour_and_day(few: Flights) -> None:
    grid = picture.delays(few)
    assert grid.shape == (24, 2)
    at_six = (few.day == 0) & (few.planned_departure // 60 == 6) & (few.departure >= 0)
    assert grid[6, 0] == pytest.approx(few.departure_delay[at_six].mean())
    assert np.isnan(grid[3, 0])


@pytest.mark.parametrize("count", [1, 2, 3, 10, 20, 37, 50, 100, 150])
def test_few_flights_are_proved_as_many_are(count: int) -> None:
    few = flights_or_skip(count)
    stream = Stream(few)
    with mmsb.open() as bus:
        pages.create(bus, few)  # type: ignore[arg-type]
        following.derive(bus, few)  # type: ignore[arg-type]
        stream.play(bus, len(stream))  # type: ignore[arg-type]
        _, steps = whatif.close_newark(bus, stream, mmsb.ConflictError)  # type: ignore[arg-type]
    assert [step.holds for step in steps] == [True] * 4, steps
