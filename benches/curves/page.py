"""The page: a picture and a table for each family, with how each line grows."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from curves import footprint
from curves.expected import ALLOWED, EXPECTED, TOPS, judged, verdict
from curves.plots import picture, plain_bytes, said
from curves.points import Point, exponent, lines, written
from curves.tables import table
from report import processor
from report import said as told

BUSY = 1.0
"""The load from which on others disturb what is measured."""

METHOD = """Each point is measured in a process of its own, on a new bus with a path, at the default
durability: a commit survives `kill -9`. A figure is the median of its samples. Sizes "in use"
are counted by the bus; "resident" is what the process has in anonymous and shared memory, each
page once, and fresh memory that is kept ready (up to 32 MiB) is in it. The exponent is that of
the upper half of x, where both axes are logarithmic, 0 being flat and 1 linear: the median of
the slopes between all pairs of points (Theil and Sen). How a line should grow is in
`benches/curves/expected.py`. Most of that was written before the first run. What was set after
it, seeing its figures: that linear may be 1.3, for what outgrows the caches, and no more 1.1;
and that three lines over epochs are judged only "beyond" an x, where checkpoints should bound
them, by the few points there. So those are descriptions, not predictions that held; with
exponents of at most {allowed} it is as expected, and so is what grows by less than half over
that range. Times of "log" lines grow with the depth of a tree, and because above the caches
memory is slower."""


def machine() -> str:
    """What it is measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}"


def run(scale: str) -> str:
    """When and how a family is measured, said before it is."""
    load = os.getloadavg()[0]
    commit = told("git", "rev-parse", "--short", "HEAD")
    text = f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}, {machine()}, load before {load:.1f}"
    if load > BUSY:
        text += ": **busy with other work, times may be several times too long**"
    if scale == "quick":
        text += "; **a quick run, which only shows that it works: no figure to quote**"
    return text


def rows_of(family: str, curves: Sequence[Sequence[Point]]) -> list[list[str]]:
    """A row for each line."""
    rows = []
    for curve in curves:
        first, last = curve[0], curve[-1]
        kind, said_so = verdict(family, curve)
        ends = [said(point.median, point.unit) for point in (first, last)]
        if last.x < max(other[-1].x for other in curves):
            ends[1] += f" (at {last.x:,})"
        rows.append([first.what, *ends, f"{exponent(judged(family, curve)):.2f}", kind, said_so])
    return rows


def section(family: str, curves: Sequence[Sequence[Point]], folder: str, how: str) -> str:
    """The part of the page about one family."""
    top, unit = TOPS[family]
    first, last = curves[0][0].x, max(curve[-1].x for curve in curves)
    ends = [plain_bytes(x) if unit == "B" else f"{x:,}" for x in (first, last)]
    heads = ["what", f"at {ends[0]}", f"at {ends[1]}", "exponent", "should be", ""]
    text = f"## {family[0].upper()}{family[1:]}\n\n![{family}]({folder}/{family.replace(' ', '-')}.svg)\n\n"
    text += f"Measured {how}.\n\n"
    text += table(heads, rows_of(family, curves))
    asked = plain_bytes(top) if unit == "B" else f"{top:,} {unit}"
    if last < top:
        return f"{text}\n\nThis run ends below {asked}."
    if any(curve[-1].x < last for curve in curves):
        text += "\n\nWhere a line ends earlier, setting it up beyond would take minutes."
    return text


def families(points: Iterable[Point]) -> dict[str, list[list[Point]]]:
    """The lines of each family, in the order of what is expected of them."""
    found = lines(points)
    return {
        family: [found[family, what] for what in whats if (family, what) in found]
        for family, whats in EXPECTED.items()
        if any(key[0] == family for key in found)
    }


def grown(points: Iterable[Point]) -> list[str]:
    """What grows and should not."""
    lines_of = families(points)
    told_so = [
        (f"{family}: {curve[0].what}", verdict(family, curve)[1])
        for family, curves in lines_of.items()
        for curve in curves
    ]
    return [f"{what}: {said_so}" for what, said_so in told_so if said_so != "as expected"]


def write(to: Path, points: list[Point], how: Mapping[str, str]) -> None:
    """The page, its pictures in a folder beside it, and the figures."""
    folder = to.with_suffix("")
    folder.mkdir(exist_ok=True, parents=True)
    allowed = ", ".join(f"{most} ({kind})" for kind, most in ALLOWED.items())
    grows = grown(points)
    summary = "\n".join(["What grows and should not:\n", *(f"- {line}" for line in grows)])
    parts = [
        f"# How it scales\n\nWritten by `make curves`. All figures: [{to.stem}.tsv]({to.stem}.tsv).",
        METHOD.format(allowed=allowed),
        summary if grows else "Nothing grows that should not.",
    ]
    for family, curves in families(points).items():
        picture(family, curves, TOPS[family][1], folder / f"{family.replace(' ', '-')}.svg")
        parts.append(section(family, curves, folder.name, how[family]))
    memory = footprint.section(points, how, folder)
    parts += [memory] if memory else []
    to.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    to.with_suffix(".tsv").write_text(written(points, how), encoding="utf-8")
