"""Built-in rules: what Rust makes pages by, incrementally and with the same bits whatever came before."""

from collections.abc import Iterable
from typing import Any, SupportsIndex

from mmsb._core import Column, Page
from mmsb.algebra import AnySemiring, Monoid, MonoidFamily, Semiring, SemiringFamily
from mmsb.algebra.kinds import MONOIDS, monoid_on, semiring_on
from mmsb.derive.custom import closure_rule, matmul_rule, reduce_rule, spmv_rule
from mmsb.derive.rule import Of, Rule, page_of
from mmsb.errors import InvalidArgument
from mmsb.given import count, integer, text


def _builtin(what: str, given: Any, of: Any, column: str | None = None) -> str:
    """The name of what is built in; said for one dtype, it must be that of the cells."""
    if isinstance(given, (Semiring, Monoid)):
        dtype = of.dtype if column is None else of[column].dtype
        return (semiring_on if isinstance(given, Semiring) else monoid_on)(given, dtype).name
    return given.name if isinstance(given, (SemiringFamily, MonoidFamily)) else text(what, given)


def reduce(
    of: Of,
    how: str | MonoidFamily | Monoid,
    *,
    axis: SupportsIndex | None = None,
    by: Column | None = None,
    groups: int | None = None,
) -> Rule:
    """A reduction of a column, which a change costs a few nodes of a tree (a table of groups by key).

    What comes out has the bits that making it anew would have, floats too: cells are brought together by a
    tree with a fan-in of 16, sums by key are exact and rounded once.

    Args:
        of: the column.
        how: "sum", "min", "max", "mean", "count" (of cells that are not NaN), "argmin", "argmax" (of the
            first; -1 of none), "any" or "all", with the dtypes of numpy. Or a monoid: one of one's own, or
            "prod", "or", "and", "xor" or "logsum", on the column's dtype, which Python brings together anew,
            by the same tree, whenever the column changes, as functions do.
        axis: 0 brings together rows, another axis the cells of each row; without one all cells.
        by: a column of integers of the same page: the group of each row, from 0 on; -1 for none.
        groups: how many groups there are, with `by`: what comes out has so many rows.

    Returns:
        A rule that makes an array page: a scalar, or of the shape that is left.
    """
    page, column = page_of("reduce", of)
    if (by is None) != (groups is None) or (by is not None and axis is not None):
        raise InvalidArgument("reduce: by goes with groups, and not with axis")
    keys: tuple[str | None, int] | None = None
    if by is not None:
        keyed, key = page_of("by", by)
        if not page._is(keyed):
            raise InvalidArgument(f"reduce: by {by!r} is not a column of the page that is reduced")
        keys = (key, count("groups", groups))
    at = None if axis is None else _axis(of.ndim, integer("reduce: axis", axis))
    whole = _whole(how, of)
    if whole is not None:
        return reduce_rule(of, whole, at, keys)
    over: tuple[Any, ...] = ("whole",)
    if keys is not None:
        over = ("key", *keys)
    elif at is not None:
        over = ("rows",) if at == 0 else ("inner", at - 1)
    return Rule((page,), ("reduce", column, _builtin("how", how, of), over))


_REDUCTIONS = ("sum", "min", "max")
"""The built-in monoids by which Rust reduces, a change at a time."""


def _whole(how: Any, of: Of) -> Monoid | None:
    """The monoid by which a column is brought together anew with every change, if it is."""
    if isinstance(how, Monoid) and not how.is_builtin:
        return how
    name = how.name if isinstance(how, (Monoid, MonoidFamily)) else how
    is_other = isinstance(name, str) and name in MONOIDS and name not in _REDUCTIONS
    return monoid_on(how, of.dtype) if is_other else None


def _axis(axes: int, at: int) -> int:
    if not -axes <= at < axes:
        raise InvalidArgument(f"reduce: axis {at} of {axes} axes")
    return at % axes


def gather(source: Page, index: Of) -> Rule:
    """The rows that an index names: row `i` is row `index[i]` of `source`, of zeros where that is -1.

    Args:
        source: the page whose rows are taken, with all their columns.
        index: a column of integers, from -1 to below the rows of `source`.
    """
    of, column = page_of("index", index)
    page, _ = page_of("gather", source)
    return Rule((page, of), ("gather", column))


def scatter(of: Column, index: Column, rows: int, how: str = "sum") -> Rule:
    """Cells put where an index says: row `index[i]` of what comes out is made of row `i`, -1 for none.

    Of several rows with one index `how` says what comes of them: it is `reduce` by key, whose words it takes.
    There is no "the last one": what comes out does not depend on the order of rows.

    Args:
        of: the column whose cells are put.
        index: a column of integers of the same page, from -1 to below `rows`.
        rows: how many rows come out.
        how: as of `reduce`.
    """
    return reduce(of, how, by=index, groups=rows)


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
    semiring: AnySemiring = "min_plus",
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
            "max_times" for the most likely way, "max_plus" for the longest where no weight is positive. Or
            one of one's own, from `mmsb.semiring`, that claims to be "absorptive": Python makes all ways anew
            whenever the table changes, in as many rounds as the longest of the best ways has edges, each at
            the cost of all edges for every start.
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
    number = count("vertices", vertices)
    if isinstance(semiring, Semiring) and not semiring.is_builtin:
        return closure_rule(edges, starts, number, semiring, columns)
    name = _builtin("semiring", semiring, edges, weight)
    return Rule((page,), ("closure", name, *columns, number, starts))


def matmul(left: Page, right: Page, *, semiring: AnySemiring = "plus_times") -> Rule:
    """The product of a matrix and a vector, or of two matrices, by the operations of a semiring.

    Args:
        left: an array page of shape (n, m).
        right: one of shape (m,), or (m, k), of the same dtype.
        semiring: "plus_times", "min_plus", "max_plus", "max_times", "max_min", "boolean", "counting",
            "gf2", "log" or "viterbi"; or one of one's own, from `mmsb.semiring`, on the dtype of both.

    Returns:
        A rule that makes an array page of shape (n,), or (n, k). A changed row of `left` makes its row
        anew, a changed `right` all. By a semiring of one's own any change makes all anew, each cell brought
        together by a tree with a fan-in of 16; the matrices must keep their shapes.
    """
    if isinstance(semiring, Semiring) and not semiring.is_builtin:
        return matmul_rule(left, right, semiring)
    one, _ = page_of("left", left)
    other, _ = page_of("right", right)
    form = ("dense",) if right.ndim == 1 else ("matrices",)
    return Rule((one, other), ("product", _builtin("semiring", semiring, left), form))


def spmv(
    starts: Page,
    entries: Page,
    vector: Page,
    *,
    semiring: AnySemiring = "plus_times",
    index: str = "index",
    value: str = "value",
) -> Rule:
    """The product of a sparse matrix, by rows (CSR), and a vector or a dense matrix, by a semiring.

    Args:
        starts: where each row begins among the entries, and at last where they end: shape (n + 1,), integers.
        entries: a table of the entries, row after row.
        vector: an array page of shape (m,) or (m, k), of the dtype of the values.
        semiring: as of `matmul`.
        index: the column of the entries that has their columns, integers.
        value: the column that has their values.

    Returns:
        A rule that makes an array page of shape (n,) or (n, k). A change makes the rows anew that it
        concerns; by a semiring of one's own all, each brought together by a tree with a fan-in of 16.
    """
    if isinstance(semiring, Semiring) and not semiring.is_builtin:
        return spmv_rule(starts, entries, vector, semiring, text("index", index), text("value", value))
    pages = tuple(page_of("spmv", page)[0] for page in (starts, entries, vector))
    form = ("csr", text("index", index), text("value", value))
    return Rule(pages, ("product", _builtin("semiring", semiring, vector), form))
