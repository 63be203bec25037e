"""mmsb: what takes long. States of the past, cycles, the flights, the memory of many pages."""

from itertools import count
from typing import Any

import mmsb
from mmsb.applications.flights import pages as flight_pages
from mmsb.applications.flights.stream import Stream
from peers.case import OURS, Place, Work, case, place
from peers.cycles import PAGES, ROWS, WIDTH, State, cycled
from peers.data import SIXTEEN
from peers.flights import Table, batches, played
from peers.memory import grown
from peers.rivals.ours import opened


@case("past", OURS)
def past(at: Place) -> Work:
    bus, counter, first = opened(at), count(), 0
    page = bus.create_page("page", shape=(4096, 16), dtype="uint8")
    first = bus.epoch
    for epoch in range(1, at.scale.epochs + 1):
        page[place(epoch, 4096)] = SIXTEEN[epoch % 251]

    def run(steps: range) -> None:
        for _ in steps:
            then = bus.at(first + 1 + place(next(counter), at.scale.epochs))
            then["page"].array.sum()

    return Work(run, count=1)


class Cycles:
    """A bus of numbered pages."""

    def __init__(self, at: Place) -> None:
        self.at = at
        self.bus = opened(at)
        self.pages = {n: self.create(n) for n in range(PAGES)}

    def create(self, number: int) -> mmsb.Page:
        """A page of zeros."""
        return self.bus.create_page(str(number), shape=(ROWS, WIDTH), dtype="uint8")

    def cycle(self, writes: list[tuple[int, int, int]], dropped: int | None, made: int) -> None:
        """One transaction."""
        pages = self.pages
        with self.bus.transaction():
            for page, row, value in writes:
                pages[page][row] = SIXTEEN[value]
            if dropped is not None:
                self.bus.drop_page(str(dropped))
                del pages[dropped]
                pages[made] = self.create(made)

    def state(self) -> State:
        """Every page, as it can be read now."""
        return {int(name): self.bus[name].array for name in self.bus}

    def reopen(self) -> None:
        """From its files."""
        self.bus.close()
        self.bus = opened(self.at)


class Player:
    """A bus of the flights' pages, with their history as always."""

    bus: Any  # the flights know a bus by what they need of it

    def __init__(self, at: Place, stream: Stream) -> None:
        self.bus = opened(at)
        self.stream = stream
        flight_pages.create(self.bus, stream.flights)

    def play(self) -> None:
        """As the demo does."""
        self.stream.play(self.bus, len(self.stream))

    def tables(self) -> dict[str, Table]:
        """The columns that the minutes change."""
        return {
            batch.page: {name: self.bus[batch.page].arrays[name] for name in batch.columns}
            for batch, _ in batches(self.stream)
        }


cycled(OURS, Cycles)
played(OURS, Player)
grown(OURS, "process")
