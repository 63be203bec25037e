"""`mmsb trace`: which pages followed from what, epoch by epoch."""

from __future__ import annotations

import click

from mmsb.bus import Bus
from mmsb.cli.options import branch_option, json_option, opened, path_argument
from mmsb.cli.output import aside, emit_line, say, size
from mmsb.derive import Followed, logged

# Epochs that are told where nobody says which.
NEWEST = 20


@click.command()
@path_argument
@click.argument("epoch", type=click.IntRange(min=0), required=False)
@click.option("--limit", type=click.IntRange(min=1), default=NEWEST, show_default=True, metavar="N")
@branch_option
@json_option
def trace(path: str, epoch: int | None, limit: int, branch: str | None, as_json: bool) -> None:
    """Tell which pages followed from what.

    Of EPOCH, or of the newest epochs in which something did. What ran and came out equal is in no log.
    """
    with opened(path, branch=branch) as bus:
        found = [(epoch, logged(bus, epoch))] if epoch is not None else _newest(bus, limit)
        for at, pages in found:
            for page in pages:
                _tell(at, page, as_json)
        if not as_json and not any(pages for _, pages in found):
            aside("nothing followed from anything")


def _newest(bus: Bus, limit: int) -> list[tuple[int, list[Followed]]]:
    found: list[tuple[int, list[Followed]]] = []
    at = bus.epoch
    while at > 0 and len(found) < limit:
        pages = logged(bus, at)
        if pages:
            found.append((at, pages))
        at -= 1
    return found[::-1]


def _tell(epoch: int, page: Followed, as_json: bool) -> None:
    if as_json:
        emit_line({"epoch": epoch, **page.__dict__})
        return
    because = ", ".join(page.causes) or "its rule"
    say(f"{epoch:>8}  {page.page:<20}  {size(page.bytes):>10}  {page.rule}  because of {because}")
