"""Numbers that are added up, by key and all of them, and what must come of it."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from flows.workloads import BY_KEY, REDUCE
from peers.case import Place, Work, case, place

ROWS, KEYS, CELLS = 500_000, 1000, 1_000_000


@cache
def rows() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keys and numbers."""
    dice = np.random.default_rng(5)
    return dice.integers(0, KEYS, ROWS), dice.integers(-100, 100, ROWS)


@cache
def by_key() -> NDArray[np.int64]:
    """The sums, plainly."""
    sums = np.zeros(KEYS, "int64")
    keys, numbers = rows()
    np.add.at(sums, keys, numbers)
    return sums


Again = Callable[[], NDArray[np.int64]]


def accumulated(who: str, make: Callable[[Place], tuple[Again, Callable[[], object]]]) -> None:
    """Adds the case of a party: what adds all rows at once, and what is done before, outside the clock."""

    @case(BY_KEY, who, "memory")
    def run(at: Place) -> Work:
        again, before = make(at)
        before()
        if not np.array_equal(again(), by_key()):
            raise AssertionError("the sums by key are not what numpy says")
        at.checks.append(f"{BY_KEY}: everybody comes to the same {KEYS:,} sums")

        def add(steps: range) -> None:
            for _ in steps:
                again()

        return Work(add, lambda _: before(), count=1, parts=ROWS)


def value(step: int) -> float:
    """What a cell becomes."""
    return step % 1009 * 0.37 + 0.001


@cache
def cells() -> NDArray[np.float64]:
    """The cells at first."""
    return (np.arange(CELLS) % 1009 * 0.37 + 0.5).astype("float64")


def reduced(who: str, make: Callable[[Place], Callable[[int, float], float]]) -> None:
    """Adds the case of a party: writes a cell and gives the sum."""

    @case(REDUCE, who, "memory")
    def run(at: Place) -> Work:
        write = make(at)
        model = cells().copy()

        def writes(steps: range) -> None:
            for step in steps:
                write(place(step, CELLS), value(step))

        for step in range(100):
            row = place(step, CELLS)
            model[row] = value(step)
            found = write(row, value(step))
        if not np.isclose(found, model.sum(), rtol=1e-12):
            raise AssertionError(f"the sum is {found}, and not {model.sum()}")
        return Work(writes)
