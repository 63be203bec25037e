"""What a new page is made of: named columns and rows, from a shape, columns, a size or the data itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from mmsb.arrow import columns_of
from mmsb.errors import DtypeError, InvalidArgument, MmsbError, ShapeError

Shape = int | Iterable[int]
Columns = Mapping[str, Any] | Iterable[tuple[str, Any]]


@dataclass(frozen=True)
class Layout:
    """Kind (`array`, `scalar`, `table` or `raw`), columns as (name, dtype, inner shape), rows, and data."""

    kind: str
    columns: list[tuple[str, Any, list[int]]]
    rows: int
    data: Mapping[str, Any] | None = None


def plan(
    name: str,
    shape: Shape | None,
    dtype: DTypeLike | None,
    rows: int | None,
    columns: Columns | None,
    size: int | None,
    data: Any,
) -> Layout:
    """The layout that the arguments of `create_page` ask for."""
    if data is not None:
        return _of_data(name, shape, dtype, rows, columns, size, data)
    given = [
        what for what, value in (("shape", shape), ("columns", columns), ("size", size)) if value is not None
    ]
    if len(given) != 1:
        said = " and ".join(given) or "nothing"
        raise InvalidArgument(f"page {name!r}: say one of shape, columns, size or data, not {said}")
    if size is not None:
        return Layout("raw", [("bytes", np.dtype("u1"), [])], _count(name, "size", size))
    if shape is not None:
        if dtype is None:
            raise DtypeError(f"page {name!r}: a shape takes a dtype too")
        return _of_shape(name, shape, dtype)
    if rows is None:
        raise ShapeError(f"page {name!r}: columns take a number of rows too")
    assert columns is not None
    pairs = columns.items() if isinstance(columns, Mapping) else columns
    return Layout("table", [(str(column), of, []) for column, of in pairs], _count(name, "rows", rows))


def _count(name: str, what: str, value: int) -> int:
    try:
        number = index(value)
    except TypeError:
        raise ShapeError(f"page {name!r}: {what} {value!r} is not an integer") from None
    if not 0 <= number < 1 << 63:
        raise ShapeError(
            f"page {name!r}: {what} {number} is {'negative' if number < 0 else 'larger than any page'}"
        )
    return number


def _of_shape(name: str, shape: Shape, dtype: Any) -> Layout:
    try:
        axes = [*shape] if isinstance(shape, Iterable) else [shape]
    except TypeError:
        raise ShapeError(f"page {name!r}: shape {shape!r} is not a shape") from None
    sizes = [_count(name, "axis of size", size) for size in axes]
    if not sizes:
        return Layout("scalar", [("value", dtype, [])], 1)
    return Layout("array", [("value", dtype, sizes[1:])], sizes[0])


def _of_data(
    name: str,
    shape: Shape | None,
    dtype: DTypeLike | None,
    rows: int | None,
    columns: Columns | None,
    size: int | None,
    data: Any,
) -> Layout:
    if shape is not None or rows is not None or columns is not None or size is not None:
        raise InvalidArgument(f"page {name!r}: data says the shape, rows, columns and size itself")
    if isinstance(data, (bytes, bytearray, memoryview)):
        raw = np.frombuffer(data, np.uint8)
        return Layout("raw", [("bytes", raw.dtype, [])], len(raw), {"bytes": raw})
    try:
        found = columns_of(data)
    except MmsbError as error:
        raise type(error)(f"page {name!r}: {error}") from None
    if isinstance(found, dict):
        if dtype is not None:
            raise InvalidArgument(f"page {name!r}: the data has columns, each with a dtype of its own")
        described = [(column, values.dtype, [*values.shape[1:]]) for column, values in found.items()]
        return Layout("table", described, len(next(iter(found.values()), ())), found)
    made = _of_shape(name, found.shape, found.dtype if dtype is None else dtype)
    # Numbers of Python's go as they are, so that their range is checked against the cells'.
    plain = dtype is not None and isinstance(data, list | tuple | int | float) and found.dtype.kind in "biuf"
    return Layout(made.kind, made.columns, made.rows, {"value": data if plain else found})
