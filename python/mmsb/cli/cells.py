"""The cells of a page: as a table, as a dump of bytes, as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmsb.cli.options import Rows
from mmsb.cli.output import aside, dtype_name, plural, say, shown, table

# Rows shown where nobody says which.
FIRST = 20
DUMP = 16


def picked(page: Any, rows: Rows | None, most: int | None = None) -> np.ndarray[Any, Any]:
    """The numbers of the rows asked for; `IndexError`'s kin where they are not there."""
    count = len(page)
    if rows is None:
        return np.arange(count if most is None else min(count, most))
    if isinstance(rows, int):
        page[rows]  # says so itself where there is no such row
        return np.arange(count)[[rows]]
    if isinstance(rows, list):
        page[np.array(rows)]
    return np.arange(count)[rows]


def as_json(page: Any, rows: Rows | None) -> dict[str, Any]:
    """Numbers of rows and their cells; of a table by column."""
    if page.ndim == 0:
        return {"rows": None, "cells": page[()]}
    numbers = picked(page, rows)
    cells = page[numbers]
    if page.kind == "table":
        return {"rows": numbers, "cells": {name: cells[name] for name in page.columns}}
    return {"rows": numbers, "cells": cells}


def show_cells(page: Any, rows: Rows | None, heading: str) -> None:
    """Print the rows asked for, the first ones by default."""
    if page.ndim == 0:
        say(heading)
        say(shown(page[()]))
        return
    most = FIRST * DUMP if page.kind == "raw" else FIRST
    numbers = picked(page, rows, most)
    cells = page[numbers]
    say(heading)
    if page.kind == "raw":
        _dump(numbers, cells)
    elif page.kind == "table":
        columns = [cells[name] for name in page.columns]
        headings = [_side(column) + name for name, column in zip(page.columns, columns, strict=True)]
        lines = ([n, *(shown(column[i]) for column in columns)] for i, n in enumerate(numbers.tolist()))
        table([">row", *headings], lines)
    else:
        lines = ([n, shown(cells[i])] for i, n in enumerate(numbers.tolist()))
        table([">row", _side(cells) + dtype_name(page.dtype)], lines)
    left = len(page) - len(numbers)
    if rows is None and left:
        aside(f"{plural(left, 'more row')}: say which, as in {len(numbers)}:")


def _side(column: np.ndarray[Any, Any]) -> str:
    """Numbers are set to the right, texts and inner arrays to the left."""
    return ">" if column.ndim == 1 and column.dtype.kind in "iuf" else ""


def _dump(numbers: np.ndarray[Any, Any], cells: np.ndarray[Any, Any]) -> None:
    """Bytes, in rows of sixteen that belong together."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    for part, values in zip(np.split(numbers, breaks), np.split(cells, breaks), strict=True):
        for i in range(0, len(part), DUMP):
            line = values[i : i + DUMP].tobytes()
            text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
            say(f"{int(part[i]):08x}  {line.hex(' '):<{DUMP * 3}} {text}")
