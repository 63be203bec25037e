"""The curves of a family as a picture, both axes logarithmic: times, and bytes below them."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from curves.points import Point
from report import duration


def plain_bytes(value: float) -> str:
    """Bytes as a person says them."""
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} GiB"


def said(value: float, unit: str) -> str:
    """A figure as a person says it."""
    return duration(value / 1e9) if unit == "ns" else plain_bytes(value)


def draw(axes: Axes, curves: Sequence[Sequence[Point]], unit: str, over: str) -> None:
    """Lines over x; the band around each is the middle half of its samples."""
    for curve in curves:
        x = [point.x for point in curve]
        (line,) = axes.plot(
            x, [point.median for point in curve], marker="o", ms=3, lw=1.2, label=curve[0].what
        )
        low, high = [point.low for point in curve], [point.high for point in curve]
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15, lw=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: said(value, unit))
    axes.minorticks_off()
    axes.set_xlabel(over)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)


def picture(title: str, curves: Sequence[Sequence[Point]], over: str, to: Path) -> None:
    """A picture of all lines of a family."""
    plt.rcParams.update({"svg.hashsalt": "mmsb", "font.size": 8, "svg.fonttype": "none"})
    units = [unit for unit in ("ns", "bytes") if any(curve[0].unit == unit for curve in curves)]
    figure, rows = plt.subplots(len(units), figsize=(9, 3.4 * len(units)), squeeze=False)
    for axes, unit in zip(rows[:, 0], units, strict=True):
        draw(axes, [curve for curve in curves if curve[0].unit == unit], unit, over)
    rows[0, 0].set_title(title, loc="left", weight="bold")
    figure.tight_layout()
    figure.savefig(to, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    plt.close(figure)
