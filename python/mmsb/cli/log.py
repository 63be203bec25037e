"""`mmsb log`: the commits of a bus, as a table or a JSON record each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import click

from mmsb.bus import Bus
from mmsb.cli.options import (
    INTENT,
    MOMENT,
    Moment,
    branch_option,
    complete_page,
    json_option,
    opened,
    path_argument,
)
from mmsb.cli.output import aside, emit_line, plain, say, size
from mmsb.errors import PageNotFound
from mmsb.legible import legible

# Commits in a table where nobody says how many.
NEWEST = 50
# Epochs looked at first when the newest commits are wanted; more each time, until there are enough.
WINDOW = 256


@click.command()
@path_argument
@click.option("--page", metavar="NAME", shell_complete=complete_page, help="Commits that touched this page.")
@click.option("--source", metavar="WHO", help="Commits of this source.")
@click.option(
    "--intent", type=INTENT, metavar="KEY=VALUE|JSON", help="Commits with this intent, or with this in it."
)
@click.option("--since", type=MOMENT, metavar="EPOCH|TIME", help="From this epoch or time on.")
@click.option("--until", type=MOMENT, metavar="EPOCH|TIME", help="Up to and with this epoch or time.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The newest N of them.")
@click.option("--all", "everything", is_flag=True, help="All of them; a table has the newest 50 by default.")
@branch_option
@json_option
def log(
    path: str,
    page: str | None,
    source: str | None,
    intent: Any,
    since: Moment | None,
    until: Moment | None,
    limit: int | None,
    everything: bool,
    branch: str | None,
    as_json: bool,
) -> None:
    """List commits, oldest first.

    Each with its epoch, time, source, bytes, what was done and why. With --json one record a line, and
    all of them unless --limit says otherwise.
    """
    if everything and limit is not None:
        raise click.UsageError("--all and --limit exclude each other")
    with opened(path, branch=branch) as bus:
        wanted = {"page": page, "source": source, "intent": intent}
        if as_json:
            for entry in newest(bus, wanted, since, until, limit):
                emit_line(record(entry))
            return
        most = None if everything else limit or NEWEST
        found = newest(bus, wanted, since, until, most)
        kinds = Kinds(bus)
        for count, entry in enumerate(found, 1):
            say(line(entry, kinds))
            if limit is None and count == NEWEST == most:
                aside("the newest 50; --all lists every one, --limit N so many")


def newest(
    bus: Bus, wanted: dict[str, Any], since: Moment | None, until: Moment | None, limit: int | None
) -> Iterable[Any]:
    """Commits that pass, oldest first; the newest so many of them.

    Without a limit they are read as they are taken. With one the log is read from its end in growing windows.
    """
    if limit is None:
        return _between(bus, wanted, since, until)
    last = until if isinstance(until, int) else bus.epoch
    first = since if isinstance(since, int) else 0
    found: list[Any] = []
    window, end = WINDOW, min(last, bus.epoch)
    while len(found) < limit and end >= first:
        start = max(first, end - window + 1)
        part = list(
            _between(bus, wanted, max(since, start) if isinstance(since, int) else since, until, start, end)
        )
        found = part + found
        window, end = window * 4, start - 1
    return found[-limit:]


def _between(
    bus: Bus,
    wanted: dict[str, Any],
    since: Moment | None,
    until: Moment | None,
    first: int | None = None,
    last: int | None = None,
) -> Iterator[Any]:
    start = since if isinstance(since, int) else first
    end = until if isinstance(until, int) else last
    if last is not None and end is not None:
        end = min(end, last)
    for entry in bus.log(since=start, until=end, **wanted):
        if isinstance(since, datetime) and entry.time < since:
            continue
        if isinstance(until, datetime) and entry.time > until:
            continue
        yield entry


def record(entry: Any) -> dict[str, Any]:
    """A commit as JSON has it."""
    names = ("epoch", "seq", "branch", "time", "time_ns", "source", "intent", "durability", "bytes", "deltas")
    return {name: getattr(entry, name) for name in names}


class Kinds(dict[int, str]):
    """The kinds of pages by id, looked up once; of a dropped page none."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def __missing__(self, page: int) -> str:
        try:
            self[page] = self._bus[page].kind
        except PageNotFound:
            self[page] = ""
        return self[page]


def line(entry: Any, kinds: Kinds) -> str:
    """A commit on one line."""
    when = entry.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    intent = "" if entry.intent is None else "  " + json.dumps(plain(entry.intent), ensure_ascii=False)
    who, done = legible(entry.source or "-"), _done(entry.deltas, kinds)
    return f"{entry.epoch:>8}  {when}  {who:<12}  {size(entry.bytes):>10}  {done}{intent}"


def _done(deltas: list[dict[str, Any]], kinds: Kinds) -> str:
    """What a commit did: `assign pos, add book[qty]`."""
    said = []
    for delta in islice(deltas, 4):
        columns = (
            f"[{', '.join(delta['columns'])}]" if kinds[delta["id"]] == "table" and delta["columns"] else ""
        )
        said.append(f"{delta['op']} {delta['page']}{columns}")
    more = len(deltas) - len(said)
    return ", ".join(said) + (f" and {more} more" if more else "")
