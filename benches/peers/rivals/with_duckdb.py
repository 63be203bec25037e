"""DuckDB: a row is a row of a table. A commit to a file is always synced; in memory it survives nothing."""

from typing import Any

import duckdb
import numpy as np

from peers.case import Place, Work, case
from peers.data import BATCHED, ROW_BYTES, batch

WHO = "DuckDB"


def connect(at: Place) -> Any:
    """A connection of a durability."""
    base = duckdb.connect(":memory:" if at.level == "memory" else str(at.folder / "base.duckdb"))
    at.after.callback(base.close)
    return base


@case("commit", WHO, "memory", "disk")
def commit(at: Place) -> Work:
    base = connect(at)
    base.execute("create table cells (row integer, data blob)")
    base.executemany("insert into cells values (?, ?)", [(row, bytes(256)) for row in range(16)])

    def run(steps: range) -> None:
        for i in steps:
            base.execute("update cells set data = ? where row = ?", (ROW_BYTES[i % 251], i & 15))

    return Work(run)


def batches(workload: str) -> None:
    @case(workload, f"{WHO}: update from arrays", "memory", "disk")
    def many(at: Place) -> Work:
        base = connect(at)
        width, rows = batch(workload)
        words = [f"c{n}" for n in range(width // 8)]
        base.execute(f"create table cells (row bigint, {', '.join(f'{word} bigint' for word in words)})")
        base.execute(f"insert into cells select range, {', '.join('0' for _ in words)} from range({BATCHED})")
        for name, value in (("new0", 1), ("new1", 2)):
            columns = {word: np.full(len(rows), value, "int64") for word in words}
            base.register(name, {"row": np.asarray(rows, "int64"), **columns})
        sets = ", ".join(f"{word} = new.{word}" for word in words)

        def run(steps: range) -> None:
            for i in steps:
                base.execute(f"update cells set {sets} from new{i % 2} new where cells.row = new.row")

        return Work(run, parts=len(rows))


for name in (
    "batch 16 B dense",
    "batch 16 B 10 %",
    "batch 16 B 1 %",
    "batch 128 B dense",
    "batch 128 B 10 %",
):
    batches(name)
