"""Many threads that write at once."""

import itertools
from collections.abc import Callable
from threading import Barrier, Thread

from peers.case import CASES, Case, Maker, Place, Work, place

Write = Callable[[int, int, int], object]
"""Commits value number `value` to a row of a page: `write(page, row, value)`."""

COUNTS = {"memory": (1, 2, 4), "process": (1, 2, 4), "disk": (1, 16)}
ROWS = 32


def threaded(who: str, *levels: str) -> Callable[[Callable[[Place], Callable[[], Write]]], None]:
    """Adds the cases of a party, of which each thread gets a `Write` of its own."""

    def add(make: Callable[[Place], Callable[[], Write]]) -> None:
        for level in levels:
            for count in COUNTS[level]:
                CASES.append(Case(f"64 pages, {count} threads", who, level, together(make, count)))

    return add


def together(make: Callable[[Place], Callable[[], Write]], count: int) -> Maker:
    """All threads begin at once; it is over when the last one is through."""

    def maker(at: Place) -> Work:
        writer = make(at)
        share = (1024 if at.level == "disk" else 4000 if at.scale.quick else 20_000) // count
        barrier, rounds = Barrier(count + 1), itertools.count()

        def body(number: int, salt: int) -> None:
            try:
                write = writer()
                barrier.wait()
                barrier.wait()
                for i in range(number * share, (number + 1) * share):
                    to = place(i, 64 * ROWS)
                    write(to // ROWS, to % ROWS, (i + salt) % 251)
                barrier.wait()
            except BaseException:
                # Whoever waits for it must not wait for ever.
                barrier.abort()
                raise

        def prepare(_: int) -> None:
            # Another value in each place than the last time.
            salt = next(rounds) * 97
            for number in range(count):
                Thread(target=body, args=(number, salt), daemon=True).start()
            barrier.wait()

        def run(_: range) -> None:
            barrier.wait()
            barrier.wait()

        return Work(run, prepare, count=1, parts=share * count)

    return maker
