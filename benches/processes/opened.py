"""A process that opens a large state: what its first value takes, what all of it does, and its memory."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers.case import Place, case
from processes import crew
from processes.party import Party, Task, tend
from processes.state import count, state
from processes.workloads import ADDED, AGAIN, FIRST, LARGE, SCANNED

NUMBER = 3


@dataclass(frozen=True)
class Opened:
    """What it took, in seconds."""

    first: float
    scanned: float
    again: float


def family(pid: int | str = "self") -> list[int]:
    """A process and all that come from it."""
    found = []
    with suppress(OSError):  # it may end meanwhile
        own = int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[0])
        found.append(own)
        for task in Path(f"/proc/{own}/task").iterdir():
            for child in (task / "children").read_text(encoding="ascii").split():
                found += family(child)
    return found


def resident(pids: list[int]) -> int:
    """Bytes of memory that processes have together: of what several have, each has its share."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total


def opens(line: crew.Line, party: Party, told: Any, task: Task) -> Opened:
    """The reader: it is there, and has not opened anything."""
    line.say("ready to open")
    line.hear()
    start = time.perf_counter()
    reader = party.reader(told, task)
    found = reader.look()
    first = found.item(0)
    opened = time.perf_counter()
    all_ = int(found.sum())
    scanned = time.perf_counter()
    once_more = int(found.sum())
    again = time.perf_counter()
    if (first, all_, once_more) != (NUMBER, NUMBER * task.words, NUMBER * task.words):
        raise AssertionError(f"the first word is {first}, and all of them come to {all_} and {once_more}")
    line.say("read")
    line.hear()
    del found
    reader.done()
    reader.close()
    return Opened(opened - start, scanned - opened, again - scanned)


def keeps(line: crew.Line, party: Party, told: Any, task: Task) -> None:
    """The writer: it keeps what it wrote."""
    writer = party.writer(told, task)
    new = state(task.words, NUMBER)
    writer.write(new)
    line.say("there is a state")
    tend(writer, line)
    writer.close()


def measure(at: Place, party: Party, words: int) -> tuple[Opened, int]:
    """What a reader took, and the bytes that it added."""
    task = Task(words, 1)
    told, together = party.share(at, task), crew.Crew(at)
    writer = together.start("writer", keeps, party, told, task)
    reader = together.start("reader", opens, party, told, task)
    crew.hear([writer, reader])
    before = resident(family())
    reader.tell()
    crew.hear([reader])
    added = resident(family()) - before
    reader.tell()
    (opened,) = crew.hear([reader])
    writer.tell()
    crew.hear([writer])
    count(party.who, f"opened, {words * 8:,} B", 1, 0, party.tears)
    return opened, added


def measured(party: Party) -> None:
    """Adds the case of a party: each sample has processes of its own."""

    @case(FIRST, party.who)
    def run(at: Place) -> dict[str, list[float]]:
        made: dict[str, list[float]] = {FIRST: [], SCANNED: [], AGAIN: [], ADDED: []}
        for number in range(at.scale.few + 1):
            folder = at.folder / str(number)
            folder.mkdir()
            own = Place(folder, at.level, at.scale)
            with own.after:
                opened, added = measure(own, party, LARGE)
            if number:  # the first one is the warm-up
                made[FIRST].append(opened.first)
                made[SCANNED].append(opened.scanned)
                made[AGAIN].append(opened.again)
                made[ADDED].append(float(max(added, 1)))
        return made
