"""The machine itself, as Python reaches it."""

import os

from peers.case import MACHINE, Place, Work, case
from peers.data import ROW_BYTES


def nothing() -> None:
    """The least that a call costs."""


@case("a call", f"{MACHINE}: a Python function")
def call(_: Place) -> Work:
    def run(steps: range) -> None:
        for _ in steps:
            nothing()

    return Work(run)


@case("commit", f"{MACHINE}: os.pwrite, os.fdatasync", "disk")
@case("commit", f"{MACHINE}: os.pwrite", "process")
def write(at: Place) -> Work:
    file = os.open(at.folder / "file", os.O_RDWR | os.O_CREAT)
    at.after.callback(os.close, file)
    size = 16 << 20
    os.pwrite(file, bytes(size), 0)
    os.fsync(file)
    sync, place = at.level == "disk", [0]

    def run(steps: range) -> None:
        to = place[0]
        for i in steps:
            os.pwrite(file, ROW_BYTES[i % 251], to)
            to = (to + 256) % size
            if sync:
                os.fdatasync(file)
        place[0] = to

    return Work(run)
