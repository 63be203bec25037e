"""`mmsb diff`: what differs between two states of a bus."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import click
import numpy as np

from mmsb._core import Snapshot
from mmsb.cli.options import (
    branch_option,
    complete_branch,
    complete_page,
    json_option,
    opened,
    path_argument,
    state,
)
from mmsb.cli.output import aside, emit, plural, say, shown, table
from mmsb.cli.show import columns_of
from mmsb.errors import PageNotFound

# Cells in a table where nobody says how many.
CELLS = 100

States = tuple[Snapshot, Snapshot]


@click.command()
@path_argument
@click.argument("before", metavar="A", shell_complete=complete_branch)
@click.argument("after", metavar="B", shell_complete=complete_branch)
@click.option("--page", metavar="NAME", shell_complete=complete_page, help="This page only.")
@click.option("--cells", is_flag=True, help="Each cell, with what was in it and what is.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="With --cells, at most N of them.")
@branch_option
@json_option
def diff(
    path: str,
    before: str,
    after: str,
    page: str | None,
    cells: bool,
    limit: int | None,
    branch: str | None,
    as_json: bool,
) -> None:
    """Show what differs between two moments.

    A and B are epochs, times or branches. Epochs and times are those of the main branch, or of the one
    that --branch names. A branch of the same name goes first: epoch:7 and time:2013-07-04 are never one.
    """
    with opened(path, branch=branch) as bus:
        states = state(bus, before), state(bus, after)
        if page is not None and not any(page in one for one in states):
            raise PageNotFound(f"no page named '{page}', neither at {before} nor at {after}")
        changes = [change for change in bus.diff(*states) if page is None or change.page == page]
        if as_json:
            pages = [document(change, states, limit if cells else 0) for change in changes]
            emit({"before": about(states[0]), "after": about(states[1]), "pages": pages})
            return
        if not changes:
            say(f"no difference between {before} and {after}")
            return
        table(
            ["page", "what", "columns", ">rows", ">cells", "which rows"],
            [summary(change, states) for change in changes],
        )
        if cells:
            show_cells(changes, states, limit or CELLS)


def about(side: Snapshot) -> dict[str, Any]:
    """A state as JSON has it."""
    return {"branch": side.branch, "epoch": side.epoch}


def ranges(rows: np.ndarray[Any, Any]) -> list[list[int]]:
    """Ascending rows as ranges [first, one past the last]."""
    if not len(rows):
        return []
    breaks = np.flatnonzero(np.diff(rows) != 1)
    starts, ends = rows[np.r_[0, breaks + 1]], rows[np.r_[breaks, len(rows) - 1]]
    return [[int(start), int(end) + 1] for start, end in zip(starts, ends, strict=True)]


def summary(change: Any, states: States) -> tuple[object, ...]:
    """A changed page as a line of a table."""
    before, after = change.resized
    what = change.kind if before == after or change.kind != "changed" else f"resized {before:,} to {after:,}"
    runs = ranges(change.rows)
    some = ", ".join(str(a) if b == a + 1 else f"{a}:{b}" for a, b in runs[:6])
    more = "" if len(runs) <= 6 else f" and {plural(len(runs) - 6, 'range')} more"
    columns = ", ".join(change.columns) if page_of(change, states).kind == "table" else ""
    return change.page, what, columns, f"{len(change.rows):,}", f"{change.count:,}", some + more


def page_of(change: Any, states: States) -> Any:
    """The page that changed, as it is afterwards, or as it was before it was dropped."""
    return states[change.kind != "dropped"][change.id]


def document(change: Any, states: States, limit: int | None) -> dict[str, Any]:
    """A changed page as JSON has it, with at most so many of its cells."""
    page: dict[str, Any] = {
        "page": change.page,
        "id": change.id,
        "kind": change.kind,
        "columns": change.columns,
        "rows": ranges(change.rows),
        "cells": change.count,
        "resized": list(change.resized),
    }
    if limit != 0:
        names = ("column", "cell", "before", "after")
        page["changes"] = [dict(zip(names, one, strict=True)) for one in islice(each(change, states), limit)]
    return page


def each(change: Any, states: States) -> Iterator[tuple[str, list[int], Any, Any]]:
    """Column, place, what was there and what is, of every cell that changed."""
    before, after = change.before, change.after
    inners = {column: inner for column, _, inner in columns_of(page_of(change, states))}
    for column, places in change.cells.items():
        old = before[column] if isinstance(before, dict) else before
        new = after[column] if isinstance(after, dict) else after
        inner = inners[column]
        rows, inside = np.divmod(places, math.prod(inner))
        spots = np.stack([rows, *np.unravel_index(inside, inner)], axis=-1) if inner else rows[:, None]
        for i, spot in enumerate(spots.tolist()):
            yield column, spot, None if old is None else old[i], None if new is None else new[i]


def show_cells(changes: list[Any], states: States, limit: int) -> None:
    """Print cells, before and after."""
    rows: list[tuple[object, ...]] = []
    for change in changes:
        for column, spot, old, new in islice(each(change, states), limit - len(rows)):
            name = f"{change.page}[{column}]" if page_of(change, states).kind == "table" else change.page
            rows.append((name, ", ".join(map(str, spot)), _shown(old), _shown(new)))
    table(["page", "cell", "before", "after"], rows)
    left = sum(change.count for change in changes) - len(rows)
    if left:
        aside(f"{plural(left, 'more cell')}: --limit N shows so many")


def _shown(value: Any) -> str:
    return "" if value is None else shown(value)
