"""`mmsb checkpoint`, `prune` and `export`: quick to open, small, and copied."""

from __future__ import annotations

import click

from mmsb.cli.options import json_option, opened, path_argument
from mmsb.cli.output import emit, plural, say, size
from mmsb.cli.progress import progress


@click.command()
@path_argument
@json_option
def checkpoint(path: str, as_json: bool) -> None:
    """Write the state down, so that the bus opens quickly.

    Only what changed since the last checkpoint is written.
    """
    with opened(path, "r+") as bus:
        with progress("checkpoint") as tick:
            made = bus.checkpoint(progress=tick)
        if as_json:
            emit(
                {
                    "path": path,
                    "epoch": bus.epoch,
                    "seq": made.seq,
                    "bytes": made.bytes,
                    "reused": made.reused,
                }
            )
            return
        kept = f"{size(made.reused)} kept from earlier ones"
        say(f"checkpoint at epoch {bus.epoch}: {size(made.bytes)} written, {kept}")


@click.command()
@path_argument
@click.option(
    "--keep-checkpoints",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="The newest N stay.",
)
@json_option
def prune(path: str, keep_checkpoints: int, as_json: bool) -> None:
    """Forget the history before a checkpoint.

    The oldest checkpoint kept is where history then starts. Without any checkpoint nothing is forgotten.
    """
    with opened(path, "r+") as bus:
        with progress("prune") as tick:
            pruned = bus.prune(keep_checkpoints=keep_checkpoints, progress=tick)
        if as_json:
            counts = {"checkpoints": pruned.checkpoints, "segments": pruned.segments, "bytes": pruned.bytes}
            emit({"path": path, **counts, "first": pruned.first_epoch})
            return
        gone = f"{plural(pruned.checkpoints, 'checkpoint')} and {plural(pruned.segments, 'log segment')}"
        say(f"{gone} removed, {size(pruned.bytes)} freed: history starts at epoch {pruned.first_epoch}")


@click.command()
@path_argument
@click.argument("target", type=click.Path())
@json_option
def export(path: str, target: str, as_json: bool) -> None:
    """Copy the present state to a new bus.

    TARGET must not be there yet. Ids, names and the epoch are kept, history is not.
    """
    with opened(path) as bus:
        with progress("export") as tick:
            bus.export(target, progress=tick)
        if as_json:
            emit({"path": path, "target": target, "epoch": bus.epoch, "pages": len(bus)})
            return
        say(f"{target}: {plural(len(bus), 'page')} at epoch {bus.epoch}")
