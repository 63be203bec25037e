"""Every error of mmsb: one tree under `MmsbError`, each also the built-in it resembles, with a stable code.

An error names the thing and its numbers. Nothing was changed when one is raised, `CommitUnknown` excepted.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar


class MmsbError(Exception):
    """Any error of mmsb. `code` is the same text in Rust and in Python and never changes its meaning."""

    code: ClassVar[str] = ""

    def __str__(self) -> str:
        # A KeyError would show its message as a key.
        return str(self.args[0]) if self.args else ""


@contextmanager
def about(what: str) -> Iterator[None]:
    """Says what errors of the block are about, where only whoever asked knows."""
    try:
        yield
    except MmsbError as error:
        told = type(error)(f"{what}: {error}")
        told.__dict__.update(error.__dict__)
        try:
            raise told from error.__cause__
        finally:
            # Else it holds this frame, which holds it, with all that its other frames hold.
            del told


class PageNotFound(MmsbError, KeyError):
    """There is no page, or no column, of this name or id."""

    code = "page-not-found"


class NameTaken(MmsbError, ValueError):
    """A page of this name is there already."""

    code = "name-taken"


class ShapeError(MmsbError, ValueError):
    """A shape, size or length that does not fit."""

    code = "shape"


class DtypeError(MmsbError, TypeError, ValueError):
    """A dtype that pages cannot hold, or a value of a kind that does not go into the cells."""

    code = "dtype"


class IndexOutOfRange(MmsbError, IndexError):
    """An index past the end of its axis."""

    code = "index-out-of-range"


class BadIndex(MmsbError, IndexError):
    """Something that is no index, or an index of the wrong shape."""

    code = "bad-index"


class CycleError(MmsbError, ValueError):
    """A page would follow from itself. `path` is the way round; the message has the ends of a long one."""

    code = "cycle"
    path: tuple[str, ...] | list[str] = ()


class FollowsError(MmsbError, PermissionError):
    """A page that follows from others cannot be written; one that others follow from cannot go."""

    code = "follows"


class RuleError(MmsbError, RuntimeError):
    """A rule cannot be, or failed: what it raised is the cause. The transaction was undone.

    `page` is the page that could not be made, `rule` what its rule is called, and `path` the pages by which
    the change came to it, from the one that was written, or the first that was put off; of a lazy page from
    it to the one that was read. All are empty where they are not known. The message has the ends of a long
    path.
    """

    code = "rule"
    page: str = ""
    rule: str = ""
    path: tuple[str, ...] | list[str] = ()


class RuleTimeout(RuleError, TimeoutError):
    """A rule ran for longer than it may."""


class BrokenLaw(MmsbError, ValueError, ArithmeticError):
    """What is said to be a monoid or a semiring is none: a law does not hold. The message has the values.

    `law` is its name, `formula` as it is written down, `values` of `a`, `b` and `c`, and `left` and `right`
    what its sides come to.
    """

    code = "broken-law"
    law: str = ""
    formula: str = ""
    values: Mapping[str, Any] = MappingProxyType({})
    left: Any = None
    right: Any = None


class ValueRangeError(MmsbError, OverflowError, ValueError):
    """A number or string that its cell cannot hold."""

    code = "value-range"


class InvalidArgument(MmsbError, ValueError, TypeError):
    """An argument that cannot be, or of a kind that cannot."""

    code = "invalid-argument"


class ConflictError(MmsbError, RuntimeError):
    """Another commit wrote the same cells first. `clashes` lists (page, rows, what)."""

    code = "conflict"
    clashes: tuple[tuple[str, list[int], str], ...] | list[tuple[str, list[int], str]] = ()

    @property
    def pages(self) -> list[str]:
        """The names of the pages in conflict."""
        return [page for page, _, _ in self.clashes]


class ClosedError(MmsbError, ValueError):
    """The handle was closed, or the snapshot let go."""

    code = "closed"


class ReadOnlyError(MmsbError, PermissionError):
    """The handle, the state or the disk is read only."""

    code = "read-only"


class ForkedError(MmsbError, RuntimeError):
    """The handle came into a child process by `fork`: views may be read there, nothing else."""

    code = "forked"


class WrongTransaction(MmsbError, RuntimeError):
    """The transaction belongs to another thread, task or branch, or is over."""

    code = "wrong-transaction"


class BusyError(MmsbError, TimeoutError):
    """Somebody else kept the bus busy for too long."""

    code = "busy"


class LockedError(MmsbError, BlockingIOError):
    """Another process has the bus open, and its memory cannot be reached from here."""

    code = "locked"


class EpochNotFound(MmsbError, KeyError):
    """There is no such epoch."""

    code = "epoch-not-found"


class HistoryPruned(MmsbError, KeyError):
    """The epoch was there, but its history was pruned."""

    code = "history-pruned"


class SnapshotExpired(MmsbError, KeyError):
    """The snapshot cost more than it may, and was let go of."""

    code = "snapshot-expired"


class BranchNotFound(MmsbError, KeyError):
    """There is no branch of this name."""

    code = "branch-not-found"


class BranchExists(MmsbError, ValueError):
    """A branch of this name is there already."""

    code = "branch-exists"


class BusNotFound(MmsbError, FileNotFoundError):
    """There is nothing at the path."""

    code = "not-found"


class BusExists(MmsbError, FileExistsError):
    """Something is at the path already."""

    code = "exists"


class NotABus(MmsbError, OSError):
    """The directory is not a bus."""

    code = "not-a-bus"


class UnsupportedFormat(MmsbError, OSError):
    """The bus is of a newer format than this version knows."""

    code = "unsupported-format"


class CorruptLog(MmsbError, OSError):
    """The bytes on disk are not those that were written."""

    code = "corrupt-log"


class DiskFull(MmsbError, OSError):
    """The disk is full."""

    code = "disk-full"


class PermissionDenied(MmsbError, PermissionError):
    """The operating system refused access."""

    code = "permission"


class DiskError(MmsbError, OSError):
    """The operating system reported an error."""

    code = "io"


class TooLarge(MmsbError, ValueError):
    """A commit larger than a frame of the log may be."""

    code = "too-large"


class MemoryBudgetExceeded(MmsbError, MemoryError):
    """The memory budget is used up."""

    code = "memory-budget"


class CommitUnknown(MmsbError, OSError):
    """It is unknown whether the commit survives. The writer takes no more: open the bus again to see."""

    code = "commit-unknown"


class WriterPoisoned(MmsbError, OSError):
    """The writer failed before and takes no more: open the bus again."""

    code = "poisoned"


BY_CODE: dict[str, type[MmsbError]] = {
    error.code: error for error in MmsbError.__subclasses__() if error.__module__ == __name__
}
"""The error of each code."""
