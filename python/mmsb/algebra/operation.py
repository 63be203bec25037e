"""An operation of users' own on two arrays, and what it must keep to."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mmsb.errors import DtypeError, InvalidArgument, ShapeError, ValueRangeError
from mmsb.given import callback

Binary = Callable[[Any, Any], Any]
"""Takes two arrays of one shape and dtype, and gives one of the same; or takes and gives plain numbers."""


def cell_dtype(what: str, given: DTypeLike | None) -> np.dtype[Any]:
    """A dtype whose cells are numbers or truth values, in this machine's byte order."""
    try:
        dtype = np.dtype(given).newbyteorder("=")
    except (TypeError, ValueError):
        raise DtypeError(f"{what}: dtype {given!r} is none that numpy has") from None
    if given is None or dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise DtypeError(f"{what}: dtype {given!r} is not of truth values, integers or floats")
    return dtype


def cell(what: str, given: Any, dtype: np.dtype[Any]) -> np.generic:
    """A value as a cell of a dtype, which must be able to hold it."""
    try:
        with np.errstate(all="ignore"):
            found = (
                np.asarray(given).astype(dtype) if isinstance(given, np.generic) else np.array(given, dtype)
            )
    except OverflowError:
        raise ValueRangeError(f"{what} {given!r} does not fit {dtype}") from None
    except (TypeError, ValueError):
        raise InvalidArgument(f"{what} {given!r} is no value of {dtype}") from None
    if found.shape != ():
        raise ShapeError(f"{what} has shape {found.shape} where one value is wanted")
    is_lost = found.dtype.kind != "f" and bool(found != given)
    if is_lost:
        raise ValueRangeError(f"{what} {given!r} does not fit {dtype}")
    value: np.generic = found.dtype.type(found)
    return value


class Operation:
    """A function of two arrays, or of two numbers, as one of two arrays that is checked.

    It is lent arrays that it cannot write. Warnings of numpy about overflow and the like are off meanwhile:
    what overflows is the operation's own affair.
    """

    __slots__ = ("_run", "dtype", "name")

    def __init__(self, function: Binary, dtype: np.dtype[Any], scalar: bool) -> None:
        callback("operation", function)
        self.name = str(getattr(function, "__name__", type(function).__name__))
        self.dtype = dtype
        self._run = self._each(function) if scalar else function

    def _each(self, function: Binary) -> Binary:
        """The function, called for each two cells as Python's own numbers."""
        run = np.frompyfunc(function, 2, 1)
        return lambda a, b: np.asarray(run(a, b)).astype(self.dtype)

    def __call__(self, a: Any, b: Any) -> NDArray[Any]:
        """What it makes of two arrays, which are broadcast to one shape."""
        shape = np.broadcast_shapes(np.shape(a), np.shape(b))
        with np.errstate(all="ignore"):
            made = np.asarray(self._run(np.broadcast_to(a, shape), np.broadcast_to(b, shape)))
        if made.shape != shape:
            raise ShapeError(
                f"operation {self.name} made shape {made.shape} of two arrays of shape {shape}: "
                "a function of plain numbers is said to be one by scalar=True"
            )
        if made.dtype != self.dtype:
            raise DtypeError(f"operation {self.name} made {made.dtype} of two arrays of {self.dtype}")
        return made

    def __repr__(self) -> str:
        return f"<Operation {self.name} on {self.dtype}>"
