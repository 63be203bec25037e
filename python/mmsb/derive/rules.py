"""Built-in rules: what Rust makes pages by, incrementally and with the same bits whatever came before."""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import index
from typing import Any

from mmsb._core import Column, Page
from mmsb.errors import InvalidArgument
from mmsb.given import count, text

Of = Page | Column
"""A column: of a page that has one, the page itself."""


@dataclass(frozen=True, eq=False)
class Rule:
    """What a page is made by, and what from: for `bus.derive(name, rule)`."""

    inputs: tuple[Page | str, ...]
    said: tuple[Any, ...]

    def __repr__(self) -> str:
        names = ", ".join(page if isinstance(page, str) else page.name for page in self.inputs)
        return f"<Rule {self.said[0]} of {names}>"


def page_of(what: str, of: Any) -> tuple[Page | str, str | None]:
    """The page of a column, and the column's name where the page has several."""
    if isinstance(of, Page):
        return of, None
    if isinstance(of, Column):
        return of.page, of.name
    raise InvalidArgument(f"{what} {of!r}: a page, or a column of one, is wanted")


def reduce(
    of: Of, how: str, *, axis: int | None = None, by: Column | None = None, groups: int | None = None
) -> Rule:
    """A reduction of a column, which a change costs a few nodes of a tree (a table of groups by key).

    What comes out has the bits that making it anew would have, floats too: cells are brought together by a
    tree with a fan-in of 16, sums by key are exact and rounded once.

    Args:
        of: the column.
        how: "sum", "min", "max", "mean", "count" (of cells that are not NaN), "argmin", "argmax" (of the
            first; -1 of none), "any" or "all", with the dtypes of numpy.
        axis: 0 brings together rows, another axis the cells of each row; without one all cells.
        by: a column of integers of the same page: the group of each row, from 0 on; -1 for none.
        groups: how many groups there are, with `by`: what comes out has so many rows.

    Returns:
        A rule that makes an array page: a scalar, or of the shape that is left.
    """
    page, column = page_of("reduce", of)
    if (by is None) != (groups is None) or (by is not None and axis is not None):
        raise InvalidArgument("reduce: by goes with groups, and not with axis")
    over: tuple[Any, ...]
    if by is not None:
        keys, key = page_of("by", by)
        same = keys == page if isinstance(page, str) else keys in (page, page.name)
        if not same:
            raise InvalidArgument(f"reduce: by {by!r} is not a column of the page that is reduced")
        over = ("key", key, count("groups", groups))
    elif axis is None:
        over = ("whole",)
    else:
        axes = of.ndim
        at = index(axis)
        if not -axes <= at < axes:
            raise InvalidArgument(f"reduce: axis {at} of {axes} axes")
        at %= axes
        over = ("rows",) if at == 0 else ("inner", at - 1)
    return Rule((page,), ("reduce", column, text("how", how), over))


def gather(source: Page, index: Of) -> Rule:
    """The rows that an index names: row `i` is row `index[i]` of `source`, of zeros where that is -1.

    Args:
        source: the page whose rows are taken, with all their columns.
        index: a column of integers, from -1 to below the rows of `source`.
    """
    of, column = page_of("index", index)
    page, _ = page_of("gather", source)
    return Rule((page, of), ("gather", column))


def filter(where: Column) -> Rule:  # noqa: A001 - it is used as `mmsb.filter`
    """The rows of a table for which a column of it is true, in their order: a page that grows and shrinks.

    Args:
        where: a column of truth values.

    Returns:
        A rule that makes a table: `row`, the number of the row, and the columns of the table.
    """
    page, column = page_of("filter", where)
    return Rule((page,), ("filter", column))


def window(of: Of, how: str, rows: int) -> Rule:
    """A reduction of the last rows up to each, itself among them; fewer at the start.

    Args:
        of: the column.
        how: "sum", "min", "max", "mean" or "count", with the dtypes of numpy.
        rows: how many, at least 1.
    """
    page, column = page_of("window", of)
    return Rule((page,), ("window", column, text("how", how), count("rows", rows)))


def join(left: Column, right: Column) -> Rule:
    """The rows of a table, each with the row of another one that has its key.

    Args:
        left: a column of integers of the one: all its rows are there, in their order.
        right: a column of integers of the other, no two alike.

    Returns:
        A rule that makes a table: the columns of the one, those of the other without its key, `_right`
        behind names that both have, and `matched`; without a match they are zeros.
    """
    one, key = page_of("left", left)
    other, its = page_of("right", right)
    return Rule((one, other), ("join", key, its))


def closure(
    edges: Page,
    start: int | Iterable[int] | None = None,
    *,
    vertices: int,
    semiring: str = "min_plus",
    source: str = "source",
    target: str = "target",
    weight: str = "weight",
) -> Rule:
    """The best way from each start to each vertex of a graph whose edges are the rows of a table.

    Mended as edges come, go and change (after Ramalingam and Reps, "An Incremental Algorithm for a
    Generalization of the Shortest-Path Problem", 1996), at the cost of the vertices that this concerns.

    Args:
        edges: the table: from vertex, to vertex, both integers, -1 where the row is no edge; and a weight.
            An edge of the semiring's zero (of "min_plus" infinity, or the largest integer) is closed.
        start: a vertex, several, or by default all.
        vertices: how many there are.
        semiring: "min_plus" for shortest paths, "max_min" for bottlenecks, "boolean" for reachability,
            "max_times" for the most likely way, "max_plus" for the longest where no weight is positive.
        source: the column of vertices that edges leave.
        target: the column of those that they enter.
        weight: the column of weights.

    Returns:
        A rule that makes an array page of the weights' dtype: of one start a row of all vertices, else a row
        for each start.
    """
    page, _ = page_of("closure", edges)
    if start is None or isinstance(start, int):
        starts = None if start is None else [count("start", start)]
    else:
        starts = [count("start", vertex) for vertex in start]
    columns = (text("source", source), text("target", target), text("weight", weight))
    return Rule(
        (page,), ("closure", text("semiring", semiring), *columns, count("vertices", vertices), starts)
    )


def matmul(left: Page, right: Page, *, semiring: str = "plus_times") -> Rule:
    """The product of a matrix and a vector, or of two matrices, by the operations of a semiring.

    Args:
        left: an array page of shape (n, m).
        right: one of shape (m,), or (m, k), of the same dtype.
        semiring: "plus_times", "min_plus", "max_plus", "max_times", "max_min", "boolean", "counting",
            "gf2", "log" or "viterbi".

    Returns:
        A rule that makes an array page of shape (n,), or (n, k). A changed row of `left` makes its row
        anew, a changed `right` all.
    """
    one, _ = page_of("left", left)
    other, _ = page_of("right", right)
    form = ("dense",) if right.ndim == 1 else ("matrices",)
    return Rule((one, other), ("product", text("semiring", semiring), form))


def spmv(
    starts: Page,
    entries: Page,
    vector: Page,
    *,
    semiring: str = "plus_times",
    index: str = "index",
    value: str = "value",
) -> Rule:
    """The product of a sparse matrix, by rows (CSR), and a vector, by the operations of a semiring.

    Args:
        starts: where each row begins among the entries, and at last where they end: shape (n + 1,), integers.
        entries: a table of the entries, row after row.
        vector: an array page of shape (m,), of the dtype of the values.
        semiring: as of `matmul`.
        index: the column of the entries that has their columns, integers.
        value: the column that has their values.

    Returns:
        A rule that makes an array page of shape (n,). A change makes the rows anew that it concerns.
    """
    pages = tuple(page_of("spmv", page)[0] for page in (starts, entries, vector))
    form = ("csr", text("index", index), text("value", value))
    return Rule(pages, ("product", text("semiring", semiring), form))
