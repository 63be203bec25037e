"""What the pages that follow say at a moment: carriers by delay, the worst airport, ways between airports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from mmsb.applications.flights.face import Array, Bus
from mmsb.applications.flights.following import CLOSED, FOLLOWING
from mmsb.applications.flights.proofs import NEW_YORK
from mmsb.applications.flights.source import Flights
from mmsb.applications.flights.stream import Stream

FROM: Final = "EWR"
"""Where the first of the ways begins; the second begins and ends outside New York, and changes once."""


def moments(bus: Bus, stream: Stream, minutes: Iterable[int]) -> list[dict[str, Any]]:
    """What they say at these minutes; nothing where one is absent, which is for the proofs to tell."""
    if not all(page in bus for page in FOLLOWING):
        return []
    start = stream.start(bus)
    return [read(bus.at(start + stream.number(minute)), stream.flights, minute) for minute in minutes]


def read(state: Bus, flights: Flights, minute: int) -> dict[str, Any]:
    """All of it as plain values; every figure is read from the pages that follow."""
    late = state["delay_by_carrier"].arrays
    flown = np.flatnonzero(state["carriers"].arrays["departed"])
    order = flown[np.argsort(-late["departure"][flown], kind="stable")]
    worst = int(state["worst_airport"].arrays["value"])
    delay = float(state["delay_by_airport"].arrays["departure"][worst])
    minutes = state["hops"].arrays["minutes"]
    return {
        "minute": minute,
        "carriers": [
            {
                "code": flights.carriers[row][0],
                "name": flights.carriers[row][1],
                **{way: float(late[way][row]) for way in ("departure", "arrival")},
            }
            for row in order.tolist()
        ],
        # Before any airport has departures enough to be compared, none is the worst.
        "worst_airport": {
            "code": flights.airports[worst].code,
            "name": flights.airports[worst].name,
            "departure": delay,
        }
        if np.isfinite(delay)
        else None,
        "routes": {"open": int(np.count_nonzero(minutes < CLOSED)), "all": len(minutes)},
        "ways": _longest(state, [airport.code for airport in flights.airports]),
    }


def _longest(state: Bus, codes: list[str]) -> list[dict[str, Any]]:
    """Of the shortest ways the longest from `FROM`, and the longest with one change, between others."""
    ways = state["ways"].arrays["value"]
    links = state["links"].arrays
    source, target, weight = links["source"], links["target"], links["weight"]
    here = np.array([code in NEW_YORK for code in codes])
    begins = np.array([code == FROM for code in codes])
    once = np.zeros_like(ways, np.bool_)
    for change in np.flatnonzero(here):
        there = (source == change) & (weight < CLOSED)
        ends, minutes = target[there], weight[there]
        is_way = minutes[:, None] + minutes == ways[ends[:, None], ends]
        np.logical_or.at(once, (ends[:, None], ends), is_way)
    found = []
    for chosen in (begins[:, None] & ~here, once & ~here[:, None] & ~here):
        lengths = np.where(chosen & (ways < CLOSED), ways, 0)
        if lengths.any():
            a, b = divmod(int(lengths.argmax()), len(codes))
            stops = stops_between(ways, source, target, weight, a, b)
            found.append({"minutes": int(ways[a, b]), "stops": [codes[stop] for stop in stops]})
    return found


def stops_between(ways: Array, source: Array, target: Array, weight: Array, a: int, b: int) -> list[int]:
    """The airports of a shortest way from `a` to `b`, both included; of several, one of the fewest."""
    is_open = (weight < CLOSED) & (ways[a, source] < CLOSED) & (ways[target, b] < CLOSED)
    tight = np.flatnonzero(is_open)
    tight = tight[ways[a, source[tight]] + weight[tight] + ways[target[tight], b] == ways[a, b]]
    came_from = {a: a}
    reached = [a]
    for here in reached:  # grows as it is walked: nearest first
        for there in target[tight[source[tight] == here]].tolist():
            if there not in came_from:
                came_from[there] = here
                reached.append(there)
    stops = [b]
    while stops[-1] != a:
        stops.append(came_from[stops[-1]])
    return stops[::-1]
