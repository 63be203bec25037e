"""Keeping a bus: checkpoints, history let go, all verified, damage cut away; who has it, who holds what."""

import os
from dataclasses import dataclass
from time import time_ns
from warnings import warn

from mmsb._core import Bus, _doctor, _pins, _processes, _verify
from mmsb.given import Progress, perhaps_callback, place


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


@dataclass(frozen=True)
class Report:
    """What verifying found: whether all is well, what is wrong in a sentence each, and how much was read."""

    ok: bool
    findings: list[str]
    frames: int
    segments: int
    checkpoints: int
    bytes: int


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found before doing anything, and what was done: `salvaged` says what was lost."""

    ok: bool
    findings: list[str]
    salvaged: list[str]


@dataclass(frozen=True)
class Pin:
    """A version that somebody holds: who holds what, since when, and what it costs.

    Process `pid` holds the page with the id `page` and the `name`, or (0 and `None`) all pages, as they were
    at `epoch` of `branch`, which frame `seq` made `age` seconds ago. `bytes` are out of use and wait for it
    to go; what several hold counts for one of them. `branch` and `epoch` are `None` of a version that is
    being taken, `age` also where no commit made it or its history was let go. `leased` says that it is a
    snapshot that is let go of where it costs more than it may: `pins` and `pin_limit` of `mmsb.open`.
    """

    seq: int
    page: int
    pid: int
    name: str | None = None
    branch: str | None = None
    epoch: int | None = None
    age: float | None = None
    bytes: int = 0
    leased: bool = False


class PinWarning(RuntimeWarning):
    """Somebody holds a version that much memory waits for: `bus.pins()` says who and how much."""


@dataclass(frozen=True)
class Process:
    """A process that has a bus open and shares its memory.

    `pid` is its id, as it is in its own namespace of processes. `commits` says that it is committing at this
    moment, `bytes` how much memory it has taken for what it commits and makes.
    """

    pid: int
    writes: bool
    is_this: bool
    commits: bool
    bytes: int


def processes(bus: Bus) -> list[Process]:
    """Who has a bus open."""
    return [Process(*found) for found in _processes(bus)]


def pins(bus: Bus) -> list[Pin]:
    """Who holds which versions of a bus."""
    held, now = _pins(bus), time_ns()
    names = {page: bus._name(page) for _, page, *_ in held if page}
    found = []
    for seq, page, pid, of, time, size, leased in held:
        branch, epoch = of or (None, None)
        age = None if time is None else max(0, now - time) / 1e9
        found.append(Pin(seq, page, pid, names.get(page), branch, epoch, age, size, leased))
    return found


def _warn(
    seq: int, page: int, pid: int, of: tuple[str, int] | None, time: int | None, size: int, leased: bool
) -> None:
    what = f"epoch {of[1]} of branch '{of[0]}'" if of else f"the state after frame {seq}"
    since = "" if time is None else f", which was committed {max(0, time_ns() - time) / 1e9:.1f} s ago"
    cost = f"process {pid} holds {what}{since}, and {size} bytes that are out of use wait for it"
    warn(f"{cost}; mmsb.open(pins='spill' or 'expire') bounds that", PinWarning, stacklevel=2)


def verify(path: str | os.PathLike[str], progress: Progress = None) -> Report:
    """Read every header, frame, checkpoint and image, and compare checkpoints with a replay of the log.

    Changes nothing, and takes a damaged bus: damage is in the report. `progress` is told the bytes read.

    Raises:
        BusNotFound, DiskError, PermissionDenied: there is nothing, or it cannot be read.
    """
    return Report(*_verify(place("path", path), perhaps_callback("progress", progress)))


def doctor(
    path: str | os.PathLike[str],
    *,
    salvage: bool = False,
    progress: Progress = None,
) -> Diagnosis:
    """Verify a bus; with `salvage`, cut its log at the first damage so that it opens again.

    What is behind the damage is lost then. A damaged copy of a header is restored from the other one, as
    opening the bus to write does. Without `salvage` nothing is changed. `progress` is told the bytes read.

    Raises:
        BusNotFound, DiskError, PermissionDenied, LockedError: as they say.
    """
    (ok, findings, *_), done = _doctor(place("path", path), salvage, perhaps_callback("progress", progress))
    return Diagnosis(ok, findings, done)
