"""What commands print: tables for people, JSON for programs, and how values look in both."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmsb.legible import legible

# As wide as tables get where nobody says how wide the paper is.
WIDE = 160


def console() -> Console:
    """Standard output; not folded to a terminal's width where there is none."""
    plain = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if plain.is_terminal:
        return plain
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=WIDE)


def say(line: str, style: str = "") -> None:
    """Print a line."""
    console().print(Text(legible(line), style=style))


def aside(line: str) -> None:
    """Print a line about the output that is no part of it."""
    click.echo(legible(line), err=True)


def emit(document: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(plain(document), indent=2, ensure_ascii=False))


def emit_line(record: Any) -> None:
    """Print one JSON record on a line of its own."""
    click.echo(json.dumps(plain(record), ensure_ascii=False))


def plain(value: Any) -> Any:
    """The value as JSON can say it; NaN and infinities become the strings `nan`, `inf` and `-inf`."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def shown(value: Any) -> str:
    """A cell, or an inner array of them, on one line."""
    if isinstance(value, np.ndarray):
        return np.array2string(value, threshold=12, max_line_width=10**6).replace("\n", "")
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def size(count: int) -> str:
    """Bytes as people say them: `11.7 KiB`."""
    if count < 1024:
        return f"{count} B"
    steps = min(4, (count.bit_length() - 1) // 10)
    return f"{count / 1024**steps:.1f} {('KiB', 'MiB', 'GiB', 'TiB')[steps - 1]}"


def dtype_name(dtype: np.dtype[Any]) -> str:
    """A dtype as one writes it: `float32`, `S8`."""
    return f"S{dtype.itemsize}" if dtype.kind == "S" else str(dtype)


def plural(count: int, noun: str) -> str:
    """A number with its noun: `1 page`, `2 pages`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table. A heading that starts with `>` is one of numbers, set to the right."""
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for heading in headings:
        made.add_column(
            Text(legible(heading.removeprefix(">"))), justify="right" if heading[0] == ">" else "left"
        )
    for row in rows:
        made.add_row(*(Text("" if cell is None else legible(str(cell))) for cell in row))
    console().print(made, soft_wrap=False)
