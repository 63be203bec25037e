"""What a change takes from the moment before it is made until another process has seen it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peers.case import Place, Scale, case
from processes import crew
from processes.party import Party, Reader, Task, tend
from processes.state import PATIENCE, Following, Unseen, count, state
from processes.workloads import PERCENTILES, SIZES, seen

SEEN = 0
"""The shared word with the newest state that the reader has seen."""
RESTED = 200e-6
"""Seconds between a change and the next, for a reader that is to sleep again."""
APART = 20_000
"""Nanoseconds between them where the reader spins."""


@dataclass(frozen=True)
class Series:
    """So many changes, and all of that again and again; the first time is the warm-up."""

    task: Task
    changes: int
    times: int

    @property
    def last(self) -> int:
        """The number of the last state: the first one is there before."""
        return 1 + self.changes * (self.times + 1)


def follow(reader: Reader, following: Following, shown: Any, series: Series) -> None:
    """Sees every state, by waiting or by looking again and again."""
    waits = series.task.waits
    while following.number < series.last:
        found = None
        if waits:
            found = reader.wait(1.0)
        else:
            for _ in range(1000):
                found = reader.poll()
                if found is not None:
                    break
        if found is None:
            following.nothing()
            continue
        following.note(found)
        del found
        reader.done()
        shown[SEEN] = following.number


async def follow_states(
    states: AsyncIterator[Any], reader: Reader, following: Following, shown: Any, series: Series
) -> None:
    """The same in an asyncio task."""
    async for found in states:
        following.note(found)
        reader.done()
        shown[SEEN] = following.number
        if following.number == series.last:
            break


def reads(line: crew.Line, party: Party, told: Any, raw: Any, series: Series) -> tuple[list[int], int, int]:
    """The reader: when each state was seen, how many there were, and how many of them torn."""
    shown = crew.shared(raw)
    line.hear()
    reader = party.reader(told, series.task)
    following = Following(1)
    reader.look()
    reader.done()
    line.say("open")
    states = reader.states() if series.task.waits else None
    if states is None:
        follow(reader, following, shown, series)
    else:
        asyncio.run(follow_states(states, reader, following, shown, series))
    reader.close()
    return following.times, following.looks, following.torn


def writes(line: crew.Line, party: Party, told: Any, raw: Any, series: Series) -> list[int]:
    """The writer: when each change began."""
    shown = crew.shared(raw)
    writer = party.writer(told, series.task)
    new = state(series.task.words, 1)
    writer.write(new)
    line.say("there is a state")
    tend(writer, line)
    times = []
    for number in range(2, series.last + 1):
        new.fill(number)
        if series.task.waits:
            time.sleep(RESTED)
        else:
            end = time.perf_counter_ns() + APART
            while time.perf_counter_ns() < end:
                pass
        times.append(time.perf_counter_ns())
        writer.write(new)
        acknowledged(shown, number, series.task.waits)
    line.say("all written")
    line.hear()
    writer.close()
    return times


def acknowledged(shown: Any, number: int, waits: bool) -> None:
    """Waits until the reader has seen it. A reader, or a server, that has no core gets this one."""
    end = time.monotonic() + 2 * PATIENCE
    while shown[SEEN] < number:
        if waits:
            time.sleep(RESTED / 4)
        else:
            os.sched_yield()
        if time.monotonic() > end:
            raise Unseen(f"nobody has seen state {number}")


def series_of(scale: Scale, words: int, waits: bool) -> Series:
    """As many changes as a percentile takes."""
    full = 1000 if words <= 512 else 500
    return Series(Task(words, 1, waits), 50 if scale.quick else full, scale.few)


def measure(at: Place, party: Party, series: Series) -> NDArray[np.float64]:
    """Seconds of each change, a row for each sample."""
    told, raw = party.share(at, series.task), crew.words(1)
    together = crew.Crew(at)
    writer = together.start("writer", writes, party, told, raw, series)
    reader = together.start("reader", reads, party, told, raw, series)
    crew.hear([writer])
    reader.tell()
    crew.hear([reader])
    writer.tell()
    _, (ends, looks, torn) = crew.hear([writer, reader])
    writer.tell()
    (begins,) = crew.hear([writer])
    how = "waiting" if series.task.waits else "spinning"
    count(party.who, f"{how} for {series.task.words * 8:,} B", looks, torn, party.tears)
    took: NDArray[np.float64] = (np.array(ends) - np.array(begins)) / 1e9
    if took.min() <= 0:
        raise AssertionError("a change was seen before it was made")
    return took.reshape(-1, series.changes)[1:]


def measured(party: Party, sizes: tuple[str, ...] = tuple(SIZES)) -> None:
    """Adds the cases of a party: one for both percentiles."""
    for waits in (True, False):
        for size in sizes if (party.waits if waits else party.spins) else ():
            keys = {name: seen(waits, size, name) for name in PERCENTILES}

            @case(next(iter(keys.values())), party.who)
            def run(
                at: Place, waits: bool = waits, size: str = size, keys: dict[str, str] = keys
            ) -> dict[str, list[float]]:
                took = measure(at, party, series_of(at.scale, SIZES[size], waits))
                return {
                    key: [float(each) for each in np.percentile(took, PERCENTILES[name], axis=1)]
                    for name, key in keys.items()
                }
