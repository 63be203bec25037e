"""`mmsb top`: who has a bus open, what they hold, and what is being committed, again and again."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import click
from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mmsb.bus import Bus
from mmsb.cli.options import json_option, opened, path_argument
from mmsb.cli.output import console, emit_line, plural, size
from mmsb.keep import Pin, Process
from mmsb.legible import legible

# Pages that are told, those that most commits changed first.
PAGES = 10


@dataclass(frozen=True)
class Sight:
    """What was seen of a bus at a time, and what happened since the time before."""

    follows: bool
    epoch: int
    pages: int
    branches: int
    seconds: float
    commits: int
    bytes: int
    processes: list[Process]
    pins: list[Pin]
    busiest: list[tuple[str, int]]


class Looking:
    """Looks at a bus again and again, from outside."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.at = time.monotonic()
        self.epoch = bus.epoch
        self.stats = bus.stats()

    def look(self) -> Sight:
        """What there is now, and what has happened since the last look."""
        bus, before, now = self.bus, self.stats, time.monotonic()
        stats, epoch = bus.stats(), bus.epoch
        entries = bus.log(since=self.epoch + 1)
        changed = Counter(page for entry in entries for page in {delta["page"] for delta in entry.deltas})
        sight = Sight(
            follows=bus.follows,
            epoch=epoch,
            pages=stats["pages"],
            branches=stats["branches"],
            seconds=now - self.at,
            commits=epoch - self.epoch,
            bytes=stats["log_bytes"] - before["log_bytes"],
            processes=bus.processes(),
            pins=bus.pins(),
            busiest=changed.most_common(PAGES),
        )
        self.at, self.epoch, self.stats = now, epoch, stats
        return sight


def _each(sight: Sight) -> list[dict[str, Any]]:
    """A line of each process: those that pin without having said that they are there, too."""
    held: dict[int, list[Pin]] = {process.pid: [] for process in sight.processes}
    for pin in sight.pins:
        held.setdefault(pin.pid, []).append(pin)
    known = {process.pid: process for process in sight.processes}
    lines = []
    for pid, pins in held.items():
        process = known.get(pid)
        if process is not None and process.is_this:
            continue
        lines.append(
            {
                "pid": pid,
                "mode": None if process is None else "writes" if process.writes else "reads",
                "commits": process is not None and process.commits,
                "memory": None if process is None else process.bytes,
                "pins": len(pins),
                "oldest": max((pin.age for pin in pins if pin.age is not None), default=None),
            }
        )
    return lines


def _rate(count: float, seconds: float) -> str:
    return f"{count / seconds:,.0f}/s" if seconds > 0 else "-"


def _document(path: str, sight: Sight) -> dict[str, Any]:
    """As `--json` says it."""
    return {
        "path": path,
        "follows": sight.follows,
        "epoch": sight.epoch,
        "pages": sight.pages,
        "branches": sight.branches,
        "seconds": sight.seconds,
        "commits": sight.commits,
        "bytes": sight.bytes,
        "processes": _each(sight),
        "busiest": [{"page": page, "commits": commits} for page, commits in sight.busiest],
    }


def _table(*headings: str) -> Table:
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for heading in headings:
        made.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    return made


def _shown(path: str, sight: Sight) -> Group:
    """As a person reads it."""
    logged = size(int(sight.bytes / sight.seconds)) if sight.seconds > 0 else "-"
    branches = "1 branch" if sight.branches == 1 else f"{sight.branches:,} branches"
    head = (
        f"{path}: epoch {sight.epoch:,}, {plural(sight.pages, 'page')}, {branches}; "
        f"{_rate(sight.commits, sight.seconds)} commits, {logged}/s of log"
    )
    if not sight.follows:
        head += "; nobody else has it open, or not where it can be seen from here"
    processes = _table(">process", "mode", ">memory", ">pins", ">oldest", "")
    for line in _each(sight):
        processes.add_row(
            str(line["pid"]),
            line["mode"] or "",
            "" if line["memory"] is None else size(line["memory"]),
            str(line["pins"]),
            "" if line["oldest"] is None else f"{line['oldest']:.1f} s",
            "commits" if line["commits"] else "",
        )
    pages = _table("page", ">commits")
    for page, commits in sight.busiest:
        pages.add_row(Text(legible(page)), _rate(commits, sight.seconds))
    shown: list[RenderableType] = [Text(legible(head)), Text(), processes]
    if sight.busiest:
        shown += [Text(), pages]
    return Group(*shown)


@click.command()
@path_argument
@click.option(
    "--interval", type=click.FloatRange(min=0.05), default=1.0, show_default=True, metavar="SECONDS"
)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after so many looks.")
@json_option
def top(path: str, interval: float, count: int | None, as_json: bool) -> None:
    """Show who has a bus open, again and again.

    Processes with what they hold, commits and bytes of log a second, and the pages that change most; until
    Ctrl-C. With --json a line each time.
    """
    with opened(path) as bus:
        looking, looks = Looking(bus), 0
        screen = console()
        with Live(console=screen, auto_refresh=False, transient=False) as live:
            try:
                while count is None or looks < count:
                    time.sleep(interval)
                    sight, looks = looking.look(), looks + 1
                    if as_json:
                        emit_line(_document(path, sight))
                    else:
                        live.update(_shown(path, sight), refresh=True)
            except KeyboardInterrupt:
                pass
