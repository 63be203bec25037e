"""What a task changes, as it travels: cells through memory, and what says where they go beside it."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsb._core import Bus as CoreBus
from mmsb.errors import DtypeError, InvalidArgument, about

Put = Callable[[NDArray[Any]], Any]
"""Keeps an array as it is now, and returns what stands for it."""

_ALIGNMENT = 64
"""Where arrays begin: a cache line, which every dtype goes by."""

_MAPPED = 1 << 18
"""From how many bytes on mapping beats copying, and is worth an open file."""

_PLAIN = (bool, int, float, complex, str, bytes, np.generic, slice, type(...), type(None))
"""What is small enough to travel as it is."""


@dataclass(frozen=True)
class Delta:
    """A change of a page: merged or assigned, at `where`."""

    page: str
    merges: bool
    where: Any
    values: Any
    op: Any = None

    def apply(self, bus: CoreBus) -> None:
        """Makes the change."""
        page = bus[self.page]
        if self.merges:
            page.merge(self.values, self.where, self.op)
        else:
            page[self.where] = self.values


@dataclass(frozen=True)
class Stored:
    """An array in a file: where it begins, and what it is."""

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def found(self, block: NDArray[np.uint8]) -> NDArray[Any]:
        """It, as a view of the file's bytes."""
        size = self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))
        return block[self.offset : self.offset + size].view(self.dtype).reshape(self.shape)


class Store:
    """A file without a name, in memory, in which a worker leaves arrays; it goes with who has it open."""

    def __init__(self) -> None:
        self.file = os.fdopen(os.memfd_create("mmsb-deltas"), "wb")
        self.size = 0

    def put(self, array: NDArray[Any]) -> Stored:
        """Leaves an array behind the others."""
        # Not `ascontiguousarray`, which makes a number an array of one.
        cells = np.asarray(array, order="C")
        self.file.write(bytes(-self.size % _ALIGNMENT))
        stored = Stored(self.size + -self.size % _ALIGNMENT, cells.dtype, cells.shape)
        if cells.nbytes:
            self.file.write(cells.reshape(-1).view(np.uint8).data)
        self.size = stored.offset + cells.nbytes
        return stored

    def shown(self) -> tuple[int, int]:
        """The file's number in this process and its size, once all is in it."""
        self.file.flush()
        return self.file.fileno(), self.size

    def close(self) -> None:
        """Lets go of it; who has it open still reads it."""
        self.file.close()


def shared(process: int, number: int, size: int) -> NDArray[np.uint8]:
    """The bytes of a file that another process has open; where they are many they are mapped."""
    if size == 0:
        return np.empty(0, np.uint8)
    with Path(f"/proc/{process}/fd/{number}").open("rb") as file:
        if size < _MAPPED:
            return np.fromfile(file, np.uint8, size)
        return np.asarray(np.memmap(file, np.uint8, "r", shape=(size,)))


def kept(what: str, value: Any, put: Put) -> Any:
    """A value or an index as it travels, with its arrays put aside."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        return {name: kept(f"{what}[{name!r}]", one, put) for name, one in value.items()}
    if isinstance(value, tuple):
        return tuple(kept(what, one, put) for one in value)
    if isinstance(value, list) and not any(isinstance(one, np.ndarray) for one in value):
        # As it is: a page checks the numbers of a list one by one, those of an array it casts.
        return [kept(what, one, put) for one in value]
    try:
        cells = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"{what}: {error}") from None
    if cells.dtype.hasobject:
        raise DtypeError(f"{what}: {type(value).__name__} of {cells.dtype} are no cells")
    return put(cells)


def found(value: Any, block: NDArray[np.uint8]) -> Any:
    """What `kept` made travel, with its arrays."""
    if isinstance(value, Stored):
        return value.found(block)
    if isinstance(value, dict):
        return {name: found(one, block) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(found(one, block) for one in value)
    return value


def arrived(deltas: Sequence[Delta], block: NDArray[np.uint8]) -> list[Delta]:
    """The deltas of a task of another process, whose arrays lie in `block`."""
    return [
        Delta(one.page, one.merges, found(one.where, block), found(one.values, block), one.op)
        for one in deltas
    ]


def apply(bus: CoreBus, task: int, deltas: Sequence[Delta]) -> None:
    """Makes the changes of a task in their order, and says which of them cannot be made."""
    for number, delta in enumerate(deltas):
        with about(f"task {task}, delta {number}"):
            delta.apply(bus)
