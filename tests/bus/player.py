"""A process that does random things to a bus and says what it did: `player.py PATH NUMBER COUNT MODE`.

Once it has the bus open it says so, and begins when it is told to; its operations come as lines of JSON.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Literal, cast

from history import PAGES, Operation, fingerprint, ramp

import mmsb

Read = list[tuple[str, int, int]]
Written = list[tuple[str, int, int, int]]

BRANCHES = ("main", "side")
LARGE = PAGES["large"]


class Player:
    """One process's hold on the bus."""

    def __init__(self, bus: mmsb.Bus, process: int) -> None:
        self.process, self.rng = process, random.Random(process)
        self.branches = {"main": bus, "side": bus.checkout("side")}
        self.stamp = process * 10**12
        self.first = {name: branch.epoch for name, branch in self.branches.items()}
        self.newest = dict(self.first)

    def play(self, count: int, writes: bool) -> Iterator[Operation]:
        """So many operations."""
        reading = [self.view, self.view, self.past]
        writing = [self.fill, self.part, self.part, self.count, self.count, self.move, self.both]
        for _ in range(count):
            # The more the processes take turns, the more there is to be wrong.
            if self.rng.random() < 0.5:
                time.sleep(self.rng.uniform(0, 0.001))
            branch = self.rng.choices(BRANCHES, (3, 1))[0]
            done = self.rng.choice([*reading, *writing] if writes else reading)(branch)
            self.newest[branch] = max(self.newest[branch], done.epoch)
            yield done

    def view(self, branch: str) -> Operation:
        """Looks at all pages of the newest state."""
        return self._look("view", branch, self.branches[branch].snapshot)

    def past(self, branch: str) -> Operation:
        """Looks at all pages of a state it knows to have been."""
        epoch = max(self.first[branch], self.newest[branch] - self.rng.choice([0, 0, 1, 7]))
        return self._look("past", branch, lambda: self.branches[branch].at(epoch))

    def _look(self, kind: str, branch: str, take: Callable[[], mmsb.Snapshot]) -> Operation:
        began = time.monotonic_ns()
        state = take()
        pages = {name: state[name] for name in PAGES}
        seen = {name: fingerprint(page.version, page.array) for name, page in pages.items()}
        ended = time.monotonic_ns()
        return Operation(self.process, kind, branch, began, ended, state.epoch, seen=seen)

    def fill(self, branch: str) -> Operation:
        """Writes the whole of the large page."""
        return self._commit(branch, lambda pages: ([], [("large", 0, LARGE, self._next())]))

    def part(self, branch: str) -> Operation:
        """Writes some rows of it."""
        start = self.rng.randrange(LARGE)
        stop = self.rng.randint(start + 1, min(LARGE, start + 2500))
        return self._commit(branch, lambda pages: ([], [("large", start, stop, self._next())]))

    def both(self, branch: str) -> Operation:
        """Writes some of it and a whole small page."""
        start, value = self.rng.randrange(LARGE - 10), self._next()
        written = [("large", start, start + 10, value), ("cells", 0, PAGES["cells"], value)]
        return self._commit(branch, lambda pages: ([], written))

    def count(self, branch: str) -> Operation:
        """Adds one to what it reads."""

        def add(pages: mmsb.Bus) -> tuple[Read, Written]:
            value = int(pages["counter"][0])
            return [("counter", 0, value)], [("counter", 0, 1, value + 1)]

        return self._commit(branch, add)

    def move(self, branch: str) -> Operation:
        """Takes from one cell what it gives to another."""
        one, other = self.rng.sample(range(PAGES["cells"]), 2)

        def move(pages: mmsb.Bus) -> tuple[Read, Written]:
            a, b = (int(pages["cells"][index]) for index in (one, other))
            return [("cells", one, a), ("cells", other, b)], [
                ("cells", one, one + 1, a - 1),
                ("cells", other, other + 1, b + 1),
            ]

        return self._commit(branch, move)

    def _next(self) -> int:
        """Cells that nobody else writes: far enough from the ones before for a whole page of them."""
        self.stamp += 2 * LARGE
        return self.stamp

    def _commit(self, branch: str, work: Callable[[mmsb.Bus], tuple[Read, Written]]) -> Operation:
        bus = self.branches[branch]
        while True:
            began = time.monotonic_ns()
            try:
                with bus.transaction() as transaction:
                    read, written = work(bus)
                    for page, start, stop, value in written:
                        bus[page][start:stop] = ramp(start, stop, value)
            except mmsb.ConflictError:
                continue
            ended = time.monotonic_ns()
            assert transaction.epoch is not None
            return Operation(self.process, "commit", branch, began, ended, transaction.epoch, read, written)


def main(path: str, number: str, count: str, mode: Literal["a", "r"]) -> None:
    """Play when told to, and tell what was played."""
    with mmsb.open(path, mode=mode) as bus:
        player = Player(bus, int(number))
        print("ready", flush=True)
        sys.stdin.readline()
        played = list(player.play(int(count), writes=mode == "a"))
    for operation in played:
        print(operation.line())


if __name__ == "__main__":
    path, number, count, mode = sys.argv[1:]
    main(path, number, count, cast(Literal["a", "r"], mode))
