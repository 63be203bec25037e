"""Rules that are compiled: plain functions that numba compiles, and functions of C from anywhere."""

import ctypes
import functools
from collections.abc import Callable
from math import prod
from typing import Any, Protocol, overload

import numpy as np

from mmsb._core import Bus as CoreBus
from mmsb._core import Page, _derive_native
from mmsb.derive.called import Key, called, pages_of
from mmsb.errors import DtypeError, InvalidArgument, about
from mmsb.layout import Layout

CFunction = ctypes.CFUNCTYPE(
    ctypes.c_int32,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_int64),
    ctypes.c_void_p,
    ctypes.c_int64,
)
"""The type of a native rule: `int32_t rule(void **inputs, int64_t *lengths, void *out, int64_t length)`.

`inputs` has the cells of each column of each input, in order, row after row, and `lengths` how many cells
those are; `out` has room for `length` cells, zeros at first. What it returns is 0 where it succeeded;
anything else undoes the commit. It reads what it is given, writes `out`, and keeps nothing. Any thread may
call it, beside others.
"""

_FUNCTION: Any = CFunction.__mro__[1]


def cfunc_signature() -> Any:
    """The type of a native rule as `numba.cfunc` takes it: see `CFunction`."""
    types = _numba().types
    return types.int32(types.CPointer(types.voidptr), types.CPointer(types.int64), types.voidptr, types.int64)


def _numba() -> Any:
    try:
        import numba
    except ImportError:
        raise InvalidArgument("a rule that numba compiles needs numba: pip install 'mmsb[numba]'") from None
    return numba


class Native:
    """A function that numba compiles when a page is declared by it: see `native`."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.options = {"boundscheck": True, **options}

    def __call__(self, *arrays: Any) -> Any:
        """Calls it as it was written: for tests of it."""
        return self.function(*arrays)

    def __repr__(self) -> str:
        return f"<native {called(self.function)}>"


@overload
def native(function: Callable[..., Any], /) -> Native: ...
@overload
def native(**options: Any) -> Callable[[Callable[..., Any]], Native]: ...
def native(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """A rule that numba compiles: it runs without the interpreter, beside other threads of Python.

        @bus.derive("energy", inputs=[mass, speed], shape=(1000,), dtype="float64")
        @mmsb.native
        def energy(mass, speed, out):
            for i in range(len(out)):
                out[i] = 0.5 * mass[i] * speed[i] ** 2

    It takes a read-only array for each input, of a table one for each of its columns, and last the array that
    it fills, of zeros at first; what it returns is not looked at. An exception undoes the commit; which one
    it was, the function called as it is from Python tells.

    Args:
        function: anything that numba's nopython mode takes.
        options: of `numba.njit`. Indices are checked unless `boundscheck=False` says otherwise.
    """
    return Native(function, options) if function is not None else lambda given: Native(given, options)


class Addressed(Protocol):
    """Compiled code of the type `CFunction`, at an address for as long as this lives."""

    @property
    def address(self) -> int:
        """Where it is."""


def is_native(rule: object) -> bool:
    """Whether a rule is compiled: of `native`, a `numba.cfunc`, a function of ctypes, or code at an address.

    What Python can call is called by Python, unless it says what type its code has, as a cfunc does.
    """
    if isinstance(rule, (Native, _FUNCTION)):
        return True
    return isinstance(getattr(rule, "address", None), int) and (not callable(rule) or hasattr(rule, "_sig"))


def declare_native(
    bus: CoreBus, name: str, rule: Any, inputs: Any, after: Any, made: Layout, when: str
) -> Page:
    """Has a page follow from others by compiled code."""
    keys = pages_of(name, "inputs", inputs)
    if isinstance(rule, Native):
        owner = _compiled(name, rule, _pages(bus, name, keys), made)
        address = owner.address
    else:
        owner, address = rule, _address(name, rule)
    given = (made.kind, made.columns, made.rows)
    after = pages_of(name, "after", after)
    return _derive_native(bus, name, given, address, owner, called(rule), keys, after, when)


def _pages(bus: CoreBus, name: str, keys: list[Key]) -> list[Page]:
    """The pages that a page of a name is to follow from."""
    with about(f"page {name!r}"):
        return [bus[key] for key in keys]


def _address(name: str, rule: Any) -> int:
    """Where a function of C is, if it says that it is of the type wanted, or says nothing."""
    wanted = "int32 (void **inputs, int64 *lengths, void *out, int64 length)"
    if isinstance(rule, _FUNCTION):
        declared = CFunction()
        if rule.restype is not declared.restype or tuple(rule.argtypes or ()) != declared.argtypes:
            raise InvalidArgument(
                f"page {name!r}: the function of ctypes is not declared as {wanted}: "
                "make it by mmsb.derive.CFunction"
            )
        return ctypes.cast(rule, ctypes.c_void_p).value or 0
    signature = getattr(rule, "_sig", None)
    if signature is not None and signature != cfunc_signature():
        raise InvalidArgument(
            f"page {name!r}: the cfunc is {signature} where {wanted} is wanted, "
            "which mmsb.derive.cfunc_signature() says"
        )
    address: int = rule.address
    if address <= 0:
        raise InvalidArgument(f"page {name!r}: {rule!r} has the address {address}")
    return address


def _compiled(name: str, rule: Native, inputs: list[Page], made: Layout) -> Any:
    """The function as a `numba.cfunc`, for the types of these pages."""
    numba = _numba()
    arrays = [array for page in inputs for array in _arrays(page)]
    if len(made.columns) != 1:
        raise DtypeError(f"page {name!r}: a native function makes one column, give each a page of its own")
    _, dtype, inner = made.columns[0]
    arrays.append((np.dtype(dtype), None if made.kind == "scalar" else tuple(inner)))
    types = []
    scope: dict[str, Any] = {"carray": numba.carray}
    views = []
    last = len(arrays) - 1
    for number, (cells, axes) in enumerate(arrays):
        scope[f"dtype{number}"] = cells
        dimensions = 0 if axes is None else 1 + len(axes)
        types.append(numba.types.Array(numba.from_dtype(cells), dimensions, "C", readonly=number != last))
        at, length = ("out", "length") if number == last else (f"inputs[{number}]", f"lengths[{number}]")
        rows = [] if axes is None else [f"{length} // {max(1, prod(axes))}", *map(str, axes)]
        views.append(f"carray({at}, ({''.join(f'{axis}, ' for axis in rows)}), dtype{number})")
    entry = _ENTRY.format(views=", ".join(views))
    try:
        scope["function"] = numba.njit([numba.types.void(*types)], **rule.options)(rule.function)
        exec(entry, scope)
        return numba.cfunc(cfunc_signature())(scope["entry"])
    except numba.core.errors.NumbaError as error:
        raise InvalidArgument(f"page {name!r}: numba cannot compile {called(rule)}: {error}") from error


# How many arrays there are, and their types, a function of numba's must spell out.
_ENTRY = """
def entry(inputs, lengths, out, length):
    try:
        function({views})
    except Exception:
        return 1
    return 0
"""


def _arrays(page: Page) -> list[tuple[np.dtype[Any], tuple[int, ...] | None]]:
    """The dtype and inner axes of each column of a page; no axes where it is a scalar."""
    if page.kind == "table":
        return [(page[column].dtype, page[column].shape[1:]) for column in page.columns]
    return [(page.dtype, page.shape[1:] if page.shape else None)]
