"""Where, with what and how it was measured: for the results file."""

import importlib.metadata
import os
import platform
import sqlite3
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import mmsb
from peers.case import Scale
from peers.subject import Subject
from report import processor, said

KNOWN = {
    "SQLite": lambda: sqlite3.sqlite_version,
    "redis-server": lambda: said("redis-server", "--version").split("v=")[1].split()[0],
}
"""What says the version of what is no package."""


def kind_of_disk(folder: Path) -> str:
    """The file system that a folder is on."""
    told = subprocess.run(
        ["findmnt", "-n", "-o", "FSTYPE", "-T", str(folder)], capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of everything in Python and of the servers."""
    found = {"mmsb": mmsb.__version__, "Python": platform.python_version(), "numpy": np.__version__}
    for package in packages:
        try:
            found[package] = KNOWN[package]() if package in KNOWN else importlib.metadata.version(package)
        except (importlib.metadata.PackageNotFoundError, OSError, IndexError):
            found[package] = "absent"
    return found | {"rustc": said("rustc", "--version")}


def about(
    subject: Subject, scale: Scale, folder: Path, more: dict[str, str], absent: dict[str, str]
) -> dict[str, Any]:
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
        "versions": versions(subject.packages) | more,
        "absent": absent,
        "method": {
            "rounds": scale.rounds,
            "samples a round": scale.samples,
            "samples a round of what takes 50 ms or more": scale.few,
            "seconds a sample": scale.seconds,
            "seconds a sample of what is kept up": scale.kept_up,
            **subject.sizes(scale),
        },
        "promises": dict(subject.promises),
    }
