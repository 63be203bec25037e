"""Plain numpy: what the same does to an array that nobody else sees and nothing keeps."""

import os
from itertools import count
from typing import Any

import numpy as np

from peers.case import Place, Work, case
from peers.data import ROWS, SIXTEEN, batch, given, values
from peers.memory import grown

WHO = "numpy"


@case("commit", WHO, "memory")
def commit(_: Place) -> Work:
    array = np.zeros((16, 256), "uint8")

    def run(steps: range) -> None:
        for i in steps:
            array[i & 15] = ROWS[i % 251]

    return Work(run)


def batches(workload: str) -> None:
    @case(workload, WHO, "memory")
    def many(_: Place) -> Work:
        width, rows = batch(workload)
        array, data = np.zeros((1 << 16, width), "uint8"), values(width, len(rows))
        where = slice(rows.start, rows.stop) if isinstance(rows, range) else rows

        def run(steps: range) -> None:
            for i in steps:
                array[where] = data[i % 2]

        return Work(run, parts=len(rows))


for name in ("batch 16 B dense", "batch 16 B 10 %", "batch 128 B dense", "batch 128 B 10 %"):
    batches(name)


@case("view changed", f"{WHO}: np.frombuffer")
@case("view unchanged", f"{WHO}: np.frombuffer")
def view(_: Place) -> Work:
    data, make = bytes(4096), np.frombuffer

    def run(steps: range) -> None:
        for _ in steps:
            make(data, "uint8")

    return Work(run)


@case("row, then view", f"{WHO}: a copy")
@case("64 MiB written", f"{WHO}: a copy", "memory")
def copied(at: Place) -> Work:
    array, copy = np.ones(at.scale.large, "uint8"), np.ones(at.scale.large, "uint8")

    def run(steps: range) -> None:
        for i in steps:
            array[:256] = ROWS[i % 251]
            np.copyto(copy, array)

    return Work(run, count=1)


@case("64 MiB written", f"{WHO}: a copy, os.pwrite of it", "process")
def logged(at: Place) -> Work:
    array, data = np.ones(at.scale.large, "uint8"), np.full(at.scale.large, 3, "uint8")
    file = os.open(at.folder / "file", os.O_RDWR | os.O_CREAT)
    at.after.callback(os.close, file)

    def run(_: range) -> None:
        np.copyto(array, data)
        os.pwrite(file, data.data, 0)

    return Work(run, lambda _: os.ftruncate(file, 0), count=1)


@case("64 MiB updated", f"{WHO}: compared, what is new copied", "memory")
def updated(at: Place) -> Work:
    array, counter = np.ones(at.scale.large, "uint8"), count()
    state: dict[str, Any] = {}

    def prepare(_: int) -> None:
        state["given"] = given(at.scale, next(counter), array)

    def run(_: range) -> None:
        new = state["given"].reshape(-1, 256).view("V256")
        old = array.reshape(-1, 256).view("V256")
        changed = np.flatnonzero((new.view("uint64") != old.view("uint64")).any(axis=1))
        old[changed] = new[changed]

    return Work(run, prepare, count=1)


@case("branch", f"{WHO}: a copy")
def branch(at: Place) -> Work:
    array = np.ones(at.scale.branched, "uint8")
    copy = np.ones(at.scale.branched, "uint8")

    def run(steps: range) -> None:
        for i in steps:
            np.copyto(copy, array)
            copy[i * 64 : i * 64 + 64] = SIXTEEN[1][0]

    return Work(run, count=1)


def checkpoints(pages: int) -> None:
    def written(at: Place) -> np.ndarray:
        return np.ones((at.scale.at_most(pages), 4096), "uint8")

    def save(at: Place, array: np.ndarray) -> None:
        with (at.folder / "pages.npy").open("wb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())

    @case(f"checkpoint {pages}", f"{WHO}: np.save, os.fsync", "disk")
    def checkpoint(at: Place) -> Work:
        array = written(at)
        return Work(lambda _: save(at, array), count=1)

    @case(f"restore {pages}", f"{WHO}: np.load", "disk")
    def restore(at: Place) -> Work:
        save(at, written(at))
        return Work(lambda _: np.load(at.folder / "pages.npy").sum(dtype="uint64"), count=1)


for pages in (16, 100, 100_000):
    checkpoints(pages)
grown(WHO, "memory")
