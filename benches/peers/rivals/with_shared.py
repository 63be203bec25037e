"""`multiprocessing.shared_memory`: bytes that several processes see. No commits, no history, no files."""

from multiprocessing.shared_memory import SharedMemory

import numpy as np

from peers.case import Place, Work, case
from peers.data import ROWS

WHO = "shared_memory"


def shared(at: Place, size: int) -> memoryview:
    """So many bytes, none of them zero."""
    memory = SharedMemory(create=True, size=size)
    at.after.callback(memory.unlink)
    at.after.callback(memory.close)
    assert memory.buf is not None
    memory.buf[:] = bytes([1]) * size
    return memory.buf


@case("commit", WHO, "memory")
def commit(at: Place) -> Work:
    buffer = shared(at, 4096)

    def run(steps: range) -> None:
        rows = np.frombuffer(buffer, "uint8").reshape(16, 256)
        for i in steps:
            rows[i & 15] = ROWS[i % 251]

    return Work(run)


@case("view unchanged", WHO)
@case("view changed", WHO)
def view(at: Place) -> Work:
    buffer, make = shared(at, 4096), np.frombuffer

    def run(steps: range) -> None:
        for _ in steps:
            make(buffer, "uint8")

    return Work(run)


@case("row, then view", WHO)
def row_then_view(at: Place) -> Work:
    buffer, make = shared(at, at.scale.large), np.frombuffer

    def run(steps: range) -> None:
        for i in steps:
            make(buffer, "uint8")[i % 1000 * 256 : i % 1000 * 256 + 256] = ROWS[i % 251]
            make(buffer, "uint8")

    return Work(run)


@case("64 MiB written", WHO, "memory")
def whole(at: Place) -> Work:
    buffer = shared(at, at.scale.large)
    data = [np.full(at.scale.large, value, "uint8") for value in (3, 4)]

    def run(steps: range) -> None:
        to = np.frombuffer(buffer, "uint8")
        for i in steps:
            to[:] = data[i % 2]

    return Work(run, count=1)
