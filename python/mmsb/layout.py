"""What a new page is made of: named columns and rows, from a shape, columns, a size or the data itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mmsb.errors import DtypeError, InvalidArgument, ShapeError

Shape = int | Iterable[int]
Columns = Mapping[str, Any] | Iterable[tuple[str, Any]]


@dataclass(frozen=True)
class Layout:
    """Kind (`array`, `scalar`, `table` or `raw`), columns as (name, dtype, inner shape), rows, and data."""

    kind: str
    columns: list[tuple[str, Any, list[int]]]
    rows: int
    data: Mapping[str, NDArray[Any]] | None = None


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
    table = _columns_of(data)
    if table is None:
        array = np.asarray(data, dtype=dtype)
        made = _of_shape(name, array.shape, array.dtype)
        return Layout(made.kind, made.columns, made.rows, {"value": array})
    lengths = {column: len(values) for column, values in table.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"page {name!r}: columns of different lengths: {lengths}")
    described = [(column, values.dtype, [*values.shape[1:]]) for column, values in table.items()]
    return Layout("table", described, next(iter(lengths.values()), 0), table)


def _columns_of(data: Any) -> dict[str, NDArray[Any]] | None:
    """The columns of a mapping, a structured array or a dataframe; `None` for a plain array."""
    if isinstance(data, np.ndarray):
        if data.dtype.names is None:
            return None
        return {column: data[column] for column in data.dtype.names}
    if isinstance(data, Mapping):
        return {str(column): np.atleast_1d(_array(values)) for column, values in data.items()}
    if hasattr(data, "columns") and hasattr(data, "__getitem__"):
        return {str(column): _array(data[column]) for column in data.columns}
    return None


def _array(values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind == "U":
        return np.strings.encode(array, "utf-8")
    return array
