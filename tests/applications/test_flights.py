"""The flights of 2013: their events, their pages against plain numpy, and playing them."""

from __future__ import annotations

import csv
import io
import random
import zipfile

import numpy as np
import pytest
from plain_bus import PlainBus, Played, created, flights_or_skip, play

from mmsb.applications.flights import events, pages, source
from mmsb.applications.flights.deltas import Batch
from mmsb.applications.flights.oracle import Oracle, compare
from mmsb.applications.flights.source import DAY, Flights, FlightsMissingError
from mmsb.applications.flights.stream import Stream
from mmsb.applications.flights.table import MISSING, Table


@pytest.fixture(scope="module")
def year() -> Flights:
    """All flights."""
    return flights_or_skip()


@pytest.fixture(scope="module")
def few() -> Flights:
    """The first thousand flights: all of 1 January and the morning after."""
    return flights_or_skip(1000)


@pytest.fixture(scope="module")
def played(few: Flights) -> Played:
    """A bus with those flights played. Not to be written to."""
    return play(few)


# --- the file


@pytest.mark.usefixtures("few")
def test_the_table_reads_what_the_csv_module_reads() -> None:
    with zipfile.ZipFile(source.folder() / "flights.csv.zip") as archive:
        data = archive.read("flights.csv")
    table = Table(data)
    assert table.rows == 336_776
    lines = csv.reader(io.StringIO(data.decode("ascii")))
    names, *rows = lines
    for name in ("dep_time", "dep_delay", "distance"):
        column = [row[names.index(name)] for row in rows]
        assert table.integers(name).tolist() == [MISSING if cell == "NA" else int(cell) for cell in column]
    for name in ("tailnum", "dest"):
        texts, codes = table.categories(name)
        column = [row[names.index(name)] for row in rows]
        assert texts == sorted({*column} - {"NA"})
        assert [texts[code] if code >= 0 else "NA" for code in codes.tolist()] == column


def test_the_table_takes_the_first_rows_only(few: Flights, year: Flights) -> None:
    assert len(few) == 1000
    assert np.array_equal(few.departure, year.departure[:1000])
    tails = np.array([*few.tails, "?"])[few.tail], np.array([*year.tails, "?"])[year.tail[:1000]]
    assert np.array_equal(*tails)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b'a,b\n1,"x"\n', "quotes"),
        (b"a,b\n1\n2,3\n", "2 cells"),
        (b"a,b\n1,2,3,4\n", "2 cells"),
        (b"a,b\n1x,2\n", "no integer"),
        (b"a,b\n,2\n", "no integer"),
        (b"a,b\n1234567890,2\n", "no integer"),
    ],
)
def test_a_table_that_is_none_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Table(data).integers("a")


def test_a_long_text_is_refused() -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        Table(b"a\n123456789\n").categories("a")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FlightsMissingError, match=r"pip install mmsb\[demo\]"):
        source.load()


def test_a_minute_is_a_moment_and_back() -> None:
    assert source.moment(DAY + 61).isoformat() == "2013-01-02T01:01:00"
    assert source.minute_of(source.moment(262_800)) == 262_800


# --- events


def test_every_flight_is_scheduled_and_then_departs_or_is_cancelled(year: Flights) -> None:
    happened = events.build(year)
    by_kind = [happened.flight[happened.kind == kind] for kind in range(len(events.KINDS))]
    assert np.array_equal(np.sort(by_kind[events.SCHEDULED]), np.arange(len(year)))
    left, lost = by_kind[events.DEPARTED], by_kind[events.CANCELLED]
    assert np.array_equal(np.sort(np.concatenate([left, lost])), np.arange(len(year)))
    assert np.isin(by_kind[events.ARRIVED], left).all()
    assert (len(year), len(left), len(lost)) == (336_776, 328_521, 8_255)
    assert len(left) - len(by_kind[events.ARRIVED]) == 458


def test_events_are_in_order_and_grouped_by_minute(year: Flights) -> None:
    happened = events.build(year)
    key = (happened.minute.astype(np.int64) * 4 + happened.kind) * len(year) + happened.flight
    assert (np.diff(key) > 0).all()
    assert (np.diff(happened.minutes) > 0).all()
    assert np.array_equal(happened.minutes[happened.groups()], happened.minute)
    assert happened.starts[0] == 0
    assert happened.starts[-1] == len(happened)


def test_a_flight_is_on_the_board_before_it_leaves_and_leaves_before_it_arrives(year: Flights) -> None:
    board, left, arrived = events.planned(year) - events.BOARD, events.departures(year), events.arrivals(year)
    gone = left != MISSING
    assert (board[gone] < left[gone]).all()
    there = arrived != MISSING
    assert gone[there].all()
    in_air = there & (year.air_time != MISSING)
    on_ground = (arrived - left - year.air_time)[in_air]
    assert in_air.sum() == 327_346
    assert (on_ground.min(), on_ground.max()) == (5, 235)


def test_clock_times_of_the_file_agree_with_the_minutes(year: Flights) -> None:
    left, arrived = events.departures(year), events.arrivals(year)
    gone, there = left != MISSING, arrived != MISSING
    assert (left[gone] % DAY == year.departure[gone] % DAY).all()  # 2400 is midnight
    local = arrived + events.clock_ahead(year, events.planned(year))
    assert (local[there] % DAY == year.arrival[there] % DAY).all()
    on_time = there & (year.arrival_delay != MISSING)
    assert ((local - year.arrival_delay)[on_time] % DAY == year.planned_arrival[on_time] % DAY).all()


def test_clocks_are_those_of_the_time_zones(year: Flights) -> None:
    zoneinfo = pytest.importorskip("zoneinfo")
    with (source.folder() / "airports.csv").open(encoding="utf-8") as lines:
        zones = {row["faa"]: row["tzone"] for row in csv.DictReader(lines)}
    try:
        here = zoneinfo.ZoneInfo("America/New_York")
        there = {a.code: zoneinfo.ZoneInfo(zones.get(a.code, "America/Puerto_Rico")) for a in year.airports}
    except zoneinfo.ZoneInfoNotFoundError:
        pytest.skip("this machine has no time zones")
    ahead = events.clock_ahead(year, events.planned(year))
    noons = np.unique(np.stack([year.day, year.destination, ahead], axis=1), axis=0)
    cases: dict[tuple[int, int], set[int]] = {}
    for day, destination, minutes in noons.tolist():
        cases.setdefault((day, destination), set()).add(minutes)
    for (day, destination), minutes in cases.items():
        noon = source.moment(day * DAY + DAY // 2)
        code = year.airports[destination].code
        local = noon.replace(tzinfo=there[code])
        assert minutes == {(noon.replace(tzinfo=here) - local).total_seconds() // 60}, (code, noon)


def test_a_cancelled_flight_has_no_other_event_than_its_schedule(few: Flights) -> None:
    chosen = np.arange(len(few)) % 7 == 0
    happened = events.build(few.cancel(chosen))
    of_chosen = np.isin(happened.flight, np.flatnonzero(chosen))
    assert set(happened.kind[of_chosen].tolist()) == {events.SCHEDULED, events.CANCELLED}


# --- deltas and pages


def test_a_minute_touches_each_row_once(year: Flights) -> None:
    deltas = Stream(year).deltas
    batches: list[Batch] = [*deltas.assigned, *deltas.merged]
    for batch in batches:
        assert batch.bounds[0] == 0
        assert batch.bounds[-1] == len(batch.rows)
        group = np.repeat(np.arange(len(deltas.minutes)), np.diff(batch.bounds))
        assert (np.diff(group * (batch.rows.max() + 1) + batch.rows) > 0).all()


def test_few_deltas_a_minute(year: Flights) -> None:
    stream = Stream(year)
    assert 6 <= stream.deltas.count(0, len(stream)) / len(stream) <= 12


def test_the_whole_year_adds_up_to_the_oracle(year: Flights) -> None:
    """Each batch played at once, without a bus: sums add, and of assignments the last one stays."""
    stream, oracle = Stream(year), Oracle(year)
    rng = random.Random(2013)
    for count in (*rng.sample(range(len(stream)), 5), len(stream)):
        minute = int(stream.minutes[count - 1])
        state = oracle.state(minute)
        for batch in stream.deltas.merged:
            upto = batch.bounds[count]
            for name, amounts in batch.columns.items():
                values = np.zeros(len(state[batch.page][name]), amounts.dtype)
                np.add.at(values, batch.rows[:upto], amounts[:upto])
                assert np.array_equal(values, state[batch.page][name]), (batch.page, name, minute)
        for batch in stream.deltas.assigned:
            upto = batch.bounds[count]
            for name, values in batch.columns.items():
                found = np.zeros(len(state[batch.page][name]), values.dtype)
                found[batch.rows[:upto]] = values[:upto]
                assert np.array_equal(found, state[batch.page][name]), (batch.page, name, minute)


def test_every_minute_of_the_first_thousand_flights_is_what_the_file_says(
    played: Played,
) -> None:
    bus, stream = played
    oracle, start = Oracle(stream.flights), stream.start(bus)
    assert oracle.differences(bus.at(start), 0) == []
    for k, minute in enumerate(stream.minutes.tolist()):
        assert oracle.differences(bus.at(start + k + 1), minute) == []
        assert bus.intents[k + 1]["minute"] == minute


def test_a_wrong_cell_is_found(played: Played) -> None:
    bus, stream = played
    branch, oracle = bus.branch("wrong"), Oracle(stream.flights)
    with branch.transaction(source="mistake", intent={}):
        branch["airports"]["board"][7] = 99
    assert oracle.differences(branch, int(stream.minutes[-1])) == ["airports.board"]
    state = oracle.state(600)
    other = {page: dict(columns) for page, columns in state.items()}
    other["routes"]["air_time"] = other["routes"]["air_time"].astype(np.int32)
    assert compare(other, state) == ["routes.air_time"]


def test_the_deltas_are_counted(played: Played) -> None:
    bus, stream = played
    constant = sum(len(columns) for columns in pages.constants(stream.flights).values())
    assert bus.deltas == constant + stream.deltas.count(0, len(stream))
    assert stream.deltas.count(0, 10) + stream.deltas.count(10, 30) == stream.deltas.count(0, 30)


def test_no_board_is_ever_negative(played: Played) -> None:
    bus, stream = played
    start = stream.start(bus)
    for epoch in range(start, bus.epoch + 1):
        assert bus.at(epoch)["airports"].arrays["board"].min() >= 0
    assert bus["airports"].arrays["board"].sum() == 0


def test_a_stream_goes_on_from_where_the_bus_is(few: Flights, played: Played) -> None:
    whole, stream = played
    bus = created(few)
    ticks: list[int] = []
    assert stream.played(bus) == 0
    assert stream.play(bus, 300) == 300
    assert (stream.played(bus), stream.start(bus)) == (300, 1)
    pages.create(bus, few)
    assert stream.play(bus, len(stream), ticks.append) == len(stream) - 300
    assert stream.play(bus, len(stream)) == 0
    assert ticks == [*range(320, len(stream), 64), len(stream)]
    assert (bus.epoch, bus.digest()) == (whole.epoch, whole.digest())


def test_a_bus_of_other_flights_is_refused(few: Flights) -> None:
    bus = PlainBus()
    pages.create(bus, few)
    with bus.transaction(source="elsewhere", intent={}):
        bus["clock"]["minute"][0] = 3
    with pytest.raises(ValueError, match="minute 3"):
        Stream(few).played(bus)
