"""Cycles of 100 deltas with pages dropped and made, for long, against a plain model of numpy arrays."""

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from peers.case import Place, case, place

PAGES, ROWS, WIDTH, DELTAS = 64, 32, 16, 100
State = dict[int, np.ndarray]
"""What is in each page, by its number."""


class Driver(Protocol):
    """Somebody's pages, numbered; 64 of zeros at the start."""

    def cycle(self, writes: list[tuple[int, int, int]], dropped: int | None, made: int) -> None:
        """One transaction: values into rows of pages, then perhaps one page dropped and one made."""

    def state(self) -> State:
        """What it holds now."""

    def reopen(self) -> None:
        """Closes and opens it."""


def divergences(found: State, model: State) -> int:
    """Pages that are not what the model says, missing ones and those too many."""
    common = found.keys() & model.keys()
    return len(found.keys() ^ model.keys()) + sum(not np.array_equal(found[n], model[n]) for n in common)


def drive(driver: Driver, cycles: int) -> tuple[list[float], int]:
    """Seconds a cycle, in a hundred samples; how often it was compared. A divergence is an error."""
    model: State = {n: np.zeros((ROWS, WIDTH), "uint8") for n in range(PAGES)}
    samples, spent, compared, step = [], 0.0, 0, 0
    every = max(1, cycles // 100)
    for number in range(1, cycles + 1):
        alive = sorted(model)
        writes = []
        for _ in range(DELTAS):
            step += 1
            to = place(step, PAGES * ROWS)
            writes.append((alive[to // ROWS], to % ROWS, step % 251))
        dropped = alive[place(number, PAGES)] if number % 10 == 0 else None
        made = alive[-1] + 1
        start = time.perf_counter()
        driver.cycle(writes, dropped, made)
        spent += time.perf_counter() - start
        for page, row, value in writes:
            model[page][row] = value
        if dropped is not None:
            del model[dropped]
            model[made] = np.zeros((ROWS, WIDTH), "uint8")
        if number % every == 0:
            compared += 1
            samples.append(spent / every)
            spent = 0.0
            if wrong := divergences(driver.state(), model):
                raise AssertionError(f"cycle {number}: {wrong} pages diverge")
    driver.reopen()
    if wrong := divergences(driver.state(), model):
        raise AssertionError(f"opened again: {wrong} pages diverge")
    return samples, compared + 1


def cycled(who: str, make: Callable[[Place], Driver]) -> None:
    """Adds the case of a party."""

    @case("cycles", who, "process")
    def run(at: Place) -> list[float]:
        samples, compared = drive(make(at), at.scale.cycles)
        at.checks.append(
            f"{who}: {at.scale.cycles:,} cycles of {DELTAS} deltas, compared with a plain model {compared} "
            "times, the last time opened again: 0 divergences. Pages dropped and made stand for edits of a "
            "graph, which there is not yet"
        )
        return samples
