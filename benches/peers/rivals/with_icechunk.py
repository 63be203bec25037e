"""Icechunk: versioned zarr arrays in files. A commit is files written, and not synced."""

import logging
import os
from itertools import count
from typing import Any

os.environ.setdefault("ICECHUNK_LOG", "error")

import icechunk
import numpy as np
import zarr

from peers.case import Place, Work, case
from peers.data import ROWS

WHO = "Icechunk"
CHUNK = 1 << 20
logging.getLogger("zarr").setLevel(logging.ERROR)


def created(at: Place, size: int, chunk: int) -> Any:
    """A repository with an array of so many bytes, none of them zero."""
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(at.folder / "icechunk")))
    session = repository.writable_session("main")
    array = zarr.create_array(
        session.store, name="page", shape=(size,), chunks=(chunk,), dtype="u1", compressors=None
    )
    array[:] = 1
    session.commit("made")
    return repository


def write(repository: Any, branch: str, where: slice, value: Any) -> None:
    """One commit."""
    session = repository.writable_session(branch)
    zarr.open_array(session.store, path="page", mode="r+")[where] = value
    session.commit("written")


def read(repository: Any) -> Any:
    """All of the array."""
    return zarr.open_array(repository.readonly_session("main").store, path="page", mode="r")[:]


@case("commit", WHO, "process")
def commit(at: Place) -> Work:
    repository = created(at, 4096, 4096)

    def run(steps: range) -> None:
        for i in steps:
            row = i & 15
            write(repository, "main", slice(row * 256, row * 256 + 256), ROWS[i % 251])

    return Work(run)


@case("view changed", f"{WHO}: a session each")
@case("view unchanged", f"{WHO}: a session each")
def view(at: Place) -> Work:
    repository = created(at, 4096, 4096)

    def run(steps: range) -> None:
        for _ in steps:
            read(repository)

    return Work(run)


@case("snapshot", f"{WHO}: a read-only session")
def snapshot(at: Place) -> Work:
    repository = created(at, 4096, 4096)

    def run(steps: range) -> None:
        for _ in steps:
            repository.readonly_session("main")

    return Work(run)


@case("64 MiB written", f"{WHO}: chunks of 1 MiB", "process")
def whole(at: Place) -> Work:
    repository, step = created(at, at.scale.large, CHUNK), count()
    data = [np.full(at.scale.large, value, "uint8") for value in (3, 4)]
    return Work(lambda _: write(repository, "main", slice(None), data[next(step) % 2]), count=1)


@case("row, then view", f"{WHO}: chunks of 1 MiB")
def row_then_view(at: Place) -> Work:
    repository = created(at, at.scale.large, CHUNK)

    def run(steps: range) -> None:
        for i in steps:
            write(repository, "main", slice(0, 256), ROWS[i % 251])
            read(repository)

    return Work(run, count=1)


@case("branch", f"{WHO}: chunks of 1 MiB")
def branch(at: Place) -> Work:
    repository, names = created(at, at.scale.branched, CHUNK), count()

    def run(steps: range) -> None:
        for _ in steps:
            name = f"b{next(names)}"
            repository.create_branch(name, repository.lookup_branch("main"))
            write(repository, name, slice(0, 64), ROWS[7][:64])
            repository.delete_branch(name)

    return Work(run, count=1)
