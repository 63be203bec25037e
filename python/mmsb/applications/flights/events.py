"""What happened, minute by minute: every flight as scheduled, departed, arrived or cancelled events.

All minutes are on one clock, the wall clock of New York, counted from 1 January 2013, 00:00. The rules:

- *Scheduled*: a flight comes on its airport's departure board `BOARD` minutes before its planned departure.
  No flight left more than 43 minutes early, so it is on the board before it leaves.
- *Departed*: at the planned departure plus the delay the file gives. That carries flights past midnight to
  the right day; the file's `dep_time` (2400 at midnight) agrees with it in every row, and a test says so.
- *Cancelled*: a flight without a departure time. The file does not tell when it was called off; here, when it
  should have left.
- *Arrived*: the file gives the arrival on the destination's clock, without a day. It is the first minute
  after the departure at which that clock shows that time: no flight took a day. Checked against the time in
  the air: on the ground remain 5 to 235 minutes in all, for all 327,346 flights that have both.
- The destination's clock runs `airports.tz` hours from UTC, one more in summer where `airports.dst` says so.
  Which of the two holds is taken at the planned departure, for both ends, so the minute counts time that
  passed. (Flights in the air at 02:00 of a night when clocks change, and landing where they do, are the
  exception: an hour off.)
- A flight that departed and has no arrival time was diverted for good (458 of them): it gives no arrival, and
  its aircraft stays in the air until it leaves New York again. One with an arrival time but no arrival delay
  was diverted and got there in the end (717): it arrives, with no delay and no time in the air known.
- A flight whose aircraft is not known (2,512, all cancelled) has its events; none concerns an aircraft.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mmsb.applications.flights.source import DAY, SUMMER, Flights
from mmsb.applications.flights.table import MISSING

BOARD: Final = 60
"""Minutes before its planned departure at which a flight is on the departure board."""

SCHEDULED: Final = 0
CANCELLED: Final = 1
ARRIVED: Final = 2
DEPARTED: Final = 3
"""Kinds of events, in the order they take within a minute: an aircraft arrives before it leaves again."""

KINDS: Final = ("scheduled", "cancelled", "arrived", "departed")


@dataclasses.dataclass(frozen=True)
class Events:
    """Events in order of (minute, kind, flight), and the distinct minutes that have any.

    Events `starts[k]` to `starts[k + 1]` happened at `minutes[k]`.
    """

    minute: NDArray[np.int32]
    kind: NDArray[np.uint8]
    flight: NDArray[np.int32]
    minutes: NDArray[np.int32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.minute)

    def groups(self) -> NDArray[np.int64]:
        """For each event, the number of its minute among `minutes`."""
        return np.repeat(np.arange(len(self.minutes)), np.diff(self.starts))


def planned(flights: Flights) -> NDArray[np.int32]:
    """The minute at which each flight should leave."""
    return flights.day * DAY + flights.planned_departure


def clock_ahead(flights: Flights, at: NDArray[np.int32]) -> NDArray[np.int32]:
    """Minutes the destination's clock is ahead of the origin's, for a flight planned to leave at `at`."""
    standard = np.array([airport.standard for airport in flights.airports], np.int32)
    keeps_summer = np.array([airport.summer for airport in flights.airports], np.bool_)
    summer = (at >= SUMMER[0]) & (at < SUMMER[1])
    there, here = flights.destination, flights.origin
    hours = standard[there] - standard[here]
    return (60 * (hours + (keeps_summer[there] & summer) - (keeps_summer[here] & summer))).astype(np.int32)


def departures(flights: Flights) -> NDArray[np.int32]:
    """The minute at which each flight left, `MISSING` if it never did."""
    return np.where(flights.departure == MISSING, MISSING, planned(flights) + flights.departure_delay)


def arrivals(flights: Flights) -> NDArray[np.int32]:
    """The minute at which each flight reached its destination, `MISSING` if it never did."""
    left = departures(flights)
    in_new_york = flights.arrival - clock_ahead(flights, planned(flights))
    arrived = left + (in_new_york - left) % DAY
    return np.where((left == MISSING) | (flights.arrival == MISSING), MISSING, arrived)


def build(flights: Flights) -> Events:
    """All events of the flights."""
    should = planned(flights)
    left = departures(flights)
    minutes = {
        SCHEDULED: should - BOARD,
        CANCELLED: np.where(left == MISSING, should, MISSING),
        ARRIVED: arrivals(flights),
        DEPARTED: left,
    }
    which = {kind: np.flatnonzero(minute != MISSING) for kind, minute in minutes.items()}
    minute = np.concatenate([minutes[kind][rows] for kind, rows in which.items()])
    kind = np.concatenate([np.full(len(rows), kind, np.uint8) for kind, rows in which.items()])
    flight = np.concatenate(list(which.values())).astype(np.int32)
    # Stable, and put together kind by kind in order of flights: equal minutes keep (kind, flight) order.
    order = np.argsort(minute, kind="stable")
    minute = minute[order]
    starts = np.flatnonzero(np.concatenate(([True], minute[1:] != minute[:-1])))
    return Events(
        minute=minute,
        kind=kind[order],
        flight=flight[order],
        minutes=minute[starts],
        starts=np.append(starts, len(minute)),
    )
