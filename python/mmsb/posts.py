"""Posts: changes that threads hand over without waiting for anybody, committed together by one."""

from dataclasses import dataclass
from typing import Any, Literal

from mmsb._core import Bus as CoreBus
from mmsb._core import Producer, _collect, _producer
from mmsb.errors import MmsbError
from mmsb.given import Durability, perhaps_count, perhaps_text, reason, text


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
    """What `collect` committed: the epoch, if there was one, and how many posts; which were left out."""

    epoch: int | None
    posts: int
    refused: tuple[Refused, ...]


class Posting(CoreBus):
    """A bus to whose branches changes are posted."""

    __slots__ = ()

    def producer(self, name: str, *, limit: int | None = None) -> Producer:
        """Whoever hands over changes of this branch without waiting: the same one for the same name.

        A commit waits for other commits, and for what follows from them. What a producer posts is only put
        aside, by any thread, until `collect` commits it; a bus that is closed before has none of it.

        Args:
            name: up to 255 bytes of UTF-8. Posts are committed in the order of their producers' names.
            limit: bytes of its posts that may wait to be collected; by default 64 MiB, or what it has.

        Raises:
            MemoryBudgetExceeded: by what it posts, where more than `limit` bytes would wait.
            InvalidArgument, ReadOnlyError, ClosedError: as they say.
        """
        return _producer(self, text("a producer's name", name), perhaps_count("limit", limit))

    def collect(
        self,
        *,
        refused: Literal["raise", "drop"] = "raise",
        source: str | None = None,
        intent: Any = None,
        durability: Durability | None = None,
    ) -> Collected:
        """Commits what producers posted on this branch so far, as one epoch; what follows is made once.

        The order is that of the producers' names, and of each one's posts: never that in which they came. So
        the same posts come to the same state and log, however threads ran. After an exception all of them
        wait on.

        Args:
            refused: what becomes of posts that do not fit their page any more, since it was dropped, resized
                or given a rule: "raise" commits nothing, "drop" leaves them out and tells of them.
            source: who writes, for the log; by default the producers' names.
            intent: why, for the log.
            durability: what it must survive; by default what the bus was opened with.

        Raises:
            PageNotFound, IndexOutOfRange, FollowsError: a post does not fit any more; whose and which.
            RuleError: a page that follows could not be made.
            WrongTransaction: this thread and task have a transaction open on the branch.
        """
        survives = perhaps_text("durability", durability)
        who, why = perhaps_text("source", source), reason(intent)
        epoch, posts, left = _collect(self, text("refused", refused), who, why, survives)
        named = (
            (producer, number, self._name(page) or page, error) for producer, number, page, error in left
        )
        return Collected(epoch, posts, tuple(Refused(*one) for one in named))
