"""How often pages were looked at, and what came of it."""

from dataclasses import dataclass

from mmsb._core import Bus as CoreBus
from mmsb._core import _counters


@dataclass(frozen=True)
class Counters:
    """What commits of this process did with a page on a branch since the bus was opened.

    It was `looked` at so often. Its rule `ran` to the end so often, and came out `equal` to what was there so
    often, which `cut_off` so many looks at pages that follow from it. It `raised` so often. `rows_in` rows of
    its inputs had changed, `rows_out` of its own did, and all of it took `ns` nanoseconds. Commits that
    failed count; what a transaction makes to read it does not.
    """

    looked: int = 0
    ran: int = 0
    equal: int = 0
    cut_off: int = 0
    raised: int = 0
    rows_in: int = 0
    rows_out: int = 0
    ns: int = 0


def counted(bus: CoreBus) -> dict[int, Counters]:
    """The counters of pages that were looked at, by id."""
    return {page: Counters(*counts) for page, counts in _counters(bus)}
