"""What a new page is made of: named columns and rows, from a shape, columns, a size or the data itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from mmsb.arrow import columns_of
from mmsb.errors import DtypeError, InvalidArgument, MmsbError, ShapeError
from mmsb.given import text

Shape = int | Iterable[int]
Columns = Mapping[str, Any] | Iterable[tuple[str, Any]] | np.dtype[Any]


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
    for what, value, beside in (("rows", rows, "columns"), ("dtype", dtype, "shape")):
        if value is not None and beside not in given:
            raise InvalidArgument(
                f"page {name!r}: {what} goes with {beside}, not with {' and '.join(given) or 'nothing'}"
            )
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
    return Layout("table", _pairs(name, columns), _count(name, "rows", rows))


def _pairs(name: str, columns: Any) -> list[tuple[str, Any, list[int]]]:
    """Columns as name and dtype, from a mapping, pairs or a structured dtype."""
    if isinstance(columns, np.dtype) and columns.names is not None:
        return [(column, columns[column], []) for column in columns.names]
    try:
        pairs = [*(columns.items() if isinstance(columns, Mapping) else columns)]
        if any(isinstance(pair, str) for pair in pairs):
            raise TypeError
        return [(text("a column's name", column), of, []) for column, of in pairs]
    except (TypeError, ValueError) as error:
        if isinstance(error, MmsbError):
            raise
        raise InvalidArgument(
            f"page {name!r}: columns {columns!r}: a dtype for each name is wanted, as in {{'price': 'f8'}}"
        ) from None


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
    if isinstance(data, (bytes, bytearray, memoryview)) and dtype is not None:
        data = _cells(name, data, dtype)
    elif isinstance(data, (bytes, bytearray, memoryview)):
        raw = np.frombuffer(data, np.uint8)
        return Layout("raw", [("bytes", raw.dtype, [])], len(raw), {"bytes": raw})
    if np.ma.isMaskedArray(data):
        if np.ma.is_masked(data):
            raise DtypeError(f"page {name!r}: the data is masked, and a page has no missing values")
        data = np.asarray(data)
    try:
        found = columns_of(data)
    except MmsbError as error:
        raise type(error)(f"page {name!r}: {error}") from None
    if isinstance(found, dict):
        if dtype is not None:
            raise InvalidArgument(f"page {name!r}: the data has columns, each with a dtype of its own")
        if any(values.ndim == 0 for values in found.values()):
            raise ShapeError(
                f"page {name!r}: the data is a single row: give an array of rows, as in data[None]"
            )
        described = [(column, values.dtype, [*values.shape[1:]]) for column, values in found.items()]
        return Layout("table", described, len(next(iter(found.values()), ())), found)
    made = _of_shape(name, found.shape, found.dtype if dtype is None else dtype)
    # Numbers of Python's go as they are, so that their range is checked against the cells'.
    plain = dtype is not None and isinstance(data, list | tuple | int | float) and found.dtype.kind in "biuf"
    return Layout(made.kind, made.columns, made.rows, {"value": data if plain else found})


def _cells(name: str, data: Any, dtype: Any) -> Any:
    """Bytes as cells of a dtype."""
    try:
        return np.frombuffer(data, dtype)
    except TypeError as error:
        raise DtypeError(f"page {name!r}: {error}") from None
    except ValueError as error:
        wrong = DtypeError if np.dtype(dtype).hasobject else ShapeError
        raise wrong(f"page {name!r}: {len(data)} bytes as {dtype}: {error}") from None
