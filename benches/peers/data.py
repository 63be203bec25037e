"""The bytes that everybody is given."""

import numpy as np

from peers.case import Scale, place

ROWS = [np.full(256, value, "uint8") for value in range(251)]
"""Rows of 256 B to write in turn: what is written again unchanged may cost nothing."""
ROW_BYTES = [row.tobytes() for row in ROWS]
SHORT = [row[:128] for row in ROWS]
SHORT_BYTES = [row.tobytes() for row in SHORT]
SIXTEEN = [row[:16] for row in ROWS]
BATCHED = 1 << 16
"""Rows of the page that batches go to."""


def batch(name: str) -> tuple[int, np.ndarray | range]:
    """The width and the rows of the workload `batch ...`."""
    _, width, _, density = name.split(maxsplit=3)
    if density == "dense":
        return int(width), range(1000, 1000 + 4096)
    many = BATCHED // (10 if density == "10 %" else 100)
    return int(width), np.unique([place(i, BATCHED) for i in range(many)])


def values(width: int, rows: int) -> list[np.ndarray]:
    """What a batch writes, in turn."""
    return [np.full((rows, width), value, "uint8") for value in (1, 2)]


def given(scale: Scale, step: int, base: np.ndarray) -> np.ndarray:
    """A copy of a large array in which 0.1 % is new, 256 B here and there."""
    array = base.copy()
    rows = array.reshape(-1, 256)
    rows[[place(i, len(rows)) for i in range(len(rows) // 1000)]] = step % 200 + 5
    return array
