"""Playing the minutes into a bus: one epoch a minute that has events, from wherever the bus says it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from mmsb.applications.flights import deltas, events
from mmsb.applications.flights.face import Bus
from mmsb.applications.flights.source import DAY, Flights

TICK: Final = 64
"""Minutes between two reports of progress, if not said otherwise."""

EVENING: Final = 18 * 60
"""A minute of a day at which most routes have flights."""


class Stream:
    """The flights as minutes to be played, in order, numbered from 0."""

    def __init__(self, flights: Flights) -> None:
        """Make every minute's deltas ready."""
        self.flights = flights
        self.events = events.build(flights)
        self.deltas = deltas.prepare(flights, self.events)
        self.minutes = self.events.minutes
        if self.minutes[0] <= 0:
            raise ValueError(
                f"the first event is at minute {self.minutes[0]}; a clock of 0 means no event yet"
            )

    def __len__(self) -> int:
        return len(self.minutes)

    def number(self, minute: int) -> int:
        """How many minutes with events there are up to and with this one."""
        return int(np.searchsorted(self.minutes, minute, side="right"))

    def evening(self) -> int:
        """The last six in the evening that it comes to; its last minute if to none."""
        last = int(self.minutes[-1])
        six = (last - EVENING) // DAY * DAY + EVENING
        return six if six >= self.minutes[0] else last

    def played(self, bus: Bus) -> int:
        """How many minutes the bus has; it says so itself, by its clock."""
        minute = int(bus["clock"].arrays["minute"][0])
        count = self.number(minute)
        if minute != (self.minutes[count - 1] if count else 0):
            raise ValueError(f"the bus stands at minute {minute}, at which these flights have no event")
        return count

    def start(self, bus: Bus) -> int:
        """The epoch before the first minute: the epoch of `n` played minutes is this plus `n`."""
        return bus.epoch - self.played(bus)

    def play(self, bus: Bus, last: int, tick: Callable[[int], None] | None = None, every: int = TICK) -> int:
        """Play the minutes from where the bus is to before number `last`; how many that were.

        `tick` is called with the number of minutes played, `every` so many of them and at the end.
        """
        first = self.played(bus)
        clock = bus["clock"]["minute"]
        minutes = self.minutes.tolist()
        counts = np.diff(self.events.starts).tolist()
        assigned = [
            (
                batch.bounds,
                batch.rows,
                [(bus[batch.page][name], values) for name, values in batch.columns.items()],
            )
            for batch in self.deltas.assigned
        ]
        merged = [
            (batch.bounds, batch.rows, bus[batch.page].merge, list(batch.columns.items()))
            for batch in self.deltas.merged
        ]
        for k in range(first, last):
            with bus.transaction(source="flights", intent={"minute": minutes[k], "events": counts[k]}):
                clock[0] = minutes[k]
                for bounds, rows, columns in assigned:
                    lo, hi = bounds[k], bounds[k + 1]
                    if lo != hi:
                        touched = rows[lo:hi]
                        for column, values in columns:
                            column[touched] = values[lo:hi]
                for bounds, rows, merge, sums in merged:
                    lo, hi = bounds[k], bounds[k + 1]
                    if lo != hi:
                        merge({name: values[lo:hi] for name, values in sums}, rows=rows[lo:hi], op="add")
            if tick is not None and not (k + 1) % every:
                tick(k + 1)
        if tick is not None:
            tick(max(first, last))
        return max(0, last - first)
