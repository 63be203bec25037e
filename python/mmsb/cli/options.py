"""What commands take: the bus, moments, rows; and opening what was named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import click
from click.shell_completion import CompletionItem

import mmsb
from mmsb._core import Snapshot
from mmsb.bus import Bus
from mmsb.legible import legible

Moment = int | datetime
Rows = int | slice | list[int]
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    # Only newer releases of click can be subscripted.
    _ParamType = click.ParamType


# What may stand in front of a moment, so that nothing else is meant.
KINDS: dict[str, type[int | datetime]] = {"epoch": int, "time": datetime}


def moment_of(text: str) -> Moment | None:
    """The epoch or the time that a text says, `None` where it says neither; without a zone it is local."""
    kind, colon, rest = text.partition(":")
    if colon and kind in KINDS:
        moment = moment_of(rest)
        return moment if isinstance(moment, KINDS[kind]) else None
    if re.fullmatch("[0-9]+", text):
        return int(text)
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone()
    except OverflowError:
        # At either end of all dates another zone's date is none; which zone says nothing of a bus there.
        return time.replace(tzinfo=UTC)
    except ValueError:
        return None


class MomentType(_ParamType):
    """An epoch, or a time."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Moment:
        """Digits are an epoch; a time without a zone is local."""
        if not isinstance(value, str):
            given: Moment = value
            return given
        moment = moment_of(value)
        if moment is None:
            self.fail(
                f"{value!r} is neither an epoch (a number) nor a time (as in 2013-07-04T12:00)", param, ctx
            )
        return moment


class IntentType(_ParamType):
    """An intent: JSON, `KEY=VALUE` for an intent with that in it, or a plain text."""

    name = "intent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """What JSON can say is that, also behind the sign of equality; anything else is text."""
        whole = _json_of(value)
        key, sign, rest = value.partition("=")
        return {key: _json_of(rest)} if sign and isinstance(whole, str) and whole == value else whole


def _json_of(text: str) -> Any:
    """A text as the JSON it is, or else as itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


class RowsType(_ParamType):
    """Rows as numpy writes them: `5`, `5:8`, `::100`, `-3:`, or a list `1,4,7`."""

    name = "rows"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Rows:
        """A number, a slice or a list of numbers."""
        if not isinstance(value, str):
            rows: Rows = value
            return rows
        if re.fullmatch(r"-?\d+", value):
            return int(value)
        if re.fullmatch(r"-?\d+(,-?\d+)*,?", value):
            return [int(part) for part in value.split(",") if part]
        if not re.fullmatch(r"(-?\d+)?:(-?\d+)?(:(-?[1-9]\d*)?)?", value):
            self.fail(f"{value!r} is no row (5), range (5:8, ::100) or list (1,4,7) of rows", param, ctx)
        return slice(*(int(part) if part else None for part in value.split(":")))


INTENT = IntentType()
MOMENT = MomentType()
ROWS = RowsType()


@contextmanager
def opened(path: str, mode: Literal["r", "r+"] = "r", branch: str | None = None) -> Iterator[Bus]:
    """The bus at a path, or one of its branches; closed at the end."""
    with mmsb.open(path, mode=mode) as bus:
        yield bus if branch is None else bus.checkout(branch)


def state(bus: Bus, given: str) -> Snapshot:
    """The present state of a branch, or that at an epoch or a time.

    A branch goes first; `branch:`, `epoch:` and `time:` in front leave no doubt.
    """
    kind, _, rest = given.partition(":")
    if kind == "branch":
        return bus.checkout(rest).snapshot()
    moment = moment_of(given)
    if given in bus.branches() and (moment is None or kind not in KINDS):
        return bus.checkout(given).snapshot()
    if moment is None:
        raise click.BadParameter(
            f"{given!r} is neither an epoch (a number) nor a time (as in 2013-07-04T12:00), "
            "and no branch of this bus"
        )
    return bus.at(time=moment) if isinstance(moment, datetime) else bus.at(moment)


def _names(of: Callable[[Bus], list[str]]) -> Callable[..., list[CompletionItem]]:
    """Completes a name out of the bus that stands on the line already; nothing where it cannot be opened."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        # Behind an option that still lacks its value, click leaves the words before it unread.
        path = ctx.params.get("path") or next(iter(ctx.args), None)
        if path is None:
            return []
        try:
            with opened(path) as bus:
                # A shell takes one name a line.
                names = (name for name in of(bus) if name == legible(name))
                return [CompletionItem(name) for name in names if name.startswith(incomplete)]
        except mmsb.MmsbError:
            return []

    return complete


complete_page = _names(lambda bus: list(bus))
complete_branch = _names(lambda bus: list(bus.branches()))

path_argument = click.argument("path", type=click.Path(), is_eager=True)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
branch_option = click.option(
    "--branch",
    metavar="NAME",
    shell_complete=complete_branch,
    help="Look at this branch instead of the main one.",
)


def page_argument(required: bool = False) -> Decorator:
    """An argument that names a page."""
    return click.argument("page", required=required, shell_complete=complete_page)


rows_argument = click.argument("rows", type=ROWS, required=False)
