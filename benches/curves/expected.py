"""How each line should grow, and what is known of those that do not."""

from collections.abc import Sequence
from dataclasses import dataclass

from curves.points import Point, exponent, growth

ALLOWED = {"flat": 0.1, "log": 0.25, "linear": 1.3}
"""The largest exponent of each kind. A logarithm's is small and falls; all is slower beyond caches."""

NOTHING = 1.5
"""What grows by less than this over the upper half of x is within what a machine does by itself."""


@dataclass(frozen=True)
class Line:
    """How a line should grow, from which x on, and what is known of why it does not."""

    kind: str
    why: str = ""
    beyond: int = 0


MANY = "caches: what leads to one of many is in none of them"
COLD = f"{MANY}; of 64 of as many pages it is (next row)"
RATE = (
    "of what is read: some 4 MiB of log are applied behind a checkpoint, and more where a writer at full "
    "speed got ahead of the next one"
)

EXPECTED: dict[str, dict[str, Line]] = {
    "page size": {
        "memory in use for the page": Line("linear"),
        "memory resident for the page": Line("linear"),
        "snapshot opened and closed": Line("flat"),
        "view, unchanged": Line("flat"),
        "view after a commit of 64 B": Line("log"),
        "commit of 64 B": Line("log", "a cold chunk of a large page is read from memory before it is copied"),
        "memory that one more kept commit takes": Line("log"),
        "log of a commit of 64 B": Line("flat"),
    },
    "delta": {
        "log of one commit": Line("linear"),
        "commit": Line("linear"),
        "as many bytes read": Line("linear"),
    },
    "pages": {
        "memory resident for a page": Line("flat"),
        "memory in use for a page": Line("flat"),
        "log for a page": Line("flat"),
        "commit of 64 B into one": Line("log"),
        "snapshot opened and closed": Line("flat"),
        "found by name": Line("log"),
        "view of one": Line("log", COLD),
        "view of one of 64 of them": Line("flat"),
        "all names listed": Line("linear"),
        "one more created": Line("log"),
        "opened again": Line("linear"),
    },
    "epochs": {
        "memory resident, beyond the pages": Line("log", beyond=1_000_000),
        "memory in use, beyond the pages": Line("flat"),
        "log of an epoch": Line("flat"),
        "files for an epoch": Line("flat"),
        "`at` a random epoch, one page read": Line("log", RATE, 300_000),
        "`at` the present epoch": Line("flat"),
        "commit of 16 B": Line("flat"),
        "opened again": Line("log", RATE, 1_000_000),
    },
    "threads": {
        "readers alone: snapshot and view of 4 KiB": Line("flat"),
        "readers beside a writer: snapshot and view of 4 KiB": Line("flat"),
        "the writer beside them: commit of 64 B": Line("linear"),
        "writers, each on a page of its own: commit of 64 B": Line("flat"),
        "writers, all on one page: commit of 64 B": Line("flat"),
        "writers that wait for the disk: commit of 64 B": Line("flat"),
    },
    "snapshots": {
        "commit, all held are of one epoch": Line("flat", "each commit scans all pins: `pinning/pins.rs`"),
        "snapshot opened and closed, all held are of one epoch": Line("flat"),
        "memory resident for one held": Line("flat"),
        "memory in use for one held": Line("flat"),
        "commit, each held is of another epoch": Line(
            "flat",
            "each commit scans all pins (`pinning/pins.rs`) and all parked keys (`pinning/limbo.rs`)",
        ),
        "snapshot opened and closed, each held is of another epoch": Line("flat"),
        "commit while a snapshot comes and goes": Line("flat", "as above"),
        "all let go, for one": Line("flat"),
        "memory that stays when all have gone": Line(
            "linear", "slabs of small blocks stay with their size until memory runs short"
        ),
    },
    "branches": {
        "memory resident for one": Line("flat"),
        "memory in use for one": Line("flat"),
        "commit of 64 B on main": Line("flat"),
        "commit of 64 B on a branch": Line("log", MANY),
        "snapshot opened and closed": Line("flat"),
        "dropped, with its 64 B": Line("log"),
        "forked, 64 B written, dropped": Line("log"),
        "all listed": Line("linear"),
        "opened again": Line("linear"),
    },
    "columns": {
        "memory in use for a column": Line("flat"),
        "memory resident for a column": Line("flat"),
        "view of one column": Line("flat"),
        "commit of 8 rows of one column": Line(
            "log", "the page's head block, with a place for each column, is copied"
        ),
        "commit of one row of all columns": Line("linear"),
        "one more such page created": Line("linear"),
    },
}

TOPS = {
    "page size": (1 << 30, "B"),
    "delta": (1 << 24, "B"),
    "pages": (1_000_000, "pages"),
    "epochs": (10_000_000, "epochs"),
    "threads": (8, "threads"),
    "snapshots": (100_000, "snapshots"),
    "branches": (100_000, "branches"),
    "columns": (1024, "columns"),
}
"""How far x should go, and what it counts."""


def judged(family: str, line: Sequence[Point]) -> Sequence[Point]:
    """The part of a line that is judged."""
    should = EXPECTED[family][line[0].what]
    return [point for point in line if point.x >= should.beyond] or line


def verdict(family: str, line: Sequence[Point]) -> tuple[str, str]:
    """How a line should grow, and whether it does no more than that."""
    should = EXPECTED[family][line[0].what]
    line = judged(family, line)
    kind = f"{should.kind} beyond {should.beyond:,}" if should.beyond else should.kind
    slope = exponent(line)
    if slope <= ALLOWED[should.kind] or growth(line) < NOTHING:
        return kind, "as expected"
    return kind, f"**GROWS**: {slope:.2f}" + (f": {should.why}" if should.why else "")
