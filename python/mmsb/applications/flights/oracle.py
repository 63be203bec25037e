"""What plain numpy says the pages hold at any minute, from the file alone: no events, no deltas, no bus.

Every number is a mask over the flights ("left by then") and a count or sum of what it chooses. Even the times
are found in another way than `events` finds them, from other columns of the file: a departure from the clock
time instead of the delay, an arrival from the timetable and its delay instead of the clock time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mmsb.applications.flights import followed
from mmsb.applications.flights.face import Array, Bus
from mmsb.applications.flights.pages import AIRBORNE, ON_GROUND, PAGES, constants, rows
from mmsb.applications.flights.source import DAY, SUMMER, Flights
from mmsb.applications.flights.table import MISSING

_NEVER: Final = np.iinfo(np.int64).max
_NEW_YORK: Final = -5  # hours from UTC, in winter
_BOARD: Final = 60  # minutes before departure at which a flight is on the board


class Oracle:
    """The flights as arrays of times, asked for the state at a minute."""

    def __init__(self, flights: Flights) -> None:
        """Find the minute of everything that happened to each flight."""
        self.flights = flights
        planned = flights.day.astype(np.int64) * DAY + flights.planned_departure
        cancelled = flights.departure == MISSING
        # The first time after coming on the board that New York's clock shows the departure.
        self.listed = planned - _BOARD
        left = self.listed + (flights.departure - self.listed) % DAY
        # The destination's clock, against New York's, which keeps summer time.
        hours = np.array([airport.standard - _NEW_YORK for airport in flights.airports])[flights.destination]
        winter_only = np.array([not airport.summer for airport in flights.airports])[flights.destination]
        in_summer = (planned >= SUMMER[0]) & (planned < SUMMER[1])
        ahead = 60 * np.where(winter_only & in_summer, hours - 1, hours)
        on_time = planned + (flights.planned_arrival - ahead - planned) % DAY
        diverted = flights.arrival_delay == MISSING
        reached = np.where(
            diverted, left + (flights.arrival - ahead - left) % DAY, on_time + flights.arrival_delay
        )
        self.cancelled = np.where(cancelled, planned, _NEVER)
        self.left = np.where(cancelled, _NEVER, left)
        self.reached = np.where(cancelled | (flights.arrival == MISSING), _NEVER, reached)

    def state(self, minute: int) -> dict[str, dict[str, Array]]:
        """Every column of every page once `minute` is over, typed as the pages are."""
        flights = self.flights
        listed, cancelled = self.listed <= minute, self.cancelled <= minute
        left, reached = self.left <= minute, self.reached <= minute
        size = rows(flights)

        def count(chosen: NDArray[np.bool_], by: NDArray[np.int32], page: str) -> NDArray[np.int64]:
            return np.bincount(by[chosen], minlength=size[page])

        def total(amount: Array, chosen: NDArray[np.bool_], by: NDArray[np.int32], page: str) -> Array:
            chosen = chosen & (amount != MISSING)
            return np.bincount(by[chosen], weights=amount[chosen], minlength=size[page])  # whole, below 2**53

        def traffic(page: str, here: NDArray[np.int32], there: NDArray[np.int32]) -> dict[str, Array]:
            return {
                "scheduled": count(listed, here, page),
                "departed": count(left, here, page),
                "cancelled": count(cancelled, here, page),
                "arrived": count(reached, there, page),
                "departure_delay": total(flights.departure_delay, left, here, page),
                "arrival_delay": total(flights.arrival_delay, reached, there, page),
            }

        waiting, flying = listed & ~left & ~cancelled, left & ~reached
        tail, known = flights.tail, flights.tail >= 0
        state = {
            "clock": {"minute": np.array([self._last_event(minute)])},
            "aircraft": self._aircraft(minute),
            "logbooks": {
                "departures": count(left & known, tail, "logbooks"),
                "arrivals": count(reached & known, tail, "logbooks"),
                "air_time": total(flights.air_time, reached & known, tail, "logbooks"),
                "miles": total(flights.distance, reached & known, tail, "logbooks"),
            },
            "airports": {
                "board": count(waiting, flights.origin, "airports"),
                **traffic("airports", flights.origin, flights.destination),
            },
            "carriers": {
                "airborne": count(flying, flights.carrier, "carriers"),
                **traffic("carriers", flights.carrier, flights.carrier),
                "miles": total(flights.distance, reached, flights.carrier, "carriers"),
            },
            "routes": {
                **traffic("routes", flights.route, flights.route),
                "air_time": total(flights.air_time, reached, flights.route, "routes"),
            },
        }
        fixed = constants(flights)
        written = {
            page: {
                # "float32[2]" is a column of float32 pairs.
                name: np.ascontiguousarray({**fixed[page], **state[page]}[name], dtype.partition("[")[0])
                for name, dtype in columns.items()
            }
            for page, columns in PAGES.items()
        }
        return {**written, **followed.state(flights, written)}

    def _last_event(self, minute: int) -> int:
        times = np.concatenate((self.listed, self.cancelled, self.left, self.reached))
        return int(times[times <= minute].max(initial=0))

    def _aircraft(self, minute: int) -> dict[str, Array]:
        """Where each aircraft is by its latest departure or arrival; in one minute, arrivals come first."""
        flights = self.flights
        latest = np.full(len(flights.tails), -1, np.int64)
        for happened, kind in ((self.reached, 0), (self.left, 1)):
            done = np.flatnonzero((happened <= minute) & (flights.tail >= 0))
            np.maximum.at(latest, flights.tail[done], (happened[done] * 2 + kind) * len(flights) + done)
        seen = latest >= 0
        event, flight = np.divmod(latest, len(flights))
        time, leaves = np.divmod(event, 2)
        place = np.where(leaves == 1, flights.origin[flight], flights.destination[flight])
        return {
            "status": np.where(seen, np.where(leaves == 1, AIRBORNE, ON_GROUND), 0),
            "place": np.where(seen, place, 0),
            "since": np.where(seen, time, 0),
        }

    def compared(self, bus: Bus, minute: int) -> dict[str, list[str]]:
        """Every page that must be there, and its columns that are not, bit for bit, what the file says.

        What must be there is what the file says, never what the bus happens to have: an absent page is wrong.
        """
        wanted = self.state(minute)
        found = {page: bus[page].arrays for page in wanted if page in bus}
        return {page: compare(found, {page: columns}) for page, columns in wanted.items()}

    def differences(self, bus: Bus, minute: int) -> list[str]:
        """The columns of the bus that are not, bit for bit, what the file says they are at `minute`."""
        return [wrong for columns in self.compared(bus, minute).values() for wrong in columns]


def compare(found: Mapping[str, Mapping[str, Array]], wanted: Mapping[str, Mapping[str, Array]]) -> list[str]:
    """The columns that are missing, or whose type, shape or bytes differ, as `page.column`."""
    wrong = []
    for page, columns in wanted.items():
        for name, values in columns.items():
            have = found.get(page, {}).get(name)
            if have is None:
                wrong.append(f"{page}.{name} is missing")
            elif (have.dtype, have.shape, have.tobytes()) != (values.dtype, values.shape, values.tobytes()):
                wrong.append(f"{page}.{name}")
    return wrong
