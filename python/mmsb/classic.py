"""The names of the original design, as plain functions over a bus."""

import functools
import inspect
import os
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmsb._core import Page
from mmsb.bus import Bus
from mmsb.bus import open as open_bus
from mmsb.errors import InvalidArgument, ShapeError

_F = TypeVar("_F", bound=Callable[..., Any])

_ACTIVE: ContextVar[tuple[Bus, ...]] = ContextVar("mmsb_active", default=())
_WARNED = False


def _degrade() -> None:
    """Say once that there is no GPU."""
    global _WARNED
    if not _WARNED:
        _WARNED = True
        warnings.warn("there is no GPU here: pages live on the CPU", RuntimeWarning, stacklevel=3)


def mmsb_start(enable_gpu: bool = False, path: str | os.PathLike[str] | None = None) -> Bus:
    """Open a bus: in memory, or the one at `path`, made if absent.

    `enable_gpu` degrades to the CPU, with one warning, where there is none.
    """
    if enable_gpu:
        _degrade()
    return open_bus(path)


def mmsb_stop(state: Bus, checkpoint_path: str | os.PathLike[str] | None = None) -> None:
    """Close a bus; first write its present state to the new directory `checkpoint_path`, if given.

    The directory is a bus squashed to the current epoch, with the same page ids and epoch.

    Raises:
        BusExists: something is at `checkpoint_path`; the bus stays open.
    """
    _state(state)
    if checkpoint_path is not None:
        state.export(checkpoint_path)
    state.close()


def _active() -> Bus:
    stack = _ACTIVE.get()
    if not stack:
        raise InvalidArgument("no state is active here: give one first, or work inside `with mmsb(state):`")
    return stack[-1]


def _state(state: Any) -> Bus:
    """What was handed in as the state, which must be a bus."""
    if not isinstance(state, Bus):
        raise InvalidArgument(f"state {state!r}: a bus is wanted, as mmsb_start() gives it")
    return state


class mmsb:  # noqa: N801 - the name the original design gave it
    """Make a state the active one: as a context manager, or as a decorator for the time of each call.

    Inside, the functions of this module may leave out their first argument. It nests, and holds for the
    thread or task that entered it.
    """

    def __init__(self, state: Bus) -> None:
        self.state = _state(state)
        self._entered: list[AbstractContextManager[Bus]] = []

    def __repr__(self) -> str:
        return f"<mmsb of {self.state!r}>"

    @contextmanager
    def _inside(self) -> Iterator[Bus]:
        token = _ACTIVE.set((*_ACTIVE.get(), self.state))
        try:
            yield self.state
        finally:
            _ACTIVE.reset(token)

    def __enter__(self) -> Bus:
        entered = self._inside()
        self._entered.append(entered)
        return entered.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._entered.pop().__exit__(*error)

    def __call__(self, function: _F) -> _F:
        """Make the state the active one for the time of each call, of an `async def` until it is through.

        Raises:
            InvalidArgument: it is a generator: its caller would see the state between two steps.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise InvalidArgument(
                f"{function.__name__} is a generator: write `with mmsb(state):` in its body"
            )
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with self._inside():
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]

        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self._inside():
                return function(*args, **kwargs)

        return inside  # type: ignore[return-value]


def create_page(
    state: Bus | None = None, *, size: int, location: Literal["cpu", "gpu"] = "cpu", name: str | None = None
) -> Page:
    """Make a page of `size` raw bytes of zeros, with a name of its own unless one is given.

    `location="gpu"` degrades to the CPU, with one warning, where there is none: see `page.location`.
    """
    if location not in ("cpu", "gpu"):
        raise InvalidArgument(f"location {location!r}: 'cpu' and 'gpu' are possible")
    if location == "gpu":
        _degrade()
    bus = _active() if state is None else _state(state)
    return bus.create_page(name or f"page-{uuid.uuid4().hex}", size=size)


@overload
def update_page(state: Bus, page_id: int, data: ArrayLike) -> None: ...
@overload
def update_page(page_id: int, data: ArrayLike) -> None: ...
def update_page(*args: Any, **named: Any) -> None:
    """Write all bytes of a page: `update_page(state, page_id, data)`; only those that differ are logged.

    Raises:
        PageNotFound: no page has this id.
        InvalidArgument: `data` is neither bytes nor numbers.
        ShapeError: `data` has not as many bytes as the page.
    """
    bus, (page_id, data) = _split(args, named, "page_id", "data")
    page = bus[page_id]
    if isinstance(data, bytes | bytearray | memoryview):
        new = np.frombuffer(data, np.uint8)
    else:
        new = np.asarray(data)
        if new.dtype.hasobject:
            raise InvalidArgument(f"data {data!r}: bytes or numbers are wanted, not {type(data).__name__}")
    new = np.ascontiguousarray(new).view(np.uint8).reshape(-1)
    if new.nbytes != page.nbytes:
        raise ShapeError(f"page {page.name!r} has {page.nbytes} bytes, the data {new.nbytes}")
    page[...] = new


@overload
def query_page(state: Bus, page_id: int) -> NDArray[np.uint8]: ...
@overload
def query_page(page_id: int) -> NDArray[np.uint8]: ...
def query_page(*args: Any, **named: Any) -> NDArray[np.uint8]:
    """Read all bytes of a page, read only and without a copy: `query_page(state, page_id)`.

    Raises:
        PageNotFound: no page has this id.
    """
    bus, (page_id,) = _split(args, named, "page_id")
    array: NDArray[np.uint8] = bus[page_id].array
    return array


def _split(args: tuple[Any, ...], named: dict[str, Any], *wanted: str) -> tuple[Bus, list[Any]]:
    """The state given first, or the active one, and the other arguments, by place or by name."""
    rest, given = [*args], dict(named)
    state = rest.pop(0) if rest and isinstance(rest[0], Bus) else given.pop("state", None)
    if len(rest) + len(given) != len(wanted) or {*wanted[len(rest) :]} != {*given}:
        said = ", ".join([*map(repr, rest), *(f"{name}=" for name in given)]) or "nothing"
        raise InvalidArgument(f"{' and '.join(wanted)} are wanted behind the state, not {said}")
    return _active() if state is None else _state(state), [
        *rest,
        *(given[name] for name in wanted[len(rest) :]),
    ]
