"""Which commits and pages made a value what it is."""

import json
from dataclasses import dataclass
from typing import Any, SupportsIndex

from mmsb._core import Bus as CoreBus
from mmsb._core import _provenance
from mmsb.derive.called import Key
from mmsb.derive.explain import Names
from mmsb.given import perhaps_count

Rows = tuple[range, ...]


@dataclass(frozen=True)
class Origin:
    """A commit whose writes are in a value: its epoch, who wrote it and why, and the rows it wrote."""

    epoch: int
    source: str | None
    intent: Any
    rows: Rows


@dataclass(frozen=True, eq=False)
class Provenance:
    """Rows of a page, the commits that are in them, newest first, and what they follow from.

    What two ways lead to is one object, and is compared as such. `more` tells that there were further
    commits, past 4,096 of a part or 1,048,576 in all, or further parts, past 262,144, or that the history
    that has them was pruned.
    """

    page: str
    rows: Rows
    commits: tuple[Origin, ...]
    inputs: "list[Provenance]"
    more: bool

    def parts(self) -> "list[Provenance]":
        """This part and all that it follows from, each once."""
        found: dict[int, Provenance] = {}
        waiting = [self]
        while waiting:
            part = waiting.pop()
            if id(part) not in found:
                found[id(part)] = part
                waiting += reversed(part.inputs)
        return [*found.values()]

    def __reduce__(self) -> tuple[Any, ...]:
        """As a list of parts: copying and pickling a long lineage do not recurse."""
        parts = self.parts()
        number = {id(part): at for at, part in enumerate(parts)}
        told = [
            (part.page, part.rows, part.commits, [number[id(of)] for of in part.inputs], part.more)
            for part in parts
        ]
        return _linked, (told,)

    def __str__(self) -> str:
        """Each part on a line, with the commits that are in it."""
        lines = []
        for part in self.parts():
            rows = ", ".join(
                f"{run.start}" if len(run) == 1 else f"{run.start}:{run.stop}" for run in part.rows
            )
            whom = ", ".join(
                f"{c.epoch} by {c.source}" if c.source else str(c.epoch) for c in part.commits[:8]
            )
            rest = len(part.commits) - 8
            said = whom + (f" and {rest} more" if rest > 0 else "")
            lines.append(
                f"{part.page}[{rows}]: epochs {said}" if said else f"{part.page}[{rows}]: never written"
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        """In short."""
        return f"<Provenance of {self.page}, {len(self.commits)} commits, {len(self.inputs)} inputs>"


def _rows(runs: list[tuple[int, int]]) -> Rows:
    return tuple(range(start, stop) for start, stop in runs)


def _linked(told: "list[tuple[str, Rows, tuple[Origin, ...], list[int], bool]]") -> Provenance:
    """The first of these parts, which name what they follow from by their numbers."""
    parts = [Provenance(page, rows, commits, [], more) for page, rows, commits, _, more in told]
    for part, (_, _, _, inputs, _) in zip(parts, told, strict=True):
        part.inputs.extend(parts[number] for number in inputs)
    return parts[0]


def _origin(epoch: int, source: str | None, intent: str | None, wrote: list[tuple[int, int]]) -> Origin:
    return Origin(epoch, source, None if intent is None else json.loads(intent), _rows(wrote))


def provenance(bus: CoreBus, page: Key, row: SupportsIndex | None, epoch: SupportsIndex | None) -> Provenance:
    """The lineage of a row of a page, or of all."""
    names = Names(bus)
    found = _provenance(bus, page, perhaps_count("row", row), perhaps_count("epoch", epoch))
    return _linked(
        [
            (names(of), _rows(rows), tuple(_origin(*commit) for commit in commits), inputs, more)
            for of, rows, commits, inputs, more in found
        ]
    )
