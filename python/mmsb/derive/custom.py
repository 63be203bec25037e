"""Rules by monoids and semirings of users' own: functions of Python's that run on whole arrays.

They are vectorised, always in the same order, and made as a whole whenever an input changes. As every
function they are not stored: a process that has not declared them leaves their pages stale.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsb._core import Column, Page
from mmsb.algebra import Monoid, Semiring, matmul, reduce, spmv
from mmsb.algebra.eager import plus_of
from mmsb.algebra.fold import fold_runs
from mmsb.algebra.product import closure, lacks_for_closure
from mmsb.derive.rule import Computed, Of, Rule, page_of
from mmsb.errors import DtypeError, IndexOutOfRange, InvalidArgument, ShapeError

Made = Callable[..., NDArray[Any]]


def _on(what: str, of: Of, by: Monoid | Semiring) -> None:
    """Refuses cells that a monoid or semiring is not on."""
    if of.dtype != by.dtype:
        kind = type(by).__name__.lower()
        raise DtypeError(f"{what} {of.name!r} is of {of.dtype}, and the {kind} {by.name!r} on {by.dtype}")


def _cells(of: Any, column: str | None) -> NDArray[Any]:
    """The cells of an input, which of a table is a mapping by column."""
    found: NDArray[Any] = of if column is None else of[column]
    return found


def _rule(
    what: str,
    by: Monoid | Semiring,
    inputs: Sequence[Page],
    function: Made,
    shape: Sequence[int],
    lacks: str = "",
) -> Rule:
    said = f"{what} by {by.name}"
    return Rule(tuple(inputs), (said,), Computed(function, tuple(shape), by.dtype, lacks))


def reduce_rule(of: Of, by: Monoid, axis: int | None, keys: tuple[str | None, int] | None) -> Rule:
    """A column brought together: whole, along an axis, or by a column of groups."""
    page, column = page_of("reduce", of)
    _on("reduce: column", of, by)
    if keys is None:
        whole = axis is None
        shape = () if whole else tuple(size for at, size in enumerate(of.shape) if at != axis)

        def brought(cells: Any) -> NDArray[Any]:
            return np.asarray(reduce(_cells(cells, column), by, axis))

        return _rule("reduce", by, [page], brought, shape)
    key, groups = keys

    def grouped(cells: Any) -> NDArray[Any]:
        return _grouped(by, _cells(cells, column), _cells(cells, key), groups)

    return _rule("reduce", by, [page], grouped, (groups, *of.shape[1:]))


def _grouped(by: Monoid, cells: NDArray[Any], keys: NDArray[Any], groups: int) -> NDArray[Any]:
    if keys.dtype.kind not in "iu":
        raise DtypeError(f"reduce: keys of {keys.dtype} where integers are wanted")
    past = (
        np.flatnonzero((keys < -1) | (keys >= groups))
        if keys.dtype.kind == "i"
        else np.flatnonzero(keys >= groups)
    )
    if past.size:
        raise IndexOutOfRange(f"reduce: row {past[0]} is of group {keys[past[0]]}, and there are {groups}")
    order = np.argsort(keys, kind="stable")
    order = order[keys[order] >= 0]
    starts = np.searchsorted(keys[order], np.arange(groups + 1))
    return fold_runs(plus_of(by), cells[order], starts, by.identity)


def matmul_rule(left: Page, right: Page, by: Semiring) -> Rule:
    """A matrix times a vector or a matrix."""
    for what, page in (("left", left), ("right", right)):
        page_of(what, page)
        _on(f"matmul: {what}", page, by)
    if left.ndim != 2 or right.ndim not in (1, 2) or left.shape[1] != right.shape[0]:
        raise ShapeError(f"matmul: left of shape {left.shape} cannot be multiplied with {right.shape}")

    def product(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        return matmul(one, other, by)

    return _rule("matmul", by, [left, right], product, (left.shape[0], *right.shape[1:]))


def spmv_rule(starts: Page, entries: Page, vector: Page, by: Semiring, index: str, value: str) -> Rule:
    """A sparse matrix, by rows, times a vector."""
    pages = [page_of("spmv", page)[0] for page in (starts, entries, vector)]
    _on("spmv: values", _column(entries, value), by)
    _on("spmv: vector", vector, by)
    _column(entries, index)
    if starts.ndim != 1 or vector.ndim not in (1, 2) or len(starts) == 0:
        raise ShapeError(
            f"spmv: starts of shape {starts.shape} and a vector of {vector.shape}: one axis, and one or two"
        )

    def product(begins: NDArray[Any], cells: Any, other: NDArray[Any]) -> NDArray[Any]:
        return spmv(begins, cells[index], cells[value], other, by)

    return _rule("spmv", by, pages, product, (starts.shape[0] - 1, *vector.shape[1:]))


def _column(page: Page, name: str) -> Column:
    found = page[name]
    if not isinstance(found, Column):
        raise InvalidArgument(f"page {page.name!r} has no columns, and no {name!r}")
    return found


def closure_rule(
    edges: Page,
    starts: Sequence[int] | None,
    vertices: int,
    by: Semiring,
    columns: tuple[str, str, str],
) -> Rule:
    """The best way from each start to each vertex, made anew by rounds."""
    page, _ = page_of("closure", edges)
    source, target, weight = (_column(edges, name) for name in columns)
    _on("closure: weight", weight, by)
    for column in (source, target):
        if column.dtype.kind not in "iu":
            raise DtypeError(f"closure: column {column.name!r} of {column.dtype} where integers are wanted")
    past = [start for start in starts or () if start >= vertices]
    if past:
        raise IndexOutOfRange(f"closure: start {past[0]} of {vertices} vertices")
    count = vertices if starts is None else len(starts)
    alone = starts is not None and count == 1

    def ways(cells: Any) -> NDArray[Any]:
        found = closure(by, (cells[columns[0]], cells[columns[1]], cells[columns[2]]), vertices, starts)
        return found[0] if alone else found

    shape = (vertices,) if alone else (count, vertices)
    return _rule("closure", by, [page], ways, shape, lacks_for_closure(by))
