"""`python -m curves --program PROGRAM`: measures all curves; writes figures, pictures and the page."""

import argparse
import subprocess
import sys
from pathlib import Path

from curves import page
from curves.expected import EXPECTED
from curves.footprint import CHURN
from curves.memory import CYCLES, LARGE, PAGES
from curves.points import Point, parse, runs

MEMORY = (PAGES, LARGE, CYCLES)
"""What is measured in Python."""

FAMILIES = (*EXPECTED, CHURN, *MEMORY)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m curves", description=__doc__)
    parser.add_argument("--program", type=Path, help="what measures, built from benches/core/examples/curves")
    parser.add_argument("--scale", choices=("quick", "full"), default="full")
    parser.add_argument("--to", type=Path, default=Path("docs/curves.md"), help="the page")
    parser.add_argument("--only", action="append", default=[], help="a family, or memory; others stay")
    parser.add_argument(
        "--render", action="store_true", help="write the page anew from the figures there are"
    )
    return parser.parse_args()


def measured(program: Path, scale: str, family: str) -> list[Point]:
    """The points of a family."""
    print(f"{family} ...", file=sys.stderr, flush=True)
    command = [str(program), scale, family]
    if family in MEMORY:
        command = [sys.executable, "-m", "curves.memory", family, scale]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return parse(done.stdout)


def main() -> int:
    options = arguments()
    raw = options.to.with_suffix(".tsv")
    kept = raw.read_text(encoding="utf-8") if raw.exists() and (options.only or options.render) else ""
    points: list[Point] = []
    how: dict[str, str] = {}
    for family in FAMILIES:
        wanted = not options.only or family in options.only
        wanted |= "memory" in options.only and family in (CHURN, *MEMORY)
        if options.render or not wanted:
            points += [point for point in parse(kept) if point.family == family]
            how |= {name: run for name, run in runs(kept).items() if name == family}
        else:
            how[family] = page.run(options.scale)
            points += measured(options.program, options.scale, family)
    page.write(options.to, points, how)
    for line in page.grown(points):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
