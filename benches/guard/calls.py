"""The hot calls of the Python face, for `guard.py` to count their instructions: `calls.py` under callgrind.

Around the steps of each operation stands a call of `os.getloadavg`, a function of libc that nothing else
calls: callgrind writes out what it counted so far whenever it meets one. So every second part it writes is an
operation. Without callgrind the names and numbers of steps are printed.
"""

import gc
import os
import sys
from collections.abc import Callable
from contextvars import Context

import numpy as np

import mmsb

STEPS = 300
ROWS = [np.full(256, value, "uint8") for value in range(251)]

Step = Callable[[int], object]


def page() -> tuple[mmsb.Bus, mmsb.Page]:
    """A page of 4 KiB in rows of 256 B, in a bus in memory."""
    bus = mmsb.open()
    made = bus.create_page("page", shape=(16, 256), dtype="uint8")
    made[:] = 1
    return bus, made


def commit() -> Step:
    _, rows = page()

    def step(n: int) -> None:
        rows[n % 16] = ROWS[n % 251]

    return step


def unchanged() -> Step:
    _, rows = page()
    return lambda _: rows.array


def changed() -> Step:
    _, rows = page()

    def step(n: int) -> None:
        rows[n % 16] = ROWS[n % 251]
        _ = rows.array

    return step


def snapshot() -> Step:
    bus, _ = page()
    return lambda _: bus.snapshot().close()


def snapshot_with() -> Step:
    bus, _ = page()

    def step(_: int) -> None:
        with bus.snapshot():
            pass

    return step


def transaction() -> Step:
    bus, rows = page()

    def step(n: int) -> None:
        with bus.transaction():
            rows[n % 16] = ROWS[n % 251]

    return step


def scalar() -> Step:
    _, rows = page()
    return lambda _: rows[3, 5]


OPERATIONS: dict[str, Callable[[], Step]] = {
    "Python: page[i] = 256 B of 4 KiB": commit,
    "Python: page.array of 4 KiB": unchanged,
    "Python: page.array of 4 KiB, after page[i] = 256 B, both": changed,
    "Python: snapshot opened and closed": snapshot,
    "Python: snapshot as `with`": snapshot_with,
    "Python: transaction of one page[i] = 256 B": transaction,
    "Python: one cell read": scalar,
}


def carry_out(step: Step) -> None:
    """Carry out a step often, at first without being counted."""
    for n in range(STEPS):
        step(n)
    os.getloadavg()
    for n in range(STEPS, 2 * STEPS):
        step(n)
    os.getloadavg()


def main() -> None:
    """Carry out each operation, in a context of its own.

    A context finds what it has by the addresses of its variables, numpy looks into it for each array, and a
    transaction leaves a variable there.
    """
    gc.disable()
    for make in OPERATIONS.values():
        Context().run(carry_out, make())


if __name__ == "__main__":
    if sys.argv[1:] == ["list"]:
        for name in OPERATIONS:
            print(name, STEPS, sep="\t")
    else:
        main()
