"""The pages that follow from the flights: each is proved at every minute, and the proof can fail."""

from __future__ import annotations

import csv
import heapq
import io
import random
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from plain_bus import flights_or_skip

import mmsb
from mmsb.applications.flights import events, following, pages, proofs, source, summary
from mmsb.applications.flights.oracle import Oracle
from mmsb.applications.flights.source import Flights
from mmsb.applications.flights.stream import Stream
from mmsb.applications.flights.table import MISSING

FOLLOW = {
    "delay_by_carrier": ("departure", "arrival"),
    "delay_by_airport": ("departure",),
    "worst_airport": ("value",),
    "hops": ("origin", "destination", "minutes"),
    "both_ways": ("origin", "destination", "minutes"),
    "links": ("source", "target", "weight"),
    "ways": ("value",),
}
"""The pages that must follow, with their columns."""

MINUTES = 100

Columns = Mapping[str, Any]
Change = Callable[[Columns], Columns | None]
Played = tuple[Any, Stream, Oracle]


@pytest.fixture(scope="module")
def few() -> Flights:
    """The first thousand flights: all of 1 January and the morning after."""
    return flights_or_skip(1000)


@pytest.fixture(scope="module")
def played(few: Flights) -> Iterator[Played]:
    """A real bus with those flights played, as the demo's writer plays them. Not to be written to."""
    stream = Stream(few)
    with mmsb.open() as bus:
        pages.create(bus, few)  # type: ignore[arg-type]
        following.derive(bus, few)  # type: ignore[arg-type]
        stream.play(bus, len(stream))  # type: ignore[arg-type]
        yield bus, stream, patient(few)


def patient(few: Flights) -> Oracle:
    """An oracle that says the same minute once only: many proofs here look at the same ones."""
    oracle: Any = Oracle(few)
    oracle.state = cache(oracle.state)
    said: Oracle = oracle
    return said


class Altered:
    """A bus in which a page is not what it is: `change` has its columns, or says None where there is none."""

    def __init__(self, bus: Any, page: str, change: Change, epochs: Callable[[int], bool]) -> None:
        self.bus, self.page, self.change, self.epochs = bus, page, change, epochs
        self.epoch = bus.epoch

    def at(self, epoch: int) -> Any:
        return Altered(self.bus.at(epoch), self.page, self.change, self.epochs)

    def _columns(self, name: str) -> Columns | None:
        columns: Columns = self.bus[name].arrays
        return self.change(columns) if name == self.page and self.epochs(self.epoch) else columns

    def __contains__(self, name: str) -> bool:
        return name in self.bus and self._columns(name) is not None

    def __getitem__(self, name: str) -> SimpleNamespace:
        columns = self._columns(name)
        assert columns is not None, f"there is no page {name!r}"
        return SimpleNamespace(arrays=columns)


def always(_: int) -> bool:
    return True


def one_less(column: str) -> Change:
    """The last cell of a column is one less than it is."""

    def change(columns: Columns) -> Columns:
        values = columns[column].copy()
        last = (-1,) * values.ndim
        values[last] = values[last] - 1 if np.isfinite(values[last]) else 0
        return {**columns, column: values}

    return change


def without(column: str) -> Change:
    """A column is not there."""
    return lambda columns: {name: values for name, values in columns.items() if name != column}


def absent(_: Columns) -> None:
    """The page is not there."""


def looked_at(bus: Any, played: Played) -> list[proofs.Proof]:
    """The proofs of the past, at the same minutes every time."""
    _, stream, oracle = played
    return proofs.past(bus, stream, oracle, random.Random(2013), MINUTES)


@pytest.fixture(scope="module")
def fair(played: Played) -> list[proofs.Proof]:
    """The proofs of the bus as it is."""
    return looked_at(played[0], played)


# --- what must be there


def test_the_pages_that_follow_are_there_before_the_first_minute(played: Played) -> None:
    bus, stream, oracle = played
    assert list(following.FOLLOWING) == list(FOLLOW)
    start = stream.start(bus)
    assert start == 2, "one epoch creates, one declares"
    assert [page for page in FOLLOW if page in bus.at(1)] == []
    assert [page for page in FOLLOW if page not in bus.at(start)] == []
    assert {page: tuple(bus[page].arrays) for page in FOLLOW} == FOLLOW
    assert oracle.differences(bus.at(start), 0) == []


def test_each_is_compared_at_each_minute(fair: list[proofs.Proof]) -> None:
    written, follow = fair
    assert written.holds
    assert follow.holds
    assert follow.details["equal"] == dict.fromkeys(FOLLOW, MINUTES)
    assert written.details["equal"] == dict.fromkeys([*pages.PAGES, "links_seen"], MINUTES)
    assert len(set(follow.details["minutes"])) == MINUTES
    assert follow.details["minutes"] == written.details["minutes"]
    assert follow.figure.startswith(f"{MINUTES} of {MINUTES} minutes")
    assert all(page in follow.claim for page in FOLLOW)


# --- that the proof can fail


@pytest.mark.parametrize(("page", "column"), [(page, column) for page in FOLLOW for column in FOLLOW[page]])
def test_a_wrong_cell_of_any_column_is_found(played: Played, page: str, column: str) -> None:
    bus, stream, oracle = played
    last = int(stream.minutes[-1])
    wrong: Any = Altered(bus, page, one_less(column), always)
    assert oracle.differences(wrong, last) == [f"{page}.{column}"]
    missing: Any = Altered(bus, page, without(column), always)
    assert oracle.differences(missing, last) == [f"{page}.{column} is missing"]


@pytest.mark.parametrize("page", FOLLOW)
@pytest.mark.parametrize("wrong", ["changed", "absent"])
def test_a_page_that_is_wrong_or_absent_is_no_proof(played: Played, page: str, wrong: str) -> None:
    change = absent if wrong == "absent" else one_less(FOLLOW[page][-1])
    written, follow = looked_at(Altered(played[0], page, change, always), played)
    assert written.holds
    assert not follow.holds
    assert follow.details["equal"] == {**dict.fromkeys(FOLLOW, MINUTES), page: 0}
    named = [f"{page}.{column} is missing" for column in FOLLOW[page]]
    expected = named if wrong == "absent" else [f"{page}.{FOLLOW[page][-1]}"]
    assert follow.details["wrong"] == dict.fromkeys(follow.details["minutes"], expected)


@pytest.mark.parametrize("page", FOLLOW)
def test_one_minute_too_late_is_no_proof(played: Played, fair: list[proofs.Proof], page: str) -> None:
    bus, stream, _ = played
    first = fair[1].details["minutes"][0]
    upto = stream.start(bus) + stream.number(first)
    _, late = looked_at(Altered(bus, page, absent, lambda epoch: epoch <= upto), played)
    assert not late.holds
    assert late.details["equal"] == {**dict.fromkeys(FOLLOW, MINUTES), page: MINUTES - 1}
    assert list(late.details["wrong"]) == [first]
    assert late.figure.startswith(f"{MINUTES - 1} of {MINUTES} minutes")


def test_pages_that_nobody_declared_are_no_proof(few: Flights) -> None:
    stream, oracle = Stream(few), Oracle(few)
    with mmsb.open() as bus:
        pages.create(bus, few)  # type: ignore[arg-type]
        stream.play(bus, len(stream))  # type: ignore[arg-type]
        written, follow = looked_at(bus, (bus, stream, oracle))
        left = bus.epoch, bus.digest()
        survived = proofs.survived(bus, stream, oracle, len(stream), left)  # type: ignore[arg-type]
        noon, _ = proofs.noon(bus, stream, oracle)  # type: ignore[arg-type]
        assert summary.moments(bus, stream, [720]) == [], "the proofs tell it"  # type: ignore[arg-type]
    assert follow.details["equal"] == dict.fromkeys(FOLLOW, 0)
    assert [proof.holds for proof in (written, follow, survived, noon)] == [False] * 4
    assert written.details["equal"] == {**dict.fromkeys(pages.PAGES, MINUTES), "links_seen": 0}


# --- by hand, from the lines of the file


@pytest.fixture(scope="module")
def lines(few: Flights) -> list[dict[str, str]]:
    """The same flights, as the csv module reads them."""
    with zipfile.ZipFile(source.folder() / "flights.csv.zip") as archive:
        reader = csv.DictReader(io.StringIO(archive.read("flights.csv").decode("ascii")))
        return [line for line, _ in zip(reader, range(len(few)), strict=False)]


def planned(line: dict[str, str]) -> int:
    hours, minutes = divmod(int(line["sched_dep_time"]), 100)
    day = datetime(int(line["year"]), int(line["month"]), int(line["day"]), hours, minutes)
    return source.minute_of(day)


def gone(line: dict[str, str]) -> int:
    """When it left or, cancelled, should have."""
    return planned(line) + (0 if line["dep_time"] == "NA" else int(line["dep_delay"]))


def ways_from(start: str, minutes: dict[str, dict[str, int]]) -> dict[str, int]:
    """Shortest times from an airport to all that can be reached (Dijkstra, 1959)."""
    found: dict[str, int] = {}
    heap = [(0, start)]
    while heap:
        so_far, here = heapq.heappop(heap)
        if here not in found:
            found[here] = so_far
            for there, more in minutes.get(here, {}).items():
                heapq.heappush(heap, (so_far + more, there))
    return found


def test_ways_are_the_shortest_over_the_routes_that_are_open(
    few: Flights, played: Played, lines: list[dict[str, str]]
) -> None:
    bus, stream, _ = played
    arrivals = events.arrivals(few).tolist()
    codes = [airport.code for airport in few.airports]
    seen: set[frozenset[tuple[str, str]]] = set()
    for k in range(60, len(stream), 60):
        minute = int(stream.minutes[k - 1])
        board, landed, in_air = (
            Counter[tuple[str, str]](),
            Counter[tuple[str, str]](),
            Counter[tuple[str, str]](),
        )
        for line, arrival in zip(lines, arrivals, strict=True):
            route = line["origin"], line["dest"]
            board[route] += planned(line) - 60 <= minute < gone(line)
            if arrival != MISSING and arrival <= minute:
                landed[route] += 1
                in_air[route] += 0 if line["air_time"] == "NA" else int(line["air_time"])
        minutes: dict[str, dict[str, int]] = {}
        is_open = frozenset(route for route in landed if board[route])
        for route in is_open:
            for here, there in (route, route[::-1]):
                minutes.setdefault(here, {})[there] = in_air[route] // landed[route]
        wanted = [[ways_from(a, minutes).get(b, following.CLOSED) for b in codes] for a in codes]
        assert bus.at(stream.start(bus) + k)["ways"].arrays["value"].tolist() == wanted
        seen.add(is_open)
    assert len(seen) > 10, "routes open and close"
    assert any(one - other for one in seen for other in seen)


def test_delays_are_the_means_of_the_lines(played: Played, lines: list[dict[str, str]]) -> None:
    bus, stream, _ = played
    minute = int(stream.minutes[700])
    late: dict[str, list[int]] = {}
    for line in lines:
        if line["dep_time"] != "NA" and gone(line) <= minute:
            for key in (line["carrier"], line["origin"]):
                late.setdefault(key, []).append(int(line["dep_delay"]))
    means = {key: sum(delays) / len(delays) for key, delays in late.items()}
    said = summary.read(bus.at(stream.start(bus) + 701), stream.flights, minute)
    by_carrier = {code: means[code] for code, _ in stream.flights.carriers if code in means}
    assert {entry["code"]: entry["departure"] for entry in said["carriers"]} == by_carrier
    assert [entry["departure"] for entry in said["carriers"]] == sorted(by_carrier.values(), reverse=True)
    worst = max(proofs.NEW_YORK, key=lambda code: means[code])
    assert said["worst_airport"] == {
        "code": worst,
        "name": {"EWR": "Newark Liberty Intl", "JFK": "John F Kennedy Intl", "LGA": "La Guardia"}[worst],
        "departure": means[worst],
    }


# --- what is shown of it


def test_the_ways_that_are_shown_add_up(played: Played) -> None:
    bus, stream, _ = played
    codes = [airport.code for airport in stream.flights.airports]
    shown = 0
    for k in range(60, len(stream), 60):
        state = bus.at(stream.start(bus) + k)
        hops = state["hops"].arrays
        minutes = {
            frozenset((codes[a], codes[b])): m
            for a, b, m in zip(*(hops[name].tolist() for name in FOLLOW["hops"]), strict=True)
        }
        for way in summary.read(state, stream.flights, int(stream.minutes[k - 1]))["ways"]:
            stops = way["stops"]
            legs = pairwise(stops)
            assert sum(minutes[frozenset(leg)] for leg in legs) == way["minutes"]
            assert stops[0] == "EWR" or (len(stops) == 3 and stops[1] in proofs.NEW_YORK)
            shown += 1
    assert shown > 10


def test_a_way_that_takes_no_time_is_walked_too() -> None:
    source, target = np.array([0, 1, 1, 2, 2, 3]), np.array([1, 0, 2, 1, 3, 2])
    weight = np.array([0, 0, 0, 0, 5, 5])
    ways = np.array([[0, 0, 0, 5], [0, 0, 0, 5], [0, 0, 0, 5], [5, 5, 5, 0]])
    assert summary.stops_between(ways, source, target, weight, 0, 3) == [0, 1, 2, 3]
    assert summary.stops_between(ways, source, target, weight, 3, 3) == [3]


def test_with_nothing_flown_nothing_is_claimed(few: Flights, played: Played) -> None:
    bus, stream, _ = played
    said = summary.read(bus.at(stream.start(bus)), few, 0)
    assert said == {
        "minute": 0,
        "carriers": [],
        "worst_airport": None,
        "routes": {"open": 0, "all": len(few.routes)},
        "ways": [],
    }
