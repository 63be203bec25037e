"""The part of the page about memory: where it goes, what churn leaves of it, and whether cycles keep any."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from curves.memory import CYCLES, LARGE, PAGES
from curves.plots import picture, plain_bytes
from curves.points import Point, lines
from curves.tables import table

CHURN = "churn"
TARGET = 1.15 * 2**30
"""What a million pages of 1 KiB may take."""

HEADS = {
    PAGES: "Made from Python in transactions of 1000, with data; a bus with a path, at its defaults. What "
    "the process had before is left out. Of the arena each page of memory is counted once; it is mapped "
    "twice, to write and to read, and RSS counts what is present in both twice.",
    LARGE: "Written whole from a numpy array, which is not counted.",
    CHURN: "Pages of heavy-tailed sizes (Pareto, up to 8 MiB) are made, written, resized and dropped, and "
    "states, views and branches of them held and let go, at random with a seed, in waves between 16 and "
    "64 MiB. x is how many times all memory was handed out anew. At the end everything is dropped.",
    CYCLES: "Each is repeated; what is counted must stay where it is.",
}

LEAST = 128 << 10
"""Growth of a heap over the later half of the rounds that is none: allocators settle."""

CAUSES = {
    "branch": "of a branch that was dropped its name and origin stay known, for history (`bus/line.rs`)",
}
"""What is known of cycles that keep something."""


def number(point: Point) -> str:
    """A figure as a person says it."""
    return plain_bytes(point.median) if point.unit == "bytes" else f"{point.median:,.4g}"


def said(points: Sequence[Point]) -> str:
    """A table of what was found at the last x."""
    last = {point.what: point for point in points}
    rows = [[what, number(point)] for what, point in last.items()]
    if points[0].family == PAGES and points[0].x == 1_000_000:
        total = last["in memory, each page once"].median
        rows.append(["target: at most", plain_bytes(TARGET)])
        rows.append(["", "**held**" if total <= TARGET else f"**MISSED**: {total / TARGET:.2f} times that"])
    return table(["what", f"at {points[-1].x:,}"], rows)


def stays(curve: Sequence[Point]) -> bool:
    """Whether what is counted over cycles stays where it is, once it has settled in the first rounds."""
    first, last = curve[len(curve) // 2], curve[-1]
    if first.unit == "bytes":
        return last.median - first.median < LEAST
    # Told in the counting itself: a list, a few numbers.
    return last.median - first.median < 0.1 * (last.x - first.x)


def cycles(points: Sequence[Point]) -> str:
    """A table of all cycles: what is counted first and last."""
    found: dict[str, dict[str, list[Point]]] = {}
    for curve in lines(points).values():
        cycle, what = curve[0].what.split(": ")
        found.setdefault(cycle, {})[what] = curve
    whats = list(next(iter(found.values())))
    rows = []
    for cycle, counted in found.items():
        cells = [f"{number(counted[what][0])} to {number(counted[what][-1])}" for what in whats]
        grown = [what for what in whats if not stays(counted[what])]
        why = f": {CAUSES[cycle]}" if cycle in CAUSES else ""
        rows.append([cycle, *cells, f"**GROWS**: {', '.join(grown)}{why}" if grown else "stays"])
    ends = points[0].x, points[-1].x
    return table([f"from {ends[0]:,} to {ends[1]:,} times", *whats, ""], rows)


def churned(points: Sequence[Point]) -> str:
    """What the bus holds along the way, in a few lines, and at the end."""
    curves = [curve for curve in lines(points).values() if len(curve) > 1]
    at = sorted({point.x for point in curves[0]})
    some = sorted({at[round(n * (len(at) - 1) / 8)] for n in range(9)})
    rows = []
    for x in some:
        found = [next((point for point in curve if point.x == x), None) for curve in curves]
        rows.append([f"{x}", *(number(point) if point else "" for point in found)])
    along = table(["turned over", *(curve[0].what for curve in curves)], rows)
    ends = [curve[0] for curve in lines(points).values() if len(curve) == 1]
    told = [[end.what, f"{end.median:,.0f}" if end.what == "steps" else number(end)] for end in ends]
    return along + "\n\n" + table(["at the end", ""], told)


def section(points: Sequence[Point], how: Mapping[str, str], folder: Path) -> str:
    """The text, and its pictures in the folder."""
    parts = ["## Memory"]
    for family in (PAGES, LARGE, CHURN, CYCLES):
        mine = [point for point in points if point.family == family]
        if not mine:
            continue
        parts.append(f"### {family[0].upper()}{family[1:]}\n\n{HEADS[family]}\n\nMeasured {how[family]}.")
        if family in (CHURN, CYCLES):
            drawn = [curve for curve in lines(mine).values() if len(curve) > 1 and curve[0].unit == "bytes"]
            over = "times all memory was handed out anew" if family == CHURN else "times repeated"
            picture(family, drawn, over, folder / f"{family}.svg")
            parts.append(f"![{family}]({folder.name}/{family}.svg)")
        parts.append({CHURN: churned, CYCLES: cycles}.get(family, said)(mine))
    return "\n\n".join(parts) if len(parts) > 1 else ""
