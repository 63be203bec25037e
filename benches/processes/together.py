"""One process writes and others read, all of them for as long as it lasts: what a write and a read take."""

import time
from dataclasses import dataclass
from typing import Any

from peers.case import Place, Scale, case
from processes import crew
from processes.party import Party, Task, tend
from processes.state import PATIENCE, Unseen, count, number_of, state
from processes.workloads import READERS, SHARED, beside

END, NEWEST, FIRST_READER = 0, 1, 2
"""Shared words: whether it is over, the last state, and how often each of the readers has read."""
AT_ONCE = 16
"""Writes between two looks at the clock."""


@dataclass(frozen=True)
class Slices:
    """So many times so many seconds; the first time is the warm-up."""

    task: Task
    seconds: float
    times: int


@dataclass(frozen=True)
class Slice:
    """What was done in one of them."""

    seconds: float
    processor: float
    writes: int
    reads: int


def reads(line: crew.Line, party: Party, told: Any, raw: Any, slices: Slices, own: int) -> tuple[int, int]:
    """A reader: how often it read, and how many states were torn."""
    shown = crew.shared(raw)
    line.hear()
    reader = party.reader(told, slices.task)
    found = torn = newest = 0
    line.say("open")
    while not shown[END]:
        number = number_of(reader.look())
        reader.done()
        found += 1
        shown[own] = found
        if number is None:
            torn += 1
        elif number < newest:
            raise AssertionError(f"state {number} came after {newest}")
        else:
            newest = number
    end = time.monotonic() + PATIENCE
    while newest != shown[NEWEST]:
        if time.monotonic() > end:
            raise Unseen(f"a reader still has state {newest}, where {shown[NEWEST]} is the newest")
        newest = number_of(reader.look()) or newest
        reader.done()
    line.say("has the newest")
    line.hear()
    reader.close()
    return found, torn


def writes(line: crew.Line, party: Party, told: Any, raw: Any, slices: Slices) -> list[Slice]:
    """The writer: what was done in each slice."""
    shown = crew.shared(raw)
    writer = party.writer(told, slices.task)
    number = 1
    new = state(slices.task.words, number)
    writer.write(new)
    line.say("there is a state")
    tend(writer, line)
    found = []
    for _ in range(slices.times + 1):
        before = sum(shown[FIRST_READER:])
        first, processor, start = number, time.process_time(), time.perf_counter()
        while (now := time.perf_counter()) - start < slices.seconds:
            for _ in range(AT_ONCE):
                number += 1
                new.fill(number)
                writer.write(new)
        done = sum(shown[FIRST_READER:]) - before
        found.append(Slice(now - start, time.process_time() - processor, number - first, done))
    shown[NEWEST] = number
    shown[END] = 1
    line.say("all written")
    line.hear()
    writer.close()
    return found[1:]


def measure(at: Place, party: Party, slices: Slices) -> list[Slice]:
    """What was done in each slice."""
    readers = slices.task.readers
    told, raw = party.share(at, slices.task), crew.words(FIRST_READER + readers)
    together = crew.Crew(at)
    writer = together.start("writer", writes, party, told, raw, slices)
    others = [
        together.start(f"reader {n}", reads, party, told, raw, slices, FIRST_READER + n)
        for n in range(readers)
    ]
    crew.hear([writer])
    for other in others:
        other.tell()
    crew.hear(others)
    writer.tell()
    everybody = [writer, *others]
    crew.hear(everybody)
    for each in everybody:
        each.tell()
    found, *looked = crew.hear(everybody)
    for looks, torn in looked:
        count(party.who, "read while another writes", looks, torn, party.tears)
    return list(found)


def slices_of(scale: Scale, readers: int) -> Slices:
    """As long as it takes."""
    return Slices(Task(SHARED, readers), 0.05 if scale.quick else 0.25, scale.few)


def measured(party: Party) -> None:
    """Adds the cases of a party."""
    for readers in READERS:

        @case(beside("write", readers), party.who)
        def run(at: Place, readers: int = readers) -> dict[str, list[float]]:
            found = measure(at, party, slices_of(at.scale, readers))
            made = {
                beside("write", readers): [each.seconds / each.writes for each in found],
                beside("processor time", readers): [each.processor / each.writes for each in found],
            }
            if readers:
                if not all(each.reads for each in found):
                    raise AssertionError("nobody read anything in a slice")
                made[beside("read", readers)] = [each.seconds / each.reads for each in found]
            return made
