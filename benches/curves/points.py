"""What was measured, as lines of a table, and the slope of a line."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

HEAD = "family\tx\twhat\tunit\tmedian\tlow\thigh\tsamples"


@dataclass(frozen=True)
class Point:
    """One figure: nanoseconds or bytes, the median and the middle half of its samples."""

    family: str
    x: int
    what: str
    unit: str
    median: float
    low: float
    high: float
    samples: int

    def line(self) -> str:
        """As it is written."""
        numbers = "\t".join(f"{number:.1f}" for number in (self.median, self.low, self.high))
        return f"{self.family}\t{self.x}\t{self.what}\t{self.unit}\t{numbers}\t{self.samples}"


def parse(text: str) -> list[Point]:
    """The points of a table, with or without its heads."""
    points = []
    for line in text.splitlines():
        if line and line != HEAD and not line.startswith("# "):
            family, x, what, unit, median, low, high, samples = line.split("\t")
            numbers = (float(median), float(low), float(high))
            points.append(Point(family, int(x), what, unit, *numbers, int(samples)))
    return points


def written(points: Iterable[Point], runs: Mapping[str, str]) -> str:
    """The table of points, below a line for each family that says how it was measured."""
    about = [f"# {family}\t{run}" for family, run in runs.items()]
    return "\n".join([*about, HEAD, *(point.line() for point in points)]) + "\n"


def runs(text: str) -> dict[str, str]:
    """How each family of a table was measured."""
    return dict(line[2:].split("\t", 1) for line in text.splitlines() if line.startswith("# "))


def lines(points: Iterable[Point]) -> dict[tuple[str, str], list[Point]]:
    """The points of each line, by family and what, along x."""
    found: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        found.setdefault((point.family, point.what), []).append(point)
    return {key: sorted(line, key=lambda point: point.x) for key, line in found.items()}


def upper(line: Sequence[Point]) -> Sequence[Point]:
    """The points in the upper half of x, by its logarithm: what is small hides under what is fixed."""
    middle = math.sqrt(line[0].x * line[-1].x)
    half = [point for point in line if point.x >= middle]
    # One point has no slope, and two have whatever slope they happen to have.
    return half if len(half) >= 3 else line


def exponent(line: Sequence[Point]) -> float:
    """The slope of the upper half of a line where both axes are logarithmic: 0 is flat, 1 linear.

    It is the median of the slopes between all pairs of points (Theil and Sen), which one disturbed point
    does not move.
    """
    pairs = combinations(upper(line), 2)
    slopes = [
        math.log(max(b.median, 0.1) / max(a.median, 0.1)) / math.log(b.x / a.x) for a, b in pairs if b.x > a.x
    ]
    return statistics.median(slopes) if slopes else 0.0


def growth(line: Sequence[Point]) -> float:
    """How many times more the last point of a line is than the first of its upper half, by its slope."""
    half = upper(line)
    return float((half[-1].x / half[0].x) ** exponent(line))
