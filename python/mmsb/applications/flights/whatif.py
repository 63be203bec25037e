"""What if Newark had been closed for a day: a branch of the past, its difference, and its merge."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mmsb.applications.flights.face import Array, Bus
from mmsb.applications.flights.following import FOLLOWING
from mmsb.applications.flights.oracle import Oracle
from mmsb.applications.flights.proofs import Proof
from mmsb.applications.flights.source import DAY, minute_of, moment
from mmsb.applications.flights.stream import Stream
from mmsb.applications.flights.table import MISSING

CLOSED: Final = "EWR"
CLOSED_DAY: Final = datetime(2013, 11, 27)


@dataclasses.dataclass(frozen=True)
class Closure:
    """The day without Newark: what it cost, and where it left the log."""

    day: int
    epoch: int
    flights: int
    delay_spared: int


def close_newark(bus: Bus, stream: Stream, conflict: type[Exception]) -> tuple[Closure, list[Proof]]:
    """Branch at midnight, play the day with its departures from Newark cancelled, and try to merge it.

    The branch must be, bit for bit, what numpy makes of the file with those flights cancelled; its difference
    from the day as it was must be the rows in which the two computations differ; the bus, which has gone on,
    must refuse it with the error `conflict` and stay as it was; a line still at midnight must take it and
    become equal to it.
    """
    flights = stream.flights
    day = min(minute_of(CLOSED_DAY), int(flights.day.max()) * DAY) // DAY
    codes = [airport.code for airport in flights.airports]
    closed = (flights.origin == codes.index(CLOSED)) & (flights.day == day)
    would_have_left = closed & (flights.departure != MISSING)
    spared = int(flights.departure_delay[would_have_left].sum())
    other = Stream(flights.cancel(closed))
    midnight, end = day * DAY - 1, (day + 1) * DAY - 1
    fork = stream.start(bus) + stream.number(midnight)
    closure = Closure(day, fork, int(np.count_nonzero(would_have_left)), spared)

    plan = bus.branch("newark-closed", at=fork)
    other.play(plan, other.number(end))
    as_it_was = bus.branch("as-it-was", at=stream.start(bus) + stream.number(end))
    truth, imagined = Oracle(flights).state(end), Oracle(other.flights)
    wrong = imagined.differences(plan, end)
    without = Proof(
        claim=f"a branch: Newark closed on {moment(midnight + 1):%-d %B} is what the file so changed says",
        holds=not wrong,
        figure=f"from epoch {fork:,}: {closure.flights:,} departures, {spared:,} minutes of delay less",
        details={**dataclasses.asdict(closure), "wrong": wrong},
    )

    wanted = {
        page: set(
            np.flatnonzero(np.any([_differs(truth[page][c], v) for c, v in columns.items()], axis=0)).tolist()
        )
        for page, columns in imagined.state(end).items()
    }
    wanted = {page: rows for page, rows in wanted.items() if rows}
    found: dict[str, set[int]] = {}
    for change in plan.diff(as_it_was):
        found.setdefault(change.page, set()).update(int(row) for row in change.rows)
    rows = {page: len(rows) for page, rows in found.items()}
    difference = Proof(
        claim="its difference from the day as it was is exactly the rows that differ",
        holds=found == wanted,
        figure=", ".join(f"{count:,} {page}" for page, count in rows.items() if page not in FOLLOWING)
        + f"; {sum(rows.get(page, 0) for page in FOLLOWING):,} rows of the pages that follow",
        details={"rows": rows, "wanted": {page: len(rows) for page, rows in wanted.items()}},
    )
    return closure, [without, difference, _refused(bus, plan, conflict), _accepted(bus, plan, fork)]


def _differs(one: Array, other: Array) -> NDArray[np.bool_]:
    """In which rows two columns differ."""
    unequal = np.atleast_1d(np.not_equal(one, other))
    return np.asarray(unequal.reshape(len(unequal), -1).any(axis=1))


def _refused(bus: Bus, plan: Bus, conflict: type[Exception]) -> Proof:
    minute = int(bus["clock"].arrays["minute"][0])
    if minute == int(plan["clock"].arrays["minute"][0]):
        # Few flights end on the same minute, Newark closed or not: the bus goes on by one more.
        with bus.transaction(source="flights", intent={"minute": minute + 1, "events": 0}):
            bus["clock"]["minute"][0] = minute + 1
    before = bus.epoch, bus.digest()
    refusal = ""
    try:
        bus.merge(plan)
    except conflict as error:
        refusal = str(error)
    first, *more = refusal.partition("\n")[0].split("; ")
    return Proof(
        claim="the bus, which has gone on since, refuses to merge it, and stays as it was",
        holds=bool(refusal) and before == (bus.epoch, bus.digest()),
        figure=(first + (f", and {len(more):,} more" if more else "")) or "it was merged",
        details={"refusal": refusal},
    )


def _accepted(bus: Bus, plan: Bus, fork: int) -> Proof:
    line = bus.branch("newark-accepted", at=fork)
    line.merge(plan)
    digest = line.digest()
    return Proof(
        claim="a line still at that midnight accepts it, and is then equal to it",
        holds=digest == plan.digest(),
        figure=f"{digest[:16]}…",
        details={"digest": digest},
    )
