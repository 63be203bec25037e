"""Where, with what and how it was measured: for the results file."""

import importlib.metadata
import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import mmsb
from peers.case import Scale
from report import processor, said

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


def kind_of_disk(folder: Path) -> str:
    """The file system that a folder is on."""
    told = subprocess.run(
        ["findmnt", "-n", "-o", "FSTYPE", "-T", str(folder)], capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"


def versions() -> dict[str, str]:
    """Of everything in Python and of the servers."""
    found = {"mmsb": mmsb.__version__, "Python": platform.python_version(), "numpy": np.__version__}
    found["SQLite"] = sqlite3.sqlite_version
    for package in ("lmdb", "redis", "hiredis", "duckdb", "icechunk", "zarr"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "absent"
    try:
        found["redis-server"] = said("redis-server", "--version").split("v=")[1].split()[0]
    except (OSError, IndexError):
        found["redis-server"] = "absent"
    return found | {"rustc": said("rustc", "--version")}


def about(scale: Scale, folder: Path, more: dict[str, str], absent: dict[str, str]) -> dict[str, Any]:
    """Everything but the figures."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "scale": "quick" if scale.quick else "full",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": said("git", "rev-parse", "--short", "HEAD"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory": f"{memory:.0f} GiB",
        "kernel": f"Linux {platform.release()}",
        "files": kind_of_disk(folder),
        "load before": [round(load, 1) for load in os.getloadavg()],
        "versions": versions() | more,
        "absent": absent,
        "method": {
            "rounds": scale.rounds,
            "samples a round": scale.samples,
            "samples a round of what takes 50 ms or more": scale.few,
            "seconds a sample": scale.seconds,
            "seconds a sample of what is kept up": scale.kept_up,
            "epochs": scale.epochs,
            "pages": scale.pages,
            "bytes branched": scale.branched,
            "cycles": scale.cycles,
            "flights": scale.flights or 336_776,
        },
        "promises": PROMISES,
    }
