"""Posts: changes that threads hand over without waiting for anybody, committed together by one."""

from dataclasses import dataclass

from mmsb._core import Bus, _collect
from mmsb.errors import MmsbError


@dataclass(frozen=True)
class Refused:
    """A post that did not fit its page any more, and was left out.

    It is post `number`, from 0 on, of the producer; `page` is its page's name, or its id where nobody
    knows a name; `error` says why.
    """

    producer: str
    number: int
    page: str | int
    error: MmsbError


@dataclass(frozen=True)
class Collected:
    """What `collect` committed: the epoch, `None` where there was nothing, how many posts, and which were left out."""

    epoch: int | None
    posts: int
    refused: tuple[Refused, ...]


def collect(
    bus: Bus, refused: str, source: str | None, intent: str | None, durability: str | None
) -> Collected:
    """Commits what was posted on the bus's branch."""
    epoch, posts, left = _collect(bus, refused, source, intent, durability)
    named = (Refused(producer, number, bus._name(page) or page, why) for producer, number, page, why in left)
    return Collected(epoch, posts, tuple(named))
