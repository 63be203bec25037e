"""How things show themselves in notebooks: small HTML tables under the line that `repr` gives."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from mmsb.legible import legible

# What fits on a screen; the rest is counted.
PAGES = 50
ROWS = 5
COMMITS = 20
RUNS = 4


def _html(thing: Any, *parts: str) -> str:
    return f"<div><code>{escape(legible(repr(thing)))}</code>{''.join(parts)}</div>"


def _text(cell: object) -> str:
    return escape(legible(str(cell)))


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]], left: int = 0) -> str:
    """A table; `left` rows are not in it."""
    head = "".join(f"<th>{_text(heading)}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    more = f"<p>{left:,} more</p>" if left > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _pages(state: Any) -> str:
    names = [name for name, _ in zip(state, range(PAGES), strict=False)]
    found = [state[name] for name in names]
    headings = ("id", "page", "kind", "shape", "dtype", "bytes", "version")
    rows = [(p.id, p.name, p.kind, p.shape, _dtype(p), f"{p.nbytes:,}", p.version) for p in found]
    return _table(headings, rows, len(state) - len(rows))


def _dtype(page: Any) -> str:
    if page.kind != "table":
        return str(page.dtype)
    fields = [f"{name} {page.dtype[name]}" for name in page.columns[:ROWS]]
    more = len(page.columns) - len(fields)
    return ", ".join(fields) + (f" and {more} more" if more else "")


def _cell(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return np.array2string(value, threshold=8).replace("\n", "")
    return repr(value.item()) if isinstance(value, np.generic) else str(value)


def bus(bus: Any) -> str:
    """A bus: its pages, and its branches where there are several."""
    if bus.closed:
        return _html(bus)
    branches = bus.branches().values()
    lines = [
        (one.name, one.epoch, "" if one.parent is None else f"{one.parent} at {one.forked_at}")
        for one in branches
    ]
    return _html(bus, _pages(bus), _table(("branch", "epoch", "from"), lines) if len(lines) > 1 else "")


def snapshot(snapshot: Any) -> str:
    """A state: its pages; of one that was let go nothing."""
    try:
        return _html(snapshot, _pages(snapshot))
    except ValueError:  # let go
        return _html(snapshot)


def page(page: Any) -> str:
    """A page: its first rows."""
    try:
        if page.ndim == 0:
            return _html(page, f"<p>{escape(_cell(page[()]))}</p>")
        if page.kind != "table":
            return _html(page, _rows({str(page.dtype): page[:ROWS]}, len(page)))
        rows = page[:ROWS]
        return _html(
            page, _rows({f"{name} {_base(rows[name])}": rows[name] for name in page.columns}, len(page))
        )
    except (KeyError, ValueError):  # dropped, or the bus is closed
        return _html(page)


def column(column: Any) -> str:
    """A column: its first cells."""
    try:
        return _html(column, _rows({f"{column.name} {column.dtype}": column[:ROWS]}, len(column)))
    except (KeyError, ValueError):  # dropped, or the bus is closed
        return _html(column)


def _base(array: Any) -> str:
    return str(array.dtype)


def _rows(columns: dict[str, Any], count: int) -> str:
    shown = min(count, ROWS)
    rows = [(i, *(_cell(values[i]) for values in columns.values())) for i in range(shown)]
    return _table(("row", *columns), rows, count - shown)


def transaction(transaction: Any) -> str:
    """A transaction: what it became."""
    became = "open or given up" if transaction.epoch is None else f"epoch {transaction.epoch}"
    return _html(transaction, _table(("source", "became"), [(transaction.source or "", became)]))


def change(change: Any) -> str:
    """What happened to a page: columns, rows and cells."""
    rows = change.rows
    breaks = np.flatnonzero(np.diff(rows) != 1)
    starts, ends = (
        rows[np.r_[0, breaks + 1]] if len(rows) else [],
        rows[np.r_[breaks, -1]] if len(rows) else [],
    )
    runs = [str(a) if a == b else f"{a}:{b + 1}" for a, b in zip(starts[:RUNS], ends[:RUNS], strict=True)]
    which = ", ".join(runs) + (f" and {len(starts) - RUNS} ranges more" if len(starts) > RUNS else "")
    line = (change.page, change.kind, ", ".join(change.columns), which, f"{change.count:,}")
    return _html(change, _table(("page", "what", "columns", "rows", "cells"), [line]))


def log(log: Any) -> str:
    """A log: its next commits. They stay to be read."""
    try:
        found = log._peek(COMMITS + 1)
    except ValueError:  # the bus is closed
        return _html(log)
    more = "<p>and more</p>" if len(found) > COMMITS else ""
    return _html(log, _entries(found[:COMMITS]), more)


def entry(entry: Any) -> str:
    """A commit."""
    return _html(entry, _entries([entry]))


def _entries(entries: Iterable[Any]) -> str:
    headings = ("epoch", "time (UTC)", "source", "done", "intent", "bytes")
    return _table(headings, [_entry(entry) for entry in entries])


def _entry(entry: Any) -> tuple[object, ...]:
    deltas = entry.deltas
    done = ", ".join(f"{delta['op']} {delta['page']}" for delta in deltas[:RUNS])
    more = f" and {len(deltas) - RUNS} more" if len(deltas) > RUNS else ""
    intent = "" if entry.intent is None else entry.intent
    return (
        entry.epoch,
        f"{entry.time:%Y-%m-%d %H:%M:%S}",
        entry.source or "",
        done + more,
        intent,
        entry.bytes,
    )
