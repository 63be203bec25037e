"""What is shared: 8-byte words that are all the state's number, so that whoever looks at one can check it."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

State = NDArray[np.uint64]
PATIENCE = 5.0
"""Seconds in which a change must be seen."""


def state(words: int, number: int) -> State:
    """One of so many words."""
    return np.full(words, number, "uint64")


def number_of(found: State) -> int | None:
    """Which one it is; `None` where it is not all of one state, but torn.

    The last word is looked at first: who writes from the first to the last is not overtaken.
    """
    last = found.item(-1)
    words = found.tobytes()
    first = int.from_bytes(words[:8], "little")
    return first if last == first and words[8:] == words[:-8] else None


class Unseen(Exception):
    """A reader does not see what was written."""


class Following:
    """What a reader has seen: it must be whole, and never older than what it saw before."""

    def __init__(self, number: int) -> None:
        self.number, self.torn, self.looks = number, 0, 0
        self.times: list[int] = []
        self._last = time.perf_counter_ns()

    def note(self, found: State) -> None:
        """Notes the moment at which a state that is new is seen, and then looks at all of it."""
        first = found.item(0)
        now = time.perf_counter_ns()
        if first == self.number:
            self.nothing(now)
            return
        self.looks += 1
        number = number_of(found)
        self.torn += number is None
        if first != self.number + 1 or number not in (None, first):
            raise AssertionError(f"state {first if number is None else number} came after {self.number}")
        self.number = first
        self.times.append(now)
        self._last = now

    def nothing(self, now: int | None = None) -> None:
        """Nothing is new: an error where that lasts."""
        if (now or time.perf_counter_ns()) - self._last > PATIENCE * 1e9:
            raise Unseen(f"state {self.number + 1} was not seen within {PATIENCE:g} s")


@dataclass
class Count:
    """How many states were looked at, and how many of them were torn."""

    looks: int = 0
    torn: int = 0


COUNTS: dict[tuple[str, str], Count] = {}
"""By who, and while what was measured."""


def count(who: str, what: str, looks: int, torn: int, tears: bool) -> None:
    """Adds to them. It is an error of whoever promises whole states that one was torn."""
    found = COUNTS.setdefault((who, what), Count())
    found.looks += looks
    found.torn += torn
    if torn and not tears:
        raise AssertionError(f"{torn:,} of {looks:,} states were torn")


def counted() -> list[str]:
    """All of them in words: first those with torn states, then how many everybody looked at without any."""
    torn = {key: each for key, each in COUNTS.items() if each.torn}
    careless, whole = {who for who, _ in torn}, dict[str, int]()
    for (who, what), each in COUNTS.items():
        if (who, what) not in torn:
            whole[who] = whole.get(who, 0) + each.looks
    return [
        *(f"{who}, {what}: **{each.torn:,} torn** of {each.looks:,}" for (who, what), each in torn.items()),
        *(
            f"{who}{', otherwise' if who in careless else ''}: none torn of {looks:,} states looked at"
            for who, looks in whole.items()
        ),
    ]
