"""The deltas of every minute, made ready in columns, so that playing a minute is slicing and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from mmsb.applications.flights.events import ARRIVED, CANCELLED, DEPARTED, SCHEDULED, Events
from mmsb.applications.flights.face import Array
from mmsb.applications.flights.pages import AIRBORNE, COUNTED, ON_GROUND, PAGES
from mmsb.applications.flights.source import Flights
from mmsb.applications.flights.table import MISSING


@dataclasses.dataclass(frozen=True)
class Batch:
    """What all minutes do to one page: minute k touches `rows[bounds[k]:bounds[k + 1]]`, each row once."""

    page: str
    bounds: list[int]
    rows: NDArray[np.int64]
    columns: dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Deltas:
    """Batches whose columns are assigned, a delta each, and batches merged by addition, a delta a page."""

    minutes: NDArray[np.int32]
    assigned: list[Batch]
    merged: list[Batch]

    def count(self, first: int, last: int) -> int:
        """How many deltas the minutes from number `first` to before `last` are, the clock's included."""

        def touched(batch: Batch) -> int:
            return int(np.count_nonzero(np.diff(batch.bounds[first : last + 1])))

        assigns = sum(touched(batch) * len(batch.columns) for batch in self.assigned)
        return last - first + assigns + sum(map(touched, self.merged))


def prepare(flights: Flights, events: Events) -> Deltas:
    """The deltas of all minutes."""
    return Deltas(
        minutes=events.minutes,
        assigned=[_aircraft_status(flights, events)],
        merged=[_sums(name, flights, events) for name in COUNTED],
    )


def _aircraft_status(flights: Flights, events: Events) -> Batch:
    """Where each aircraft is, and how, after its last event of the minute."""
    moves = np.flatnonzero((events.kind >= ARRIVED) & (flights.tail[events.flight] >= 0))
    group, flight = events.groups()[moves], events.flight[moves]
    rows = flights.tail[flight].astype(np.int64)
    # np.unique tells the first of equals, so look from the end to find the last.
    key = group * len(flights.tails) + rows
    _, from_end = np.unique(key[::-1], return_index=True)
    last = len(key) - 1 - from_end
    flight, arrived = flight[last], events.kind[moves][last] == ARRIVED
    place = np.where(arrived, flights.destination[flight], flights.origin[flight])
    columns = {
        "status": np.where(arrived, ON_GROUND, AIRBORNE),
        "place": place,
        "since": events.minute[moves][last],
    }
    return _batch("aircraft", group[last], rows[last], columns, len(events.minutes))


def _batch(
    page: str, group: NDArray[np.int64], rows: NDArray[np.int64], columns: dict[str, Array], n: int
) -> Batch:
    bounds = np.searchsorted(group, np.arange(n + 1)).tolist()
    typed = {name: np.ascontiguousarray(values, PAGES[page][name]) for name, values in columns.items()}
    return Batch(page, bounds, rows, typed)


def _sums(page: str, flights: Flights, events: Events) -> Batch:
    """What the events of a minute add to each row of a page, as one amount a cell."""
    kind, flight = events.kind, events.flight
    scheduled, cancelled = (kind == SCHEDULED).astype(np.int64), (kind == CANCELLED).astype(np.int64)
    arrived, departed = (kind == ARRIVED).astype(np.int64), (kind == DEPARTED).astype(np.int64)

    def known(amount: NDArray[np.int32]) -> NDArray[np.int64]:
        return np.where(amount == MISSING, 0, amount)[flight].astype(np.int64)

    amounts = {
        "board": scheduled - cancelled - departed,
        "airborne": departed - arrived,
        "scheduled": scheduled,
        "departed": departed,
        "departures": departed,
        "cancelled": cancelled,
        "arrived": arrived,
        "arrivals": arrived,
        "departure_delay": departed * known(flights.departure_delay),
        "arrival_delay": arrived * known(flights.arrival_delay),
        "air_time": arrived * known(flights.air_time),
        "miles": arrived * known(flights.distance),
    }
    rows = {
        "logbooks": flights.tail[flight],
        "airports": np.where(kind == ARRIVED, flights.destination[flight], flights.origin[flight]),
        "carriers": flights.carrier[flight],
        "routes": flights.route[flight],
    }[page]
    concerned = np.flatnonzero((kind >= ARRIVED) & (rows >= 0) if page == "logbooks" else rows >= 0)
    group = events.groups()[concerned]
    most = int(rows.max(initial=0)) + 1
    key = group * most + rows[concerned]
    order = np.argsort(key, kind="stable")
    cell, starts = np.unique(key[order], return_index=True)
    wanted = [name for name in PAGES[page] if name in amounts]
    summed = {name: np.add.reduceat(amounts[name][concerned][order], starts) for name in wanted}
    return _batch(page, cell // most, cell % most, summed, len(events.minutes))
