"""What the benches share: how a case is told, and what several are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import mmsb

MIB = 1 << 20
LARGE = 64 * MIB
ROW = np.full(256, 7, "uint8")
ROWS = [np.full(256, value, "uint8") for value in range(251)]
"""Rows to write in turn: what is written again unchanged may cost nothing."""


@dataclass(frozen=True)
class Work:
    """What is timed, and what must be done before each time, outside the clock, for so many rounds."""

    step: Callable[[], object]
    prepare: Callable[[], None] | None = None
    rounds: int = 0


Maker = Callable[[Path], Work]


@dataclass(frozen=True)
class Case:
    """One benchmark. Its maker is given an empty folder."""

    operation: str
    workload: str
    who: str
    make: Maker


CASES: list[Case] = []


def case(operation: str, workload: str, who: str = "mmsb") -> Callable[[Maker], Maker]:
    """Adds a benchmark to the list."""

    def add(make: Maker) -> Maker:
        CASES.append(Case(operation, workload, who, make))
        return make

    return add


def place(i: int, n: int) -> int:
    """The place of step `i` among `n`: all over, and the same in every run."""
    return (i * 0x9E3779B97F4A7C15 % 2**64 >> 20) % n


def rows(bus: mmsb.Bus, name: str, size: int) -> mmsb.Page:
    """A page of `size` bytes in rows of 256, none of them zero."""
    page = bus.create_page(name, shape=(size // 256, 256), dtype="uint8")
    page[...] = 1
    return page
