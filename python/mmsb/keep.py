"""What keeping a bus says of itself: checkpoints made, history let go."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint: the state after frame `seq`, in the file `path` of the bus.

    `bytes` were written; `reused` bytes of the state had been written by earlier checkpoints.
    """

    seq: int
    path: str
    bytes: int
    reused: int


@dataclass(frozen=True)
class Pruned:
    """What pruning let go: checkpoints and segments of the log, and bytes of files.

    `first_epoch` is the first epoch of the main branch whose state can still be had.
    """

    checkpoints: int
    segments: int
    bytes: int
    first_epoch: int
