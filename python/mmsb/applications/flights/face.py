"""What the flights need of a bus: the part of the public face this application is written against."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Column(Protocol):
    """One column of a page."""

    @property
    def array(self) -> Array:
        """The whole column, read only."""

    def __setitem__(self, index: Any, value: Any) -> None:
        """Assign cells: one delta."""


class Page(Protocol):
    """A table of typed columns."""

    @property
    def arrays(self) -> Mapping[str, Array]:
        """All columns, read only."""

    def __getitem__(self, column: str) -> Column: ...

    def merge(self, amounts: Mapping[str, Array], *, rows: Array, op: str) -> None:
        """Merge amounts into cells: one delta."""


class Change(Protocol):
    """What a difference says of one page."""

    @property
    def page(self) -> str:
        """The page's name."""

    @property
    def rows(self) -> Any:
        """The rows in which it differs."""


class Transaction(Protocol):
    """A transaction, and the epoch it became."""

    @property
    def epoch(self) -> int:
        """The epoch, once committed."""


class Bus(Protocol):
    """A state: pages, time, branches."""

    @property
    def epoch(self) -> int:
        """The newest epoch."""

    def __contains__(self, name: object) -> bool: ...

    def __getitem__(self, name: str) -> Page: ...

    def create_page(self, name: str, *, rows: int, columns: Mapping[str, str], op: str | None = None) -> Page:
        """Add a page, zero filled; `op` is how it merges."""

    def transaction(self, *, source: str, intent: Mapping[str, Any]) -> AbstractContextManager[Transaction]:
        """Everything written inside becomes one epoch."""

    def at(self, epoch: int) -> Bus:
        """The state as it was."""

    def branch(self, name: str, *, at: int | None = None) -> Bus:
        """A line of its own from an epoch on."""

    def diff(self, other: Any) -> Iterable[Change]:
        """Where two states differ."""

    def merge(self, other: Any, *, on_conflict: str = "raise") -> Any:
        """Bring another line's changes in."""

    def digest(self) -> str:
        """A fingerprint of the state."""

    def checkpoint(self) -> Any:
        """Make opening quick."""

    def close(self) -> None:
        """Let go of it."""


class DerivingBus(Bus, Protocol):
    """A bus whose pages may follow from others."""

    def derive(self, name: str, rule: Any) -> Any:
        """Add a page that follows from others."""


class Entry(Protocol):
    """A commit, as the log has it."""

    @property
    def epoch(self) -> int:
        """The epoch it made."""

    @property
    def time_ns(self) -> int:
        """When, by the writer's clock: UTC."""


class Update(Protocol):
    """What a watch tells of: the epochs after `since`, up to and with `epoch`."""

    @property
    def since(self) -> int:
        """The epoch it told of before."""

    @property
    def epoch(self) -> int:
        """The newest."""


class Watch(Protocol):
    """Waits for commits."""

    def next(self, timeout: float | None = None) -> Update | None:
        """The next update, or none within so many seconds."""

    def __enter__(self) -> Watch: ...

    def __exit__(self, *_: object) -> None: ...


class LiveBus(DerivingBus, Protocol):
    """A bus as processes have it open: it can be followed, and looked back on."""

    @property
    def follows(self) -> bool:
        """Whether it sees what other processes commit."""

    def snapshot(self) -> AbstractContextManager[Bus]:
        """The newest state, for as long as it is held."""

    def watch(self) -> Watch:
        """Commits from now on."""

    def log(self) -> Iterable[Entry]:
        """All commits."""


def open_bus(path: Path, mode: str = "a", durability: str = "process") -> AbstractContextManager[LiveBus]:
    """Open a bus as anybody would, by `mmsb.open`; looked up late, as the face stands above this room."""
    opened: AbstractContextManager[LiveBus] = _face().open(path, mode=mode, durability=durability)
    return opened


def rules() -> Any:
    """What built-in rules are made with: `col`, `where`, `reduce`, `gather`, `closure`."""
    return _face()


def conflict_error() -> type[Exception]:
    """What a merge raises that is refused."""
    error: type[Exception] = _face().ConflictError
    return error


def _face() -> Any:
    return importlib.import_module("mmsb")


def names(count: int, texts: Iterable[str]) -> NDArray[np.bytes_]:
    """Texts as fixed-width bytes of `count` each."""
    return np.array([text.encode("ascii") for text in texts], f"S{count}")
