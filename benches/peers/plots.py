"""The figures as bars on a logarithmic scale, a picture a section."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from peers.case import MACHINE, OURS
from peers.figure import Figure
from peers.verdicts import told
from peers.workloads import DENSITIES, Workload

plt.rc("svg", hashsalt="mmsb", fonttype="none")
plt.rc("font", size=8)
COLOURS = {"ours": "#c2410c", "machine": "#9ca3af", "rival": "#1d4ed8"}


def colour(who: str) -> str:
    """Of mmsb, of the machine, of a rival."""
    kind = "ours" if who.startswith(OURS) else "machine" if who.startswith(MACHINE) else "rival"
    return COLOURS[kind]


def ladder(figures: list[Figure], to: Path) -> None:
    """What a row of a batch costs by its width, for everybody at the level that survives kill -9."""
    picture, both = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    for axes, density in zip(both, ("dense", "10 %"), strict=True):
        lines: dict[str, dict[int, float]] = {}
        for figure in figures:
            words = figure.workload.split(maxsplit=3)
            if words[0] == "batch" and words[3] == density and figure.level == "process":
                lines.setdefault(f"{figure.who} ({figure.language})", {})[int(words[1])] = figure.median
        for number, (who, points) in enumerate(lines.items()):
            width = 2.5 if who.startswith(OURS) else 1.0
            axes.loglog(
                *zip(*sorted(points.items()), strict=True), "o-", color=f"C{number}", label=who, lw=width
            )
        axes.set_title(f"rows {DENSITIES[density].removeprefix('4,096 rows ')}", loc="left")
        axes.set_xlabel("bytes of a row")
        axes.spines[["top", "right"]].set_visible(False)
    both[0].set_ylabel("seconds for a row")
    both[1].legend(frameon=False, bbox_to_anchor=(1.0, 1.0))
    picture.savefig(to, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    plt.close(picture)


def bars(
    workloads: list[tuple[Workload, list[Figure]]], limits: dict[str, float], title: str, to: Path
) -> None:
    """Bars of all figures; the whisker is the middle half, the dashed line the machine's limit."""
    lines = sum(len(figures) + 1.6 for _, figures in workloads)
    picture, axes = plt.subplots(figsize=(9, 0.6 + 0.17 * lines))
    at, ticks, names = 0.0, [], []
    for workload, figures in workloads:
        at -= 1.3
        axes.text(0.0, at, workload.what, transform=axes.get_yaxis_transform(), va="center", weight="bold")
        for figure in sorted(figures, key=lambda figure: figure.median):
            at -= 1
            low, high = figure.middle_half
            axes.barh(at, figure.median, color=colour(figure.who), height=0.75)
            axes.plot([low, high], [at, at], color="black", linewidth=0.8)
            axes.text(max(high, figure.median) * 1.08, at, told(figure, workload.unit), va="center")
            ticks.append(at)
            level = f", {figure.level}" if figure.level else ""
            names.append(f"{figure.who} ({figure.language}{level})")
        if workload.key in limits:
            span = (at - 0.5, at + len(figures) - 0.5)
            axes.plot([limits[workload.key]] * 2, span, "--", color="#15803d", linewidth=1)
        at -= 0.3
    axes.set_xscale("log")
    axes.set_yticks(ticks, names)
    axes.set_ylim(at - 0.5, 0)
    axes.set_xlim(right=axes.get_xlim()[1] * 6)
    axes.set_title(title, loc="left", weight="bold")
    unit = workloads[0][0].unit
    axes.set_xlabel("seconds for one, logarithmic: shorter is better" if unit == "s" else "bytes for one")
    axes.spines[["top", "right"]].set_visible(False)
    picture.savefig(to, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    plt.close(picture)
