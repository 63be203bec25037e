"""Arrow both ways: pages out through the Arrow PyCapsule interface, arrays, tables and data frames in.

Out, cells are lent as they lie in memory where Arrow has the type: integers, floats, fixed bytes, inner
shapes as fixed size lists. Only booleans are copied, as Arrow packs eight into a byte. What is lent keeps its
version alive and never changes.

In, whatever is given becomes columns of numpy arrays. A bus has no missing values and no strings of varying
length: such columns are refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import nanoarrow as na
import numpy as np
from nanoarrow.c_schema import c_schema_view
from numpy.typing import NDArray

from mmsb.errors import DtypeError, NameTaken, ShapeError
from mmsb.given import text

Array = NDArray[Any]
Table = dict[str, Array]

# Arrow's types whose cells lie in memory as numpy's do.
PLAIN = {
    **{name: np.dtype(name) for name in ("int8", "int16", "int32", "int64")},
    **{name: np.dtype(name) for name in ("uint8", "uint16", "uint32", "uint64")},
    "half_float": np.dtype("float16"),
    "float": np.dtype("float32"),
    "double": np.dtype("float64"),
}
_TYPES = {"b": na.bool_, **{dtype.str[1:]: getattr(na, dtype.name) for dtype in PLAIN.values()}}


def _schema(array: Array) -> na.Schema:
    """The Arrow type of the cells of one row."""
    kind = array.dtype.kind
    if kind == "S":
        cell = na.fixed_size_binary(array.dtype.itemsize, nullable=False)
    else:
        cell = _TYPES["b" if kind == "b" else array.dtype.str[1:]](nullable=False)
    for size in reversed(array.shape[1:]):
        cell = na.fixed_size_list(cell, size, nullable=False)
    return cell


def _export(array: Array, schema: Any) -> Any:
    """One column as an Arrow array that shares its memory."""
    if array.ndim > 1:
        rows, size = array.shape[:2]
        items = array.reshape(rows * size, *array.shape[2:])
        child = _export(items, na.c_schema(schema).child(0))
        return na.c_array_from_buffers(schema, rows, [None], null_count=0, children=[child])
    cells = np.ascontiguousarray(array)
    cells = np.packbits(cells, bitorder="little") if cells.dtype.kind == "b" else cells.view(np.uint8)
    return na.c_array_from_buffers(schema, len(array), [None, cells], null_count=0)


def array_of(array: Array) -> Any:
    """An Arrow array (`nanoarrow.c_array`) of an array of any shape; its first axis is the rows."""
    rows = array.reshape(1) if array.ndim == 0 else array
    return _export(rows, _schema(rows))


def struct_of(arrays: Mapping[str, Array]) -> Any:
    """An Arrow array of structs (`nanoarrow.c_array`): the rows of a table of these columns."""
    schema = na.struct({name: _schema(array) for name, array in arrays.items()}, nullable=False)
    children = [_export(array, _schema(array)) for array in arrays.values()]
    rows = len(next(iter(arrays.values()))) if arrays else 0
    return na.c_array_from_buffers(schema, rows, [None], null_count=0, children=children)


def export(source: Any) -> Any:
    """The present cells of a page or column as an Arrow array (`nanoarrow.c_array`).

    A table gives structs, one a row; everything else gives its cells.
    """
    if getattr(source, "kind", None) == "table":
        return struct_of(source.arrays)
    return array_of(source.array)


def to_arrow(source: Any) -> na.Array:
    """The present cells of a page or column as a `nanoarrow.Array`."""
    return na.Array(export(source))


def c_array(source: Any, requested_schema: object | None = None) -> tuple[object, object]:
    """`__arrow_c_array__` of a page or column. Another type than its own is not made: the consumer casts."""
    schema, array = export(source).__arrow_c_array__(requested_schema=None)
    return schema, array


def c_stream(source: Any, requested_schema: object | None = None) -> object:
    """`__arrow_c_stream__` of a page or column: a stream of one array."""
    stream: object = na.c_array_stream(export(source)).__arrow_c_stream__(requested_schema=None)
    return stream


def c_schema(source: Any) -> object:
    """`__arrow_c_schema__` of a page or column."""
    schema: object = export(source).schema.__arrow_c_schema__()
    return schema


def columns_of(data: Any) -> Array | Table:
    """What `create_page(..., data=)` takes, as one array or as columns by name, copied only where it must be.

    Args:
        data: a numpy array, plain or structured; a mapping of arrays by column; a data frame or table of
            polars, pandas, pyarrow, duckdb or anything else with `__arrow_c_stream__` or
            `__arrow_c_array__`; or what `numpy.asarray` takes.

    Raises:
        DtypeError: a column has missing values, or holds what no cell of fixed size can.
        NameTaken: two columns have one name.
        ShapeError: the columns are not equally long.
    """
    if isinstance(data, np.ndarray):
        return data if data.dtype.names is None else _fields(data)
    if isinstance(data, Mapping):
        named = {text("a column's name", name): values for name, values in data.items()}
        return _even({name: _column(values, name) for name, values in named.items()})
    if hasattr(data, "iloc"):
        return _pandas(data)
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return _imported(data)
    return _checked(_asarray(data, None), None)


def _fields(data: Array) -> Table:
    """The columns of a structured array."""
    return {name: data[name] for name in data.dtype.names or ()}


def _column(values: Any, name: str) -> Array:
    """One column of a mapping."""
    if not isinstance(values, np.ndarray):
        if hasattr(values, "iloc"):
            return _series(values, name)
        if hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__"):
            found = _imported(values, name)
            if isinstance(found, dict):
                raise DtypeError(
                    f"column '{name}' is a table of {len(found)} columns: give each its own name"
                )
            return found
    return _checked(_asarray(values, name), name)


def _even(table: Table) -> Table:
    """The table, if its columns are equally long."""
    lengths = {name: array.shape[0] if array.ndim else None for name, array in table.items()}
    for name, length in lengths.items():
        if length is None:
            raise ShapeError(f"column '{name}' is a single value, not an array with rows")
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"'{name}' {length}" for name, length in lengths.items())
        raise ShapeError(f"columns of different lengths: {said}")
    return table


def _named(name: str | None) -> str:
    return "the data" if name is None else f"column '{name}'"


def _nulls(name: str | None, count: int) -> Exception:
    cells = "1 missing value" if count == 1 else f"{count} missing values"
    return DtypeError(f"{_named(name)} has {cells}, and a page has none: fill them first")


def _unfit(name: str | None, what: str, hint: str = "") -> Exception:
    hint = hint or "cast it to a boolean, integer, float or fixed bytes first"
    return DtypeError(f"{_named(name)} holds {what}, which a page cannot: {hint}")


STRINGS = "make them bytes of a fixed width, as in numpy's astype('S12')"


def _asarray(values: Any, name: str | None) -> Array:
    """The values as numpy understands them."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"{_named(name)} has no shape: {error}") from None


def _checked(array: Array, name: str | None) -> Array:
    """The array, unless its dtype can never be a page's; numpy's strings of fixed width as UTF-8."""
    if array.dtype.kind == "U":
        return np.strings.encode(array, "utf-8")
    if array.dtype.kind == "T":
        raise _unfit(name, "strings", STRINGS)
    if array.dtype.kind == "O":
        absent = sum(value is None for value in array.ravel().tolist())
        if absent:
            raise _nulls(name, absent)
        strings = any(isinstance(value, str) for value in array.ravel()[:1].tolist())
        raise _unfit(name, "strings" if strings else "Python objects", STRINGS if strings else "")
    if array.dtype.kind not in "biufSV":
        raise _unfit(name, str(array.dtype))
    return array


def _pandas(frame: Any) -> Array | Table:
    """A pandas data frame or series. Its index is not taken; NaN in numpy's own floats stays NaN."""
    if not hasattr(frame, "columns"):
        return _series(frame, None)
    names = [str(name) for name in frame.columns]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise NameTaken(f"column '{min(twice)}' is there twice")
    return {name: _series(frame.iloc[:, i], name) for i, name in enumerate(names)}


def _series(series: Any, name: str | None) -> Array:
    if isinstance(series.dtype, np.dtype):
        return _checked(series.to_numpy(), name)
    absent = int(series.isna().sum())
    if absent:
        raise _nulls(name, absent)
    cells = getattr(series.dtype, "numpy_dtype", None)
    if cells is None or np.dtype(cells).kind not in "biuf":
        strings = str(series.dtype) in ("str", "string") or str(series.dtype).startswith("string")
        raise _unfit(name, f"values of pandas' {series.dtype}", STRINGS if strings else "")
    return np.asarray(series.to_numpy(dtype=cells))


def _imported(data: Any, name: str | None = None) -> Array | Table:
    """Anything that speaks the Arrow PyCapsule interface; a stream's chunks are put together."""
    stream = na.c_array_stream(data)
    schema = stream.get_schema()
    chunks = list(stream)
    if c_schema_view(schema).type != "struct":
        return _joined(
            [_cells(chunk.view(), schema, name, 0, chunk.length) for chunk in chunks], schema, name
        )
    children = list(schema.children)
    names = [child.name for child in children]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise NameTaken(f"column '{min(twice)}' is there twice")
    views = [chunk.view() for chunk in chunks]
    for view in views:
        absent = _absent(view, view.offset, view.length)
        if absent:
            raise _nulls(name, absent)
    table: Table = {}
    for i, (column, child) in enumerate(zip(names, children, strict=True)):
        parts = [_cells(view.child(i), child, column, view.offset, view.length) for view in views]
        table[column] = _joined(parts, child, column)
    return table


def _joined(parts: list[Array], schema: Any, name: str | None) -> Array:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else _nothing(schema, name)


def _nothing(schema: Any, name: str | None) -> Array:
    """No rows, of the type the schema says."""
    cell, inner = _type(schema, name)
    return np.empty((0, *inner), cell)


def _type(schema: Any, name: str | None) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The dtype of the cells and the shape inside a row."""
    view = c_schema_view(schema)
    kind = view.storage_type if view.type != "dictionary" else view.type
    if kind == "fixed_size_list":
        cell, inner = _type(schema.child(0), name)
        return cell, (view.fixed_size, *inner)
    if kind == "fixed_size_binary":
        return np.dtype(f"S{view.fixed_size}"), ()
    if view.type not in PLAIN and view.type != "bool" and view.extension_name is None:
        strings = any(word in view.type for word in ("string", "binary"))
        raise _unfit(name, f"Arrow's {view.type}", STRINGS if strings else "")
    if kind == "bool":
        return np.dtype(bool), ()
    return PLAIN[kind], ()


def _cells(view: Any, schema: Any, name: str | None, start: int, rows: int) -> Array:
    """Rows of one Arrow array, from `start` on beside its own offset, as an array over the same memory."""
    cell, inner = _type(schema, name)
    start += view.offset
    absent = _absent(view, start, rows)
    if absent:
        raise _nulls(name, absent)
    if inner:
        items = _cells(view.child(0), schema.child(0), name, start * inner[0], rows * inner[0])
        return items.reshape(rows, *inner)
    raw = np.frombuffer(memoryview(view.buffer(1)).cast("B"), np.uint8) if rows else np.empty(0, np.uint8)
    if cell.kind == "b":
        bits = np.unpackbits(raw[start // 8 : (start + rows + 7) // 8], bitorder="little")
        return bits[start % 8 : start % 8 + rows].view(bool)
    size = cell.itemsize
    return raw[start * size : (start + rows) * size].view(cell)


def _absent(view: Any, start: int, rows: int) -> int:
    """How many of the rows are null."""
    valid = view.buffer(0)
    if rows == 0 or valid is None or valid.size_bytes == 0:
        return 0
    raw = np.frombuffer(memoryview(valid).cast("B"), np.uint8)
    bits = np.unpackbits(raw[start // 8 : math.ceil((start + rows) / 8)], bitorder="little")
    return rows - int(bits[start % 8 : start % 8 + rows].sum())
