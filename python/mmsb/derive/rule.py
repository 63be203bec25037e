"""What a rule says: what a page is made by, and what from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmsb._core import Column, Page
from mmsb.errors import InvalidArgument

Of = Page | Column
"""A column: of a page that has one, the page itself."""


@dataclass(frozen=True, eq=False)
class Computed:
    """What a rule comes to that is a function of Python's: the function, and what it makes."""

    function: Callable[..., Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    lacks: str = ""
    """Why it can make no page, where it cannot: the error names the page that was to be made."""


@dataclass(frozen=True, eq=False)
class Rule:
    """What a page is made by, and what from: for `bus.derive(name, rule)`."""

    inputs: tuple[Page, ...]
    said: tuple[Any, ...]
    by: Computed | None = None
    """Of operations of users' own; `None` of a rule that is Rust's."""

    def __repr__(self) -> str:
        names = ", ".join(page.name for page in self.inputs)
        return f"<Rule {self.said[0]} of {names}>"


def page_of(what: str, of: Any) -> tuple[Page, str | None]:
    """The page of a column, and the column's name where the page has several."""
    if isinstance(of, Page):
        return of, None
    if isinstance(of, Column):
        return of._page, of.name
    raise InvalidArgument(f"{what} {of!r}: a page, or a column of one, is wanted")
