"""What a task has in its hands: views of pages at one epoch, and where it puts what it finds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from mmsb._core import Snapshot
from mmsb.algebra import Monoid, MonoidFamily
from mmsb.errors import InvalidArgument, PageNotFound
from mmsb.given import text
from mmsb.pool.delta import Delta, Put, kept

View = NDArray[Any] | Mapping[str, NDArray[Any]]


class Views(Mapping[str, Any]):
    """Pages by name, at one epoch: the read-only array of each, or of a table those of its columns by name.

    They are views of the bus's memory, shape and dtype as the page has them, made when they are asked for.
    """

    def __init__(self, state: Snapshot, names: Sequence[str]) -> None:
        self._state, self._names = state, tuple(names)
        self._made: dict[str, View] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            if name not in self._names:
                raise PageNotFound(f"page {name!r} is not among those that the tasks see")
            page = self._state[name]
            made = MappingProxyType(page.arrays) if page.kind == "table" else page.array
            self._made[name] = made
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<Views of {', '.join(map(repr, self._names)) or 'no page'} at epoch {self._state.epoch}>"


class Out:
    """Takes down what a task changes. None of it is seen before all tasks are done.

    Values are taken as they are when they are handed in: arrays may be used again.
    """

    __slots__ = ("_deltas", "_put", "_state")

    def __init__(self, state: Snapshot, put: Put) -> None:
        self._state, self._put = state, put
        self._deltas: list[Delta] = []

    def merge(
        self, page: str, values: Any, rows: Any = None, op: str | Monoid | MonoidFamily | None = None
    ) -> None:
        """Merges values into a page, as `page.merge` does.

        Args:
            page: its name.
            values: what goes to all rows, or to each of `rows`; of a table a mapping by columns.
            rows: a slice, row numbers or a mask; by default all.
            op: an operator's name or a monoid; by default the page's. In a worker, a function that a monoid
                is made of must be found by its name, as the one that it runs.

        Raises:
            PageNotFound, DtypeError, InvalidArgument: as they say. What does not fit the page is found when
                it is committed.
        """
        if not isinstance(op, str | Monoid | MonoidFamily | None):
            raise InvalidArgument(f"op {op!r}: a name or a monoid is wanted, not {type(op).__name__}")
        self._take(page, True, rows, values, op)

    def write(self, page: str, index: Any, values: Any) -> None:
        """Assigns values to cells of a page, as `page[index] = values` does.

        Args:
            page: its name.
            index: anything that a page takes: `...`, rows, slices, a column's name.
            values: what broadcasts to the cells.

        Raises:
            PageNotFound, DtypeError, InvalidArgument: as they say. What does not fit the page is found when
                it is committed.
        """
        self._take(page, False, index, values, None)

    def _take(self, page: str, merges: bool, where: Any, values: Any, op: Any) -> None:
        if text("page", page) not in self._state:
            raise PageNotFound(f"there is no page {page!r} at epoch {self._state.epoch}")
        at = kept(f"page {page!r}, where", where, self._put)
        self._deltas.append(Delta(page, merges, at, kept(f"page {page!r}, values", values, self._put), op))

    def __len__(self) -> int:
        return len(self._deltas)

    def __repr__(self) -> str:
        return f"<Out: {len(self)} deltas>"


Task = Callable[[Any, Views, Out], object]
"""What runs: with a task, the views and where it puts what it finds."""


def taken(fn: Task, task: Any, views: Views, state: Snapshot, put: Put) -> list[Delta]:
    """Runs a task, and returns what it changes."""
    out = Out(state, put)
    fn(task, views, out)
    return out._deltas
