"""Conditional writes: what became of one, and starting over those that lost a race."""

from collections.abc import Callable
from dataclasses import dataclass

from mmsb.errors import ConflictError

_ATTEMPTS = 32
"""How often a conditional write that lost a race starts over."""


@dataclass(frozen=True)
class Upsert:
    """What became of a conditional write. `epoch` is the epoch it made, or at which its condition failed.

    It is `None` where the write joined a transaction, which makes the epoch at its end.
    """

    applied: bool
    why: str
    epoch: int | None

    def __bool__(self) -> bool:
        return self.applied


def until_settled(attempt: Callable[[], Upsert]) -> Upsert:
    """Makes a conditional write, again where somebody else came first; `ConflictError` after 32 times."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except ConflictError:
            continue
    return attempt()
