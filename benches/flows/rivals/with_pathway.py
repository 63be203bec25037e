"""Pathway: a dataflow that is fed by a connector and tells a subscriber, in threads of its own."""

import queue
import threading
import time
from typing import Any

import numpy as np
import pathway as pw

from flows import sums
from flows.sinks import ROWS, Step, sunk
from peers.case import Place

WHO = "pathway"


class Numbered(pw.Schema):
    """A row of a number, which a new one with its key takes the place of."""

    row: int = pw.column_definition(primary_key=True)
    number: int


class Keyed(pw.Schema):
    """A number with a key."""

    key: int
    number: int


class Fed(pw.io.python.ConnectorSubject):
    """Rows that are fed to it until it is stopped."""

    def __init__(self) -> None:
        super().__init__(session_type="upsert")
        self.stopped = threading.Event()

    def run(self) -> None:
        """Waits for the end."""
        self.stopped.wait()


class All(pw.io.python.ConnectorSubject):
    """All rows, and then the end."""

    deletions_enabled = False

    def run(self) -> None:
        """Feeds them."""
        for key, number in zip(*(column.tolist() for column in sums.rows()), strict=True):
            self.next(key=key, number=number)
        self.commit()


def fresh() -> None:
    """Forgets the graph before."""
    pw.internals.parse_graph.G.clear()


def told(at: Place) -> Step:
    fresh()
    fed, seen = Fed(), queue.SimpleQueue[int]()
    rows = pw.io.python.read(fed, schema=Numbered, autocommit_duration_ms=None)
    total = rows.reduce(total=pw.reducers.sum(pw.this.number))

    def on_change(key: Any, row: dict[str, int], time: int, is_addition: bool) -> None:
        if is_addition:
            seen.put(row["total"])

    pw.io.subscribe(total, on_change=on_change)
    running = threading.Thread(
        target=pw.run, kwargs={"monitoring_level": pw.MonitoringLevel.NONE}, daemon=True
    )
    running.start()

    def stop() -> None:
        fed.stopped.set()
        running.join(timeout=30)

    at.after.callback(stop)
    time.sleep(1.0)
    for row in range(ROWS):
        fed.next(row=row, number=0)
    fed.commit()
    seen.get(timeout=30)

    def step(row: int, value: int) -> int:
        fed.next(row=row, number=value)
        fed.commit()
        return seen.get(timeout=30)

    return step


sunk(WHO, told)


def collected(rows: Any) -> np.ndarray:
    """Runs a graph, and gives its sums by key."""
    found = np.zeros(sums.KEYS, "int64")

    def on_change(key: Any, row: dict[str, int], time: int, is_addition: bool) -> None:
        if is_addition:
            found[row["key"]] = row["total"]

    by_key = rows.groupby(pw.this.key).reduce(pw.this.key, total=pw.reducers.sum(pw.this.number))
    pw.io.subscribe(by_key, on_change=on_change)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    return found


def connected(_: Place) -> Any:
    return lambda: collected(pw.io.python.read(All(), schema=Keyed, autocommit_duration_ms=None)), fresh


sums.accumulated(WHO, connected)
