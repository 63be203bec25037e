"""`mmsb at`: a bus as it was at an epoch or a time."""

from __future__ import annotations

from typing import Any

import click

from mmsb.cli.options import (
    Rows,
    branch_option,
    complete_branch,
    json_option,
    opened,
    page_argument,
    path_argument,
    rows_argument,
    state,
)
from mmsb.cli.output import emit, plural, say
from mmsb.cli.progress import progress
from mmsb.cli.show import describe, show_page, show_pages


@click.command()
@path_argument
@click.argument("moment", metavar="EPOCH|TIME|BRANCH", shell_complete=complete_branch)
@page_argument()
@rows_argument
@branch_option
@click.option("--digest", is_flag=True, help="The digest of the state, too: the same on every machine.")
@json_option
def at(
    path: str,
    moment: str,
    page: str | None,
    rows: Rows | None,
    branch: str | None,
    digest: bool,
    as_json: bool,
) -> None:
    """Show a bus, or a page, as it was.

    A TIME is written as in 2013-07-04T12:00; without a zone it is local. A branch of the same name goes
    first: epoch:7 and time:2013-07-04 are never one.
    """
    with opened(path, branch=branch) as bus, state(bus, moment) as past:
        about: dict[str, Any] = {"path": path, "branch": past.branch, "epoch": past.epoch}
        if digest:
            with progress("digest") as tick:
                about["digest"] = past.digest(tick)
        if page is not None:
            show_page(past[page], rows, as_json, about.get("digest"))
            return
        if as_json:
            emit({**about, "pages": [describe(past[name]) for name in past]})
            return
        say(f"{path}: branch {past.branch} as at epoch {past.epoch}, {plural(len(past), 'page')}")
        if digest:
            say(f"digest {about['digest']}")
        show_pages(past)
