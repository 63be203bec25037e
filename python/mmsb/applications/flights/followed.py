"""What plain numpy says the pages that follow hold: nothing of the engine, of its rules or of its algebra."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmsb.applications.flights.face import Array
from mmsb.applications.flights.following import CLOSED, COUNTS, FEW, SEEN
from mmsb.applications.flights.source import Flights


def state(flights: Flights, written: dict[str, dict[str, Array]]) -> dict[str, dict[str, Array]]:
    """What the pages that follow hold where the others hold this, and what feeds them."""
    carriers, airports, routes = written["carriers"], written["airports"], written["routes"]
    late = np.where(airports["departed"] >= FEW, _mean_of(airports, "departure"), -np.inf)
    is_open = (routes["arrived"] > 0) & (routes["scheduled"] > routes["departed"] + routes["cancelled"])
    minutes = np.where(is_open, routes["air_time"] // np.maximum(routes["arrived"], 1), CLOSED)
    origin, destination = routes["origin"], routes["destination"]
    count = len(flights.routes)
    return {
        SEEN: {
            "route": np.tile(np.arange(count, dtype=np.int32), 2),
            "back": np.repeat([False, True], count),
        },
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
    total, count = page[f"{way}_delay"], page[COUNTS[way]]
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
