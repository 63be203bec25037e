"""Merging into pages by monoids of users: the cells that come out are logged, so that replay calls nobody."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsb._core import Column, Page, _transaction_of
from mmsb.algebra.fold import fold_runs
from mmsb.algebra.kinds import Monoid, MonoidFamily, monoid_on, of_users
from mmsb.errors import ConflictError, DtypeError, InvalidArgument, MmsbError, ShapeError, about
from mmsb.given import text

_ATTEMPTS = 32
"""How often a merge that lost a race starts over."""

_OPERATORS = {"sum": "add", "prod": "mul"} | {name: name for name in ("min", "max", "or", "and", "xor")}
"""What merges call built-in monoids; of the others there is no operator."""


def operator_name(page: str, given: Any) -> str:
    """The name of what a page merges by."""
    if isinstance(given, str):
        return text("op", given)
    if isinstance(given, (Monoid, MonoidFamily)) and not of_users(given):
        called = _OPERATORS.get(given.name)
        said = f"it goes by its name, as op={called!r}" if called else f"no operator is {given.name!r}"
    else:
        said = (
            "only a built-in operator can be a page's, named by a string as in op='add'; "
            "page.merge(op=) takes one's own"
        )
    raise InvalidArgument(f"page {page!r}: op {given!r}: {said}")


def merge(into: Page | Column, values: Any, rows: Any, op: Any) -> bool:
    """Merges by a monoid, `old = old op value`; whether `op` is one.

    Cells are read, brought together and written under one epoch: in the transaction that is open, or in a
    serializable one of its own, which starts over where it lost a race. A cell that is listed more than once
    gets the values for it, in their order, brought together by a tree first.
    """
    if not isinstance(op, (Monoid, MonoidFamily)):
        return False
    if isinstance(op, MonoidFamily) or op.plus is None:
        into.merge(values, rows, op=_OPERATORS.get(op.name, op.name))
        return True
    for attempt in range(_ATTEMPTS):
        try:
            own = _transaction_of(into)
            if own is None:
                _merge(into, values, rows, op)
            else:
                with own:
                    _merge(into, values, rows, op)
        except ConflictError:
            if attempt + 1 == _ATTEMPTS:
                raise
        else:
            break
    return True


def _merge(into: Page | Column, values: Any, rows: Any, op: Monoid) -> None:
    where = ... if rows is None else rows
    if not isinstance(values, Mapping):
        # A table of many columns has no array, and says so.
        made = _merged(into, into.array, values, where, op)
        into[where] = made
        return
    if isinstance(into, Column):
        raise InvalidArgument(f"column {into.name!r}: values by column go with a page")
    columns = {name: into[name] for name in values}
    for name, column in columns.items():
        if not isinstance(column, Column):
            raise InvalidArgument(f"page {into.name!r} has no columns to merge {name!r} into")
    found = {name: _merged(column, column.array, values[name], where, op) for name, column in columns.items()}
    for name, made in found.items():
        columns[name][where] = made


def _merged(into: Page | Column, cells: NDArray[Any], values: Any, where: Any, op: Monoid) -> Any:
    """What cells come to."""
    with about(_whose(into)):
        monoid_on(op, cells.dtype)
    old = into[where]
    with _told(into, op):
        try:
            given = np.asarray(values)
            new = given.astype(cells.dtype, casting="same_kind") if isinstance(values, np.ndarray) else None
            new = np.broadcast_to(np.asarray(values, cells.dtype) if new is None else new, np.shape(old))
        except (TypeError, OverflowError) as error:
            raise DtypeError(str(error)) from None
        except ValueError as error:
            raise ShapeError(str(error)) from None
        return _brought(cells, old, new, where, op)


def _whose(into: Page | Column) -> str:
    """Whose cells they are."""
    return f"page {into.name!r}" if isinstance(into, Page) else f"page {into.page!r}, column {into.name!r}"


@contextmanager
def _told(into: Page | Column, op: Monoid) -> Iterator[None]:
    """Says whose operation raises, or makes what is no cells, and where they were to go."""
    with about(f"{_whose(into)}: monoid {op.name!r}"):
        try:
            yield
        except MmsbError:
            raise
        except Exception as error:
            said = f"the operation raised {type(error).__name__}: {error}"
            raise InvalidArgument(said) from error


def _brought(
    cells: NDArray[Any], old: NDArray[Any], new: NDArray[Any], where: Any, op: Monoid
) -> NDArray[Any]:
    """Old cells and new ones, of which some may be for one cell, brought together."""
    if not _may_repeat(where):
        return op(old, new)
    places = np.arange(cells.size).reshape(cells.shape)[where].reshape(-1)
    once, which = np.unique(places, return_inverse=True)
    if len(once) == len(places):
        return op(old, new)
    order = np.argsort(which, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(which))])
    assert op.plus is not None
    folded = fold_runs(op.plus, new.reshape(-1)[order], starts, op.identity)
    return op(np.reshape(old, -1), folded[which]).reshape(np.shape(old))


def _may_repeat(where: Any) -> bool:
    """Whether an index may name a cell twice: whether there are lists of numbers in it."""
    parts = where if isinstance(where, tuple) else (where,)
    return any(
        np.ndim(part) > 0 and np.asarray(part).dtype != np.bool_
        for part in parts
        if not isinstance(part, slice)
    )
