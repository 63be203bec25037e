"""A history of what processes did to one bus at the same time, and what is wrong with it if not linearizable.

Each branch is an object of its own, and its epochs are the order in which its operations must have happened.
A history is linearizable if that order is one of commits without gaps, if it never contradicts the clock that
all processes of a machine share, and if everything seen or read is what a replay of the commits in that order
gives. The replay is plain numpy over what the writers say they wrote: nothing here knows the bus.
"""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.int64]
State = dict[str, tuple[int, Cells]]
"""Pages by name: their version, and their cells."""

PAGES: Final = {"counter": 1, "cells": 16, "large": 5000}
"""Pages of 64-bit cells: small ones, and one of several chunks."""


@dataclasses.dataclass(frozen=True)
class Operation:
    """What one process did, between two looks at the clock (in ns), and the epoch that it made or saw.

    `kind` is "commit", "view" (of the newest state) or "past" (of an epoch that was asked for). A commit has
    cells it read before it wrote them (page, index, value) and what it wrote (page, start, stop, value of the
    first cell; each cell is one more than the one before). The others have a fingerprint of each page.
    """

    process: int
    kind: str
    branch: str
    began: int
    ended: int
    epoch: int
    read: list[tuple[str, int, int]] = dataclasses.field(default_factory=list)
    written: list[tuple[str, int, int, int]] = dataclasses.field(default_factory=list)
    seen: dict[str, str] = dataclasses.field(default_factory=dict)

    def line(self) -> str:
        """As a line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    def __str__(self) -> str:
        return f"the {self.kind} of epoch {self.epoch} on {self.branch!r} by process {self.process}"


def parse(lines: Iterable[str]) -> Iterator[Operation]:
    """Operations that were written as lines."""
    return (Operation(**json.loads(line)) for line in lines)


def fingerprint(version: int, cells: NDArray[Any]) -> str:
    """Stands for a page: its version, and a digest of its bytes."""
    return f"{version} {hashlib.blake2b(cells.tobytes(), digest_size=16).hexdigest()}"


def ramp(start: int, stop: int, value: int) -> Cells:
    """What cells hold that were written from `value` on."""
    return np.arange(value, value + stop - start)


def replayed(commits: Iterable[Operation], start: State) -> Iterator[tuple[Operation, State]]:
    """Each commit with the state before it. Then the state is another: take from it what you want to keep."""
    state = {name: (version, cells.copy()) for name, (version, cells) in start.items()}
    for commit in commits:
        yield commit, state
        for page, first, stop, value in commit.written:
            cells = state[page][1]
            cells[first:stop] = ramp(first, stop, value)
            state[page] = commit.epoch, cells


def fingerprints(state: State) -> dict[str, str]:
    """A fingerprint of every page."""
    return {name: fingerprint(version, cells) for name, (version, cells) in state.items()}


def states(history: Iterable[Operation], branch: str, epoch: int, start: State) -> dict[int, dict[str, str]]:
    """What every epoch of a branch that begins so must look like."""
    commits = in_order(history, branch)
    # What the last commit left is the state before one that is none.
    end = Operation(-1, "commit", branch, 0, 0, -1)
    found = {}
    for commit, state in replayed([*commits, end], start):
        found[epoch] = fingerprints(state)
        epoch = commit.epoch
    return found


def in_order(history: Iterable[Operation], branch: str) -> list[Operation]:
    """The commits of a branch, by their epochs."""
    commits = (one for one in history if (one.kind, one.branch) == ("commit", branch))
    return sorted(commits, key=lambda one: one.epoch)


def violations(history: list[Operation], epochs: dict[str, int], start: State) -> list[str]:
    """Why the history is not linearizable, if it is not; branches began at these epochs, all in one state."""
    found: list[str] = []
    for branch, epoch in epochs.items():
        of_branch = [one for one in history if one.branch == branch]
        commits = in_order(of_branch, branch)
        found += _misnumbered(commits, epoch)
        found += _out_of_time(of_branch, epoch)
        found += _lost(commits, start)
        found += _unlike(of_branch, states(of_branch, branch, epoch, start))
    return found


def _misnumbered(commits: list[Operation], epoch: int) -> Iterator[str]:
    """Epochs that several commits made, or none."""
    for commit in commits:
        if commit.epoch == epoch:
            yield f"{commit} is not the only one"
        elif commit.epoch != epoch + 1:
            yield f"nobody made epoch {epoch + 1}, and there is {commit}"
        epoch = commit.epoch


def _out_of_time(operations: list[Operation], epoch: int) -> Iterator[str]:
    """Operations that began when others had ended, and come before those in the order of epochs."""
    running: list[tuple[int, int]] = []
    newest = epoch
    for one in sorted(operations, key=lambda one: one.began):
        while running and running[0][0] < one.began:
            newest = max(newest, heapq.heappop(running)[1])
        if one.kind == "past":
            # It was asked for an epoch, which had been there: what it saw ended before.
            if one.epoch > newest:
                yield f"{one} is of an epoch that nobody had seen"
            continue
        if one.epoch < newest or (one.kind == "commit" and one.epoch == newest):
            yield f"{one} began when epoch {newest} was there"
        heapq.heappush(running, (one.ended, one.epoch))


def _lost(commits: list[Operation], start: State) -> Iterator[str]:
    """Commits that wrote cells which were not what they had read."""
    for commit, state in replayed(commits, start):
        for page, index, value in commit.read:
            if (was := int(state[page][1][index])) != value:
                yield f"{commit} read {value} in {page}[{index}] and wrote over {was}"


def _unlike(operations: list[Operation], states: dict[int, dict[str, str]]) -> Iterator[str]:
    """What was seen and is not the state of its epoch."""
    for one in operations:
        if one.kind == "commit":
            continue
        wanted = states.get(one.epoch, {})
        for page in sorted({*wanted, *one.seen}):
            if one.seen.get(page) != wanted.get(page):
                yield f"{one} saw {page} as {one.seen.get(page)}, and it is {wanted.get(page)}"


def overlaps(history: list[Operation]) -> int:
    """How many operations began while one of another process was on its way."""
    count = 0
    running: list[tuple[int, int]] = []
    for one in sorted(history, key=lambda one: one.began):
        running = [other for other in running if other[0] >= one.began]
        count += any(process != one.process for _, process in running)
        running.append((one.ended, one.process))
    return count
