"""Pages that follow from those that are written: delay by carrier, the worst airport, ways between airports.

The ways are the shortest times in the air between any two airports over the routes that are open, in either
direction. A route is open while a flight on it is on the departure board, once one has arrived: so it opens
and closes with every few flights, all routes together some 221,000 times a year. It takes the whole minutes
that its flights have taken in the mean (those few whose time the file does not give count as none), and so
gets longer and shorter with every landing, and the ways with it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mmsb.applications.flights.face import DerivingBus, rules
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
"""The pages, in the order in which they follow from each other."""

SEEN: Final = "links_seen"
"""The written page that feeds them: each route twice, there and back. It never changes."""

COUNTS: Final = {"departure": "departed", "arrival": "arrived"}
"""What the minutes of delay of either kind are divided by."""


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
        is_open = (route["arrived"] > 0) & (route["scheduled"] > route["departed"] + route["cancelled"])
        hops = bus.derive(
            "hops",
            {
                "origin": route["origin"],
                "destination": route["destination"],
                "minutes": np.where(is_open, route["air_time"] // route["arrived"], CLOSED),
            },
        )
        seen = bus.create_page(SEEN, rows=2 * routes, columns={"route": "int32", "back": "bool"})
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
    total, count = mmsb.col(page[f"{way}_delay"]), mmsb.col(page[COUNTS[way]])
    return mmsb.where(count > 0, total / count, 0.0)
