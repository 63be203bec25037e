"""What a page of figures is about: workloads, targets, who is measured, and what is told beside them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from peers.case import Scale
from peers.figure import Figure
from peers.targets import Row
from peers.workloads import Workload

Picture = tuple[str, str, Callable[[list[Figure], Path], None]]
"""A name, what it shows, and what draws it."""


@dataclass(frozen=True)
class Subject:
    """One page, with the command that writes it."""

    name: str  # of its files, docs/NAME.md
    command: str
    title: str
    opening: str
    same: str  # what all parties have alike, for the README
    workloads: tuple[Workload, ...]
    rows: tuple[Row, ...]
    absent: str  # what is in no row, and why
    rivals: tuple[str, ...]  # modules
    promises: Mapping[str, str]  # heading of them, then who and what
    sizes: Callable[[Scale], Mapping[str, object]]
    promised: str = "What each promises"
    a_promise: str = "a commit"
    packages: tuple[str, ...] = ()  # whose versions are told
    crates: tuple[str, ...] = ()
    waits: str = ""  # the section in which a wait for the disk disturbs
    notes: Mapping[str, str] = field(default_factory=dict)  # below a workload's figures
    unplotted: frozenset[str] = frozenset()
    pictures: Mapping[str, Picture] = field(default_factory=dict)  # more of a section
    counted: Callable[[], list[str]] = list  # what was checked in all rounds together

    @cached_property
    def by_key(self) -> dict[str, Workload]:
        """The workloads by name."""
        return {workload.key: workload for workload in self.workloads}

    @cached_property
    def order(self) -> dict[str, int]:
        """The place of each."""
        return {workload.key: number for number, workload in enumerate(self.workloads)}

    def unit_of(self, workload: str) -> str:
        """Seconds or bytes."""
        return self.by_key[workload].unit

    @property
    def begin(self) -> str:
        """The mark in the README behind which its table is."""
        return f"<!-- written by make {self.command} -->\n"
