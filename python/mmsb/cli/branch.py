"""`mmsb branch`: the branches of a bus; make one, drop one."""

from __future__ import annotations

import click

from mmsb.cli.options import complete_branch, json_option, opened, path_argument
from mmsb.cli.output import emit, say
from mmsb.cli.show import branches_of, show_branches


@click.command()
@path_argument
@click.option("--create", metavar="NAME", help="Make a branch of this name.")
@click.option(
    "--at", type=click.IntRange(min=0), metavar="EPOCH", help="Where it forks; the present by default."
)
@click.option("--from", "parent", metavar="NAME", shell_complete=complete_branch, help="What it forks from.")
@click.option("--drop", metavar="NAME", shell_complete=complete_branch, help="Drop the branch of this name.")
@json_option
def branch(
    path: str, create: str | None, at: int | None, parent: str | None, drop: str | None, as_json: bool
) -> None:
    """List, make or drop branches."""
    if create is not None and drop is not None:
        raise click.UsageError("--create and --drop exclude each other")
    if create is None and (at is not None or parent is not None):
        raise click.UsageError("--at and --from go with --create")
    changes = create is not None or drop is not None
    with opened(path, "r+" if changes else "r") as bus:
        if create is not None:
            made = (bus if parent is None else bus.checkout(parent)).branch(create, at=at)
            done = f"branch {create} made at epoch {made.epoch}"
        elif drop is not None:
            bus.checkout(drop).drop()
            done = f"branch {drop} dropped"
        branches = branches_of(bus)
        if as_json:
            emit({"path": path, "branches": branches})
            return
        if changes:
            say(done)
        show_branches(branches)
