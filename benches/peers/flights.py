"""The flights out of New York in 2013 as deltas: the same changes of the same rows for everybody."""

import time
from collections.abc import Callable
from functools import cache
from typing import Protocol

import numpy as np

from mmsb.applications.flights import source
from mmsb.applications.flights.deltas import Batch
from mmsb.applications.flights.pages import rows as row_counts
from mmsb.applications.flights.stream import Stream
from peers.case import Place, case

Table = dict[str, np.ndarray]
"""Columns by name."""


class Player(Protocol):
    """Somebody who keeps the tables."""

    def play(self) -> None:
        """All minutes, a commit each."""

    def tables(self) -> dict[str, Table]:
        """What came of it."""


@cache
def stream(first: int | None) -> Stream:
    """Every minute's deltas, made ready."""
    return Stream(source.load(first))


def batches(made: Stream) -> list[tuple[Batch, bool]]:
    """What is done to each table, and whether it is added."""
    return [
        *((batch, False) for batch in made.deltas.assigned),
        *((batch, True) for batch in made.deltas.merged),
    ]


def expected(made: Stream) -> dict[str, Table]:
    """What plain numpy says that all minutes come to."""
    counts, found = row_counts(made.flights), {}
    for batch, added in batches(made):
        table = {}
        for name, values in batch.columns.items():
            column = np.zeros(counts[batch.page], "int64")
            if added:
                np.add.at(column, batch.rows, values)
            else:
                column[batch.rows] = values  # in order: the last one stays
            table[name] = column
        found[batch.page] = table
    return found


def differing(found: dict[str, Table], wanted: dict[str, Table]) -> int:
    """Cells that are not what they should be."""
    return sum(
        int(np.count_nonzero(found[page][name] != column))
        for page, table in wanted.items()
        for name, column in table.items()
    )


def played(who: str, make: Callable[[Place, Stream], Player]) -> None:
    """Adds the case of a party."""

    @case("flights", who, "process")
    def run(at: Place) -> list[float]:
        made = stream(at.scale.flights)
        player = make(at, made)
        start = time.perf_counter()
        player.play()
        took = time.perf_counter() - start
        if wrong := differing(player.tables(), expected(made)):
            raise AssertionError(f"{wrong} cells are not what numpy says")
        deltas = made.deltas.count(0, len(made))
        at.checks.append(
            f"{who}: {len(made.flights):,} flights, {deltas:,} deltas in {len(made):,} commits, {took:.1f} s"
            "; every cell is what plain numpy says"
        )
        return [took / len(made)]
