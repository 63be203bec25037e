"""A bus of plain numpy arrays, all kept at every epoch: the flights are tested on it without an engine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mmsb.applications.flights import followed, pages, source
from mmsb.applications.flights.stream import Stream

State = dict[str, dict[str, np.ndarray[Any, Any]]]
Follow = Callable[[State], State]


class ConflictError(Exception):
    """Both lines changed the same cell."""


class PlainColumn:
    """A column, written by copying it."""

    def __init__(self, page: PlainPage, name: str) -> None:
        self.page, self.name = page, name

    @property
    def array(self) -> Any:
        return self.page.arrays[self.name]

    def __setitem__(self, index: Any, value: Any) -> None:
        array = self.page.bus.writable(self.page.name, self.name)
        array[index] = value
        self.page.bus.deltas += 1


class PlainPage:
    """A page: a name in a bus."""

    def __init__(self, bus: PlainBus, name: str) -> None:
        self.bus, self.name = bus, name

    @property
    def arrays(self) -> Mapping[str, Any]:
        return self.bus.states[-1][self.name]

    def __getitem__(self, column: str) -> PlainColumn:
        if column not in self.arrays:
            raise KeyError(column)
        return PlainColumn(self, column)

    def merge(self, amounts: Mapping[str, Any], *, rows: Any, op: str) -> None:
        assert op == "add"
        for name, values in amounts.items():
            np.add.at(self.bus.writable(self.name, name), rows, values)
        self.bus.deltas += 1


class PlainBus:
    """States by epoch, from `first` on; at the end of a transaction `follow` says what follows from it."""

    def __init__(
        self, states: list[State] | None = None, first: int = 0, follow: Follow | None = None
    ) -> None:
        self.follow = follow
        self.states: list[State] = states if states is not None else [{}]
        self.first, self.forked = first, first + len(self.states) - 1
        self.deltas = 0
        self.intents: list[Mapping[str, Any]] = []
        self.inside = False

    @property
    def epoch(self) -> int:
        return self.first + len(self.states) - 1

    def __contains__(self, name: object) -> bool:
        return name in self.states[-1]

    def __getitem__(self, name: str) -> PlainPage:
        if name not in self:
            raise KeyError(name)
        return PlainPage(self, name)

    def writable(self, page: str, column: str) -> Any:
        assert self.inside, "the flights write inside transactions only"
        columns = self.states[-1][page] = dict(self.states[-1][page])
        columns[column] = columns[column].copy()
        return columns[column]

    def create_page(
        self, name: str, *, rows: int, columns: Mapping[str, str], op: str | None = None
    ) -> PlainPage:
        assert self.inside
        assert op in ("add", None)

        def zeros(dtype: str) -> Any:
            base, _, inner = dtype.partition("[")
            return np.zeros((rows, int(inner[:-1])) if inner else rows, base)

        self.states[-1][name] = {column: zeros(dtype) for column, dtype in columns.items()}
        return PlainPage(self, name)

    @contextmanager
    def transaction(self, *, source: str, intent: Mapping[str, Any]) -> Iterator[SimpleNamespace]:
        assert source
        self.states.append(dict(self.states[-1]))
        self.inside = True
        try:
            done = SimpleNamespace(epoch=self.epoch)
            yield done
            if self.follow is not None:
                self.states[-1] |= self.follow(self.states[-1])
            self.intents.append(intent)
        except BaseException:
            self.states.pop()
            raise
        finally:
            self.inside = False

    def at(self, epoch: int) -> PlainBus:
        return PlainBus([self.states[epoch - self.first]], epoch)

    def branch(self, name: str, *, at: int | None = None) -> PlainBus:
        assert name
        epoch = self.epoch if at is None else at
        return PlainBus(self.states[epoch - self.first :][:1], epoch, self.follow)

    def _cells(self, other: PlainBus) -> Iterator[tuple[str, str, Any]]:
        for page, columns in self.states[-1].items():
            for name, values in columns.items():
                differ = values != other.states[-1][page][name]
                if differ.any():
                    yield page, name, differ

    def diff(self, other: PlainBus) -> list[SimpleNamespace]:
        rows: dict[str, set[int]] = {}
        for page, _, differ in self._cells(other):
            cells = np.atleast_1d(differ)
            in_rows = cells.reshape(len(cells), -1).any(axis=1)
            rows.setdefault(page, set()).update(np.flatnonzero(in_rows).tolist())
        return [SimpleNamespace(page=page, rows=sorted(those)) for page, those in rows.items()]

    def merge(self, other: PlainBus, *, on_conflict: str = "raise") -> None:
        assert on_conflict == "raise"
        base = PlainBus(other.states[:1])
        theirs = {(page, name): differ for page, name, differ in other._cells(base)}
        for page, name, differ in self._cells(base):
            between = self.states[-1][page][name] != other.states[-1][page][name]
            if np.any(differ & between & theirs.get((page, name), False)):
                raise ConflictError(f"page {page!r}: both lines changed column {name!r}")
        with self.transaction(source="merge", intent={}):
            for (page, name), differ in theirs.items():
                self.writable(page, name)[differ] = other.states[-1][page][name][differ]

    def digest(self) -> str:
        hasher = hashlib.sha256()
        for page, columns in self.states[-1].items():
            for name, values in columns.items():
                hasher.update(f"{page}.{name}".encode() + values.tobytes())
        return hasher.hexdigest()

    def checkpoint(self) -> None:
        pass

    def close(self) -> None:
        pass


Played = tuple[PlainBus, Stream]
"""A bus, and the stream it has played to the end."""


def created(flights: source.Flights) -> PlainBus:
    """A bus with the pages of the flights, and those that follow from them, before the first minute."""
    bus = PlainBus(follow=partial(followed.state, flights))
    pages.create(bus, flights)
    return bus


def play(flights: source.Flights) -> Played:
    """The flights, played into a plain bus."""
    bus, stream = created(flights), Stream(flights)
    stream.play(bus, len(stream))
    return bus, stream


def flights_or_skip(first: int | None = None) -> source.Flights:
    """The flights, if they are installed."""
    try:
        return source.load(first)
    except source.FlightsMissingError as error:
        pytest.skip(str(error))
