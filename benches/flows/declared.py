"""Pages that follow from three others each, declared one after the other."""

from collections.abc import Callable
from functools import cache

from flows.workloads import EDGE, PAGE
from peers.case import Place, case, place

INPUTS, SOURCES = 3, 100


def inputs(i: int) -> tuple[int, int, int]:
    """The inputs of page `i`: three of those before it."""
    first = place(i, i)
    return first, (first + 1) % i, (first + 2) % i


@cache
def expected(count: int) -> int:
    """What the last one is, where each is the sum of its inputs and sources are one."""
    values = [1] * SOURCES
    for i in range(SOURCES, SOURCES + count):
        values.append(sum(values[k] for k in inputs(i)))
    return values[-1]


def declared(who: str, make: Callable[[Place, int], tuple[float, float | None]]) -> None:
    """Adds the cases of a party, which gives the seconds and the last one's value, if it has any."""
    for workload, each in ((EDGE, INPUTS), (PAGE, 1)):

        @case(workload, who, "memory")
        def run(at: Place, each: int = each) -> list[float]:
            count = at.scale.at_most(100_000)
            samples = []
            for _ in range(at.scale.few):
                own = Place(at.folder, at.level, at.scale)
                with own.after:
                    took, last = make(own, count)
                    if last is not None and last != expected(count):
                        raise AssertionError(f"the last page is {last}, and not {expected(count)}")
                    samples.append(took / count / each)
            return samples
