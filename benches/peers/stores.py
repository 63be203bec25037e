"""mmsb as a store: commits, reads, large pages, the past, beside stores."""

from collections.abc import Mapping
from pathlib import Path

from peers.case import Scale
from peers.figure import Figure
from peers.subject import Subject
from peers.targets import ABSENT, ROWS
from peers.workloads import BATCHES, COMMITS, DENSITIES, WORKLOADS

PROMISES = {
    "mmsb memory": "a bus without files; survives nothing",
    "mmsb process": "written to the mapped log before the commit returns; survives kill -9",
    "mmsb disk": "the log synced before the commit returns; clients that wait share a sync",
    "LMDB process": "MDB_NOSYNC and MDB_WRITEMAP: in the mapped file; survives kill -9, and a loss of "
    "power may leave a broken file",
    "LMDB disk": "the default: synced twice a commit, data and then the root; by heed and by py-lmdb",
    "SQLite memory": "`:memory:`; survives nothing",
    "SQLite process": "WAL, synchronous = OFF: written to the kernel; survives kill -9, and a loss of "
    "power may leave a broken file",
    "SQLite disk": "WAL, synchronous = FULL: the WAL synced with each commit",
    "Redis memory": "no save, no append-only file; survives nothing",
    "Redis process": "appendonly yes, appendfsync no: written to the kernel before the answer; survives "
    "kill -9",
    "Redis disk": "appendfsync always: synced before the answer, clients share a sync",
    "redb memory": "Durability::None: visible at once, and lost with the process unless an Immediate "
    "commit follows. It has no level that survives kill -9 without a sync",
    "redb disk": "Durability::Immediate",
    "fjall process": "the default: the journal written to the kernel; survives kill -9",
    "fjall disk": "PersistMode::SyncData after each commit",
    "DuckDB memory": "`:memory:`; survives nothing",
    "DuckDB disk": "a file, its WAL synced with each commit; that cannot be turned off",
    "Icechunk process": "a local repository: files written and renamed, not synced",
    "shared_memory, numpy memory": "an assignment: no transaction, no history, no isolation",
}
PUBLISHED = {
    "4096 pages of 1 B": "Published by the earlier sketch of this idea for *empty* deltas to 4,096 one-byte "
    "pages in batches of 4,096, and not measured here: 2.2 M/s (117 to 188 k/s of 128 B real ones). Here the "
    "byte is written.",
}
"""Figures of others, from what they wrote."""


def ladder(figures: list[Figure], to: Path) -> None:
    """What a row of a batch costs by its width."""
    from peers import plots

    plots.ladder(figures, to)


def sizes(scale: Scale) -> Mapping[str, object]:
    """How much there is of what is measured."""
    return {
        "epochs": scale.epochs,
        "pages": scale.pages,
        "bytes branched": scale.branched,
        "cycles": scale.cycles,
        "flights": scale.flights or 336_776,
    }


STORES = Subject(
    name="peers",
    command="bench-peers",
    title="Beside its rivals",
    opening="mmsb beside its rivals in one run, at the same work and the same durability",
    same="at the same work and the same durability",
    workloads=tuple(WORKLOADS.values()),
    rows=ROWS,
    absent=ABSENT,
    rivals=tuple(
        f"peers.rivals.{name}"
        for name in (
            "ours",
            "ours_long",
            "machine",
            "with_lmdb",
            "lmdb_long",
            "with_sqlite",
            "sqlite_long",
            "with_redis",
            "with_duckdb",
            "with_icechunk",
            "with_shared",
            "with_numpy",
        )
    ),
    promises=PROMISES,
    sizes=sizes,
    packages=("SQLite", "lmdb", "redis", "hiredis", "duckdb", "icechunk", "zarr", "redis-server"),
    crates=("fjall", "heed", "redb", "mmsb"),
    waits=COMMITS,
    notes=PUBLISHED,
    unplotted=frozenset(f"batch {width} B {density}" for width in (32, 1024) for density in DENSITIES),
    pictures={BATCHES: ("ladder", "By width", ladder)},
)
