"""What a command of the reports does: measures everything, writes the results and the page."""

import argparse
import os
import shlex
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from peers import about as places
from peers import brief, page, rivals, rust
from peers.case import CASES, FULL, QUICK, Case
from peers.figure import Figure, join, read, write
from peers.runner import run
from peers.subject import Subject
from peers.verdicts import judge

LOCK = Path(__file__).parents[1] / "peers-rust" / "Cargo.lock"


def arguments(subject: Subject) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=f"{subject.title}: {subject.opening}.")
    parser.add_argument(
        "--scale", choices=("quick", "full"), default="full", help="quick only shows that it works"
    )
    parser.add_argument(
        "--rounds", type=int, help="turns that every party gets; by default 3, or 1 where quick"
    )
    parser.add_argument("--rust", help="the command of the rivals in Rust; without it they are left out")
    parser.add_argument(
        "--to", type=Path, default=Path(f"docs/{subject.name}.md"), help="the page; the results lie beside it"
    )
    parser.add_argument(
        "--readme", type=Path, help="a document with marks, between which the targets are written"
    )
    parser.add_argument("--folder", type=Path, help="where to work, on the disk to be measured")
    parser.add_argument("--only", default="", help="only workloads or parties whose name has this in it")
    parser.add_argument(
        "--render", action="store_true", help="write the page anew from the results there are"
    )
    return parser.parse_args()


def show(subject: Subject, options: argparse.Namespace, told: dict[str, Any], figures: list[Figure]) -> None:
    """Writes all that is made from the results."""
    page.write(subject, options.to, told, figures, options.to.with_suffix(".json").name)
    if options.readme is not None:
        brief.put(subject, options.readme, told, figures)


def main(subject: Subject) -> int:
    """Runs, or renders, a subject. What failed makes it fail."""
    options = arguments(subject)
    raw = options.to.with_suffix(".json")
    if options.render:
        told, figures = read(raw)
        show(subject, options, told, figures)
        return 0
    scale = QUICK if options.scale == "quick" else FULL
    if options.rounds is not None:
        scale = replace(scale, rounds=options.rounds)
    absent = rivals.load(subject.rivals)
    for name, why in absent.items():
        print(f"absent: {name}: {why}", file=sys.stderr)

    def wanted(case: Case) -> bool:
        return options.only in case.workload or options.only in case.who

    start, failures, checks = time.monotonic(), [], []  # type: ignore[var-annotated]
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="peers-") as folder:
        told = places.about(subject, scale, Path(folder), rust.versions(LOCK, subject.crates), absent)
        if options.rust is None:
            absent["the rivals in Rust"] = "no program was given"
        else:
            for number in range(scale.rounds):
                found += rust.run(shlex.split(options.rust), scale, number, Path(folder), checks)
        found += run(subject, scale, Path(folder), wanted, checks, failures)
    told |= {
        "load after": [round(load, 1) for load in os.getloadavg()],
        "checks": checks + subject.counted(),
        "failures": failures,
    }
    told["minutes"] = round((time.monotonic() - start) / 60, 1)
    figures = [
        figure for figure in join(found) if options.only in figure.workload or options.only in figure.who
    ]
    write(raw, told, figures)
    # As it is in the file, so that the page can be made from it again.
    told, figures = read(raw)
    show(subject, options, told, figures)
    for verdict in judge(figures, subject.rows):
        median = f"{verdict.measured.median:.4g}" if verdict.measured else ""
        print(f"{verdict.word:12}  {verdict.row.operation[:60]:60}  {verdict.part.what:24} {median}")
    print(f"{len(CASES)} cases in Python, {told['minutes']} minutes: {options.to}, {raw}")
    return bool(failures)
