"""What is measured: a case is one workload by one party, at each durability it can be had at."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

OURS = "mmsb"
MACHINE = "the machine"
LEVELS = {
    "memory": "survives nothing",
    "process": "survives kill -9",
    "disk": "survives loss of power",
    "": "",
}
"""What a commit survives."""


@dataclass(frozen=True)
class Scale:
    """How much is done."""

    quick: bool
    rounds: int
    samples: int  # of each figure in a round
    few: int  # samples of what takes 50 ms or more
    seconds: float  # of a sample
    kept_up: float  # seconds of a sample of what must be kept up
    epochs: int
    pages: int
    large: int  # bytes of a large page
    branched: int  # bytes of a page that is branched
    cycles: int
    flights: int | None  # all of them where None

    def at_most(self, pages: int) -> int:
        """So many pages, or fewer where it is only to be shown that it works."""
        return min(pages, 5_000) if self.quick else pages


FULL = Scale(False, 3, 15, 5, 0.01, 2.0, 1_000_000, 1_000_000, 64 << 20, 1 << 30, 10_000, None)
QUICK = Scale(True, 1, 7, 3, 0.003, 0.2, 100_000, 50_000, 64 << 20, 128 << 20, 200, 2_000)


@dataclass
class Place:
    """Where a case works: an empty folder, a durability, and what is to be closed afterwards."""

    folder: Path
    level: str
    scale: Scale
    after: ExitStack = field(default_factory=ExitStack)
    checks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Work:
    """What is timed: `run(steps)` does it once for each step. `prepare(n)` comes before, outside the clock.

    Steps go on from one call to the next, so that what is written is never what is there already: that may
    cost nothing.

    With a `count` it is always done so often at once, else as often as fills a sample. `parts` is how many
    of what the figure is about are done by doing it once.
    """

    run: Callable[[range], object]
    prepare: Callable[[int], object] | None = None
    count: int | None = None
    parts: int = 1


Samples = list[float]
Maker = Callable[[Place], "Work | Samples | dict[str, Samples]"]
"""Makes what is timed, or measures by itself and gives the samples: by workload where a run is of several."""


@dataclass(frozen=True)
class Case:
    """One workload by one party."""

    workload: str
    who: str
    level: str
    make: Maker


CASES: list[Case] = []


def case(workload: str, who: str, *levels: str) -> Callable[[Maker], Maker]:
    """Adds a maker to the cases, once for each durability."""

    def add(make: Maker) -> Maker:
        CASES.extend(Case(workload, who, level, make) for level in levels or ("",))
        return make

    return add


def place(i: int, n: int) -> int:
    """The place of step `i` among `n`: all over, and the same in every run."""
    return (i * 0x9E3779B97F4A7C15 % 2**64 >> 20) % n
