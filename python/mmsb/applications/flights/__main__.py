"""`python -m mmsb.applications.flights`: the demo, without the command line of the package."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from mmsb.applications.flights.demo import Options, run
from mmsb.applications.flights.source import FlightsMissingError


def main(arguments: list[str] | None = None) -> int:
    """Play the flights of 2013 through a bus, kill its writer on the way, and prove what came of it."""
    parser = argparse.ArgumentParser(prog="python -m mmsb.applications.flights", description=main.__doc__)
    parser.add_argument("--flights", type=int, metavar="N", help="only the first N flights")
    parser.add_argument("--seed", type=int, help="of the kill and of the minutes that are looked at")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="make the buses in DIR and keep them")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--picture", type=Path, metavar="PATH", help="write a picture of the year (PNG)")
    given = parser.parse_args(arguments)
    if given.flights is not None and given.flights < 1:
        parser.error("--flights: at least 1 is needed")
    options = Options(given.flights, given.seed, given.keep, given.picture)
    try:
        report = run(options, Console(stderr=True) if given.json else None)
    except (FlightsMissingError, FileExistsError) as error:
        print(error, file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(report.as_json(), indent=2))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
