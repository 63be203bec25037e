"""Pages that follow from those that are written: delay by carrier, the worst airport, ways between airports.

The ways are the shortest times of flight between any two airports over the routes flown so far, in either
direction. A route is open once a flight on it has arrived, unless more than half of those scheduled on it
were cancelled; it takes the whole minutes that its flights have taken in the mean. So routes open and close,
and get longer and shorter, with every landing, and the ways with them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mmsb.applications.flights.face import Array, DerivingBus, rules
from mmsb.applications.flights.source import Flights

CLOSED: Final = np.iinfo(np.int64).max
"""No way, in minutes."""

FEW: Final = 10
"""Departures from which on an airport is compared with others."""

FOLLOWING: Final = (
    "delay_by_carrier",
    "delay_by_airport",
    "worst_airport",
    "hops",
    "both_ways",
    "links",
    "ways",
)
"""The pages, in the order in which they follow from each other; `links_seen` feeds them and never changes."""


def derive(bus: DerivingBus, flights: Flights) -> None:
    """Declare the pages, in one epoch; nothing if they are there."""
    if FOLLOWING[0] in bus:
        return
    mmsb = rules()
    col, routes = mmsb.col, len(flights.routes)
    with bus.transaction(source="timetable", intent={"derive": list(FOLLOWING)}):
        carriers, airports = bus["carriers"], bus["airports"]
        bus.derive("delay_by_carrier", {way: _mean(mmsb, carriers, way) for way in ("departure", "arrival")})
        late = np.where(col(airports["departed"]) >= FEW, _mean(mmsb, airports, "departure"), -np.inf)
        by_airport = bus.derive("delay_by_airport", {"departure": late})
        bus.derive("worst_airport", mmsb.reduce(by_airport["departure"], "argmax"))

        route = {name: col(bus["routes"][name]) for name in bus["routes"].arrays}
        is_open = (route["arrived"] > 0) & (2 * route["cancelled"] <= route["scheduled"])
        hops = bus.derive(
            "hops",
            {
                "origin": route["origin"],
                "destination": route["destination"],
                "minutes": np.where(is_open, route["air_time"] // route["arrived"], CLOSED),
            },
        )
        # Each route twice, there and back.
        seen = bus.create_page("links_seen", rows=2 * routes, columns={"route": "int32", "back": "bool"})
        seen["route"][:] = np.arange(2 * routes) % max(routes, 1)
        seen["back"][:] = np.arange(2 * routes) >= routes
        both = bus.derive("both_ways", mmsb.gather(hops, seen["route"]))
        back = col(seen["back"])
        there, here = col(both["origin"]), col(both["destination"])
        links = bus.derive(
            "links",
            {
                "source": mmsb.where(back, here, there),
                "target": mmsb.where(back, there, here),
                "weight": col(both["minutes"]),
            },
        )
        bus.derive("ways", mmsb.closure(links, vertices=len(flights.airports), semiring="min_plus"))


def _mean(mmsb: Any, page: Any, way: str) -> Any:
    """Minutes of delay, of the flights that have left or arrived; 0 of none."""
    total, count = mmsb.col(page[f"{way}_delay"]), mmsb.col(page[_COUNTS[way]])
    return mmsb.where(count > 0, total / count, 0.0)


_COUNTS: Final = {"departure": "departed", "arrival": "arrived"}


def state(flights: Flights, written: dict[str, dict[str, Array]]) -> dict[str, dict[str, Array]]:
    """What the pages hold where the others hold this, by plain numpy."""
    carriers, airports, routes = written["carriers"], written["airports"], written["routes"]
    late = np.where(airports["departed"] >= FEW, _mean_of(airports, "departure"), -np.inf)
    is_open = (routes["arrived"] > 0) & (2 * routes["cancelled"] <= routes["scheduled"])
    minutes = np.where(is_open, routes["air_time"] // np.maximum(routes["arrived"], 1), CLOSED)
    origin, destination = routes["origin"], routes["destination"]
    return {
        "delay_by_carrier": {way: _mean_of(carriers, way) for way in ("departure", "arrival")},
        "delay_by_airport": {"departure": late},
        "worst_airport": {"value": np.array(np.argmax(late), np.int64)},
        "hops": {"origin": origin, "destination": destination, "minutes": minutes},
        "both_ways": {
            "origin": np.concatenate([origin, origin]),
            "destination": np.concatenate([destination, destination]),
            "minutes": np.concatenate([minutes, minutes]),
        },
        "links": {
            "source": np.concatenate([origin, destination]),
            "target": np.concatenate([destination, origin]),
            "weight": np.concatenate([minutes, minutes]),
        },
        "ways": {"value": _ways(len(flights.airports), origin, destination, minutes)},
    }


def _mean_of(page: dict[str, Array], way: str) -> NDArray[np.float64]:
    total, count = page[f"{way}_delay"], page[_COUNTS[way]]
    return np.where(count > 0, total / np.maximum(count, 1), 0.0)


def _ways(vertices: int, origin: Array, destination: Array, minutes: Array) -> NDArray[np.int64]:
    """Shortest times between all pairs (Floyd, 1962)."""
    far = CLOSED // 4  # twice as far does not wrap
    ways = np.full((vertices, vertices), far, np.int64)
    known = minutes < CLOSED
    for a, b in ((origin, destination), (destination, origin)):
        np.minimum.at(ways, (a[known], b[known]), minutes[known])
    np.fill_diagonal(ways, 0)
    for via in range(vertices):
        np.minimum(ways, ways[:, via, None] + ways[None, via], out=ways)
    return np.where(ways >= far, CLOSED, ways)
