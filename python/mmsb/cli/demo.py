"""`mmsb demo`: the flights of 2013 through a bus whose writer is killed, and the proofs."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from mmsb.cli.output import WIDE, emit


@click.command()
@click.option("--flights", type=click.IntRange(min=1), metavar="N", help="Only the first N flights.")
@click.option("--seed", type=int, help="Of the kill, and of the minutes that are looked at.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Make the buses in DIR and keep them.",
)
@click.option(
    "--picture", type=click.Path(dir_okay=False, path_type=Path), metavar="PATH", help="Draw the year (PNG)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def demo(
    flights: int | None, seed: int | None, keep: Path | None, picture: Path | None, as_json: bool
) -> None:
    """Play a year of flights, and prove what came of it.

    336,776 real flights become deltas on pages; the writing process is killed on the way and goes on,
    while other processes read along (Linux) and check all that they see.
    Exit code 1 if a proof fails.
    """
    from mmsb.applications.flights.demo import Options, run
    from mmsb.applications.flights.source import FlightsMissingError

    console = Console(stderr=as_json)
    if not console.is_terminal:
        console.width = WIDE
    try:
        report = run(Options(flights, seed, keep, picture), console)
    except (FlightsMissingError, FileExistsError) as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        emit(report.as_json())
    click.get_current_context().exit(0 if report.ok else 1)
