"""The pages the flights keep: the clock, aircraft and their logbooks, airports, carriers and routes.

What a thing *is* (its status, its place) is assigned. What is *counted* (flights, minutes of delay, the queue
on the departure board) is merged by addition, so a delta says "one more", not "now 4,711". A page does one or
the other, as the operator belongs to the page; columns that say what a row is never change, so they fit
anywhere.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mmsb.applications.flights.face import Array, Bus, names
from mmsb.applications.flights.source import Flights

UNSEEN: Final = 0
ON_GROUND: Final = 1
AIRBORNE: Final = 2
"""Values of an aircraft's status."""

CLOCK: Final = {"minute": "int32"}
"""One row: the last minute that was applied (0: none yet)."""

AIRCRAFT: Final = {
    "tail": "S6",
    "seats": "int16",  # 0 if not known
    "status": "uint8",
    "place": "int16",  # the airport it is at or, in the air, came from: a row of the page airports
    "since": "int32",  # minute of its last departure or arrival
}

LOGBOOKS: Final = {
    "departures": "int32",
    "arrivals": "int32",
    "air_time": "int32",  # minutes
    "miles": "int32",
}

AIRPORTS: Final = {
    "code": "S3",
    "position": "float32[2]",  # latitude, longitude; degrees
    "board": "int32",  # flights on the departure board: scheduled, neither departed nor cancelled
    "scheduled": "int32",
    "departed": "int32",
    "cancelled": "int32",
    "arrived": "int32",
    "departure_delay": "int64",  # minutes, summed; negative where early
    "arrival_delay": "int64",
}

CARRIERS: Final = {
    "code": "S2",
    "airborne": "int32",
    "scheduled": "int32",
    "departed": "int32",
    "cancelled": "int32",
    "arrived": "int32",
    "departure_delay": "int64",
    "arrival_delay": "int64",
    "miles": "int64",
}

ROUTES: Final = {
    "origin": "int16",  # rows of the page airports
    "destination": "int16",
    "scheduled": "int32",
    "departed": "int32",
    "cancelled": "int32",
    "arrived": "int32",
    "departure_delay": "int64",
    "arrival_delay": "int64",
    "air_time": "int64",
}

PAGES: Final = {
    "clock": CLOCK,
    "aircraft": AIRCRAFT,
    "logbooks": LOGBOOKS,  # a row for each row of aircraft
    "airports": AIRPORTS,
    "carriers": CARRIERS,
    "routes": ROUTES,
}

COUNTED: Final = ("logbooks", "airports", "carriers", "routes")
"""The pages that merge, by addition."""


def rows(flights: Flights) -> dict[str, int]:
    """How many rows each page has."""
    return {
        "clock": 1,
        "aircraft": len(flights.tails),
        "logbooks": len(flights.tails),
        "airports": len(flights.airports),
        "carriers": len(flights.carriers),
        "routes": len(flights.routes),
    }


def constants(flights: Flights) -> dict[str, dict[str, Array]]:
    """The columns that say what each row is; no event changes them."""
    airports = flights.airports
    return {
        "clock": {},
        "aircraft": {"tail": names(6, flights.tails), "seats": flights.seats},
        "logbooks": {},
        "airports": {
            "code": names(3, (airport.code for airport in airports)),
            "position": np.array([(airport.latitude, airport.longitude) for airport in airports], np.float32),
        },
        "carriers": {"code": names(2, (code for code, _ in flights.carriers))},
        "routes": {
            "origin": np.array([origin for origin, _ in flights.routes], np.int16),
            "destination": np.array([destination for _, destination in flights.routes], np.int16),
        },
    }


def create(bus: Bus, flights: Flights) -> None:
    """Create the pages, empty of events, in one epoch; nothing if they are there."""
    if "clock" in bus:
        return
    count = rows(flights)
    with bus.transaction(source="timetable", intent={"create": list(PAGES), "flights": len(flights)}):
        for name, columns in PAGES.items():
            page = bus.create_page(
                name, rows=count[name], columns=columns, op="add" if name in COUNTED else None
            )
            for column, values in constants(flights)[name].items():
                page[column][:] = values
