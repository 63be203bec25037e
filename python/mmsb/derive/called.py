"""What declarations are about: pages by their keys, functions by their names."""

from collections.abc import Iterable
from typing import Any

from mmsb._core import Page
from mmsb.errors import InvalidArgument

Key = str | int | Page


def called(function: Any) -> str:
    """What a function is called in errors, and in what the bus remembers of a rule."""
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    return f"{getattr(function, '__module__', '?')}.{name or type(function).__qualname__}"


def pages_of(page: str, what: str, keys: Any) -> list[Key]:
    """Pages, given as a list or as one, that the page of a name is to follow from."""
    if isinstance(keys, (str, int, Page)):
        return [keys]
    if not isinstance(keys, Iterable):
        raise InvalidArgument(f"page {page!r}: {what} {keys!r}: pages, their names or ids are wanted")
    return list(keys)
