"""The picture of the year: the line of epochs with its kill and its branch, and the pages day by day."""

from __future__ import annotations

import dataclasses
import importlib
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mmsb.applications.flights.events import planned
from mmsb.applications.flights.face import Bus
from mmsb.applications.flights.proofs import NEW_YORK
from mmsb.applications.flights.source import DAY, START, Flights, moment
from mmsb.applications.flights.stream import Stream
from mmsb.applications.flights.table import MISSING
from mmsb.applications.flights.whatif import CLOSED, Closure

_PAPER: Final = "#fbfaf7"
_INK: Final = "#22313f"
_FAINT: Final = "#8a949e"
_COLOURS: Final = {"EWR": "#2f6690", "JFK": "#6ba292", "LGA": "#c9bf9b"}
_LOST: Final = "#c8553d"
_KILL: Final = "#111111"
_BRANCH: Final = "#8e44ad"
_FIRST: Final = (START - datetime(1970, 1, 1)).days


@dataclasses.dataclass(frozen=True)
class Year:
    """Departures and cancellations of each New York airport, by periods of `step` minutes, from the bus."""

    step: int
    departed: NDArray[np.int64]
    cancelled: NDArray[np.int64]

    @property
    def periods(self) -> int:
        """How many there are."""
        return int(self.departed.shape[1])


def _matplotlib(module: str = "") -> Any:
    """Matplotlib, only if a picture is wanted: it is slow to load and may not be there."""
    return importlib.import_module("matplotlib" + module)


def look_back(bus: Bus, stream: Stream) -> Year:
    """Ask the bus for its state after each day (after each hour, of a stream of less than two weeks)."""
    end = int(stream.flights.day.max() + 1) * DAY
    step = DAY if end >= 14 * DAY else 60
    codes = [airport.code for airport in stream.flights.airports]
    here = [codes.index(code) for code in NEW_YORK if code in codes]
    start = stream.start(bus)
    counts = []
    for minute in range(-1, end, step):
        airports = bus.at(start + stream.number(minute))["airports"].arrays
        counts.append([airports["departed"][here], airports["cancelled"][here]])
    departed, cancelled = np.moveaxis(np.diff(np.array(counts, np.int64), axis=0), 0, 2)
    return Year(step, departed, cancelled)


def delays(flights: Flights) -> NDArray[np.float64]:
    """Mean departure delay in minutes, by hour (rows) and day (columns); NaN where nothing left."""
    left = flights.departure != MISSING
    day, hour = np.divmod(planned(flights)[left] // 60, 24)
    cell, size = hour * (int(flights.day.max()) + 1) + day, 24 * (int(flights.day.max()) + 1)
    count = np.bincount(cell, minlength=size)
    late = np.bincount(cell, weights=flights.departure_delay[left], minlength=size)
    return np.where(count > 0, late / np.maximum(count, 1), np.nan).reshape(24, -1)


@dataclasses.dataclass(frozen=True)
class Moment:
    """A mark on the line of epochs."""

    minute: int
    epoch: int


def draw(
    path: Path, flights: Flights, year: Year, line: tuple[Moment, Moment, Moment], closure: Closure
) -> None:
    """Write the PNG. `line` is what survived the kill, the noon that was looked up, and the last minute."""
    _matplotlib().use("Agg")
    dates, plt = _matplotlib(".dates"), _matplotlib(".pyplot")
    style = {
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _FAINT,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    by_day = year.step == DAY
    height = 9.4 if by_day else 7.2
    with plt.rc_context(style):
        figure, panels = plt.subplots(
            3 if by_day else 2,
            1,
            figsize=(15, height),
            sharex=True,
            height_ratios=(0.7, 2.1, 1) if by_day else (0.7, 2.1),
            facecolor=_PAPER,
        )
        figure.subplots_adjust(left=0.06, right=0.93, top=1 - 0.95 / height, bottom=0.5 / height, hspace=0.14)
        _epochs(panels[0], line, closure)
        _flown(panels[1], year, closure)
        if by_day:
            _heat(figure, panels[2], flights)
        for axes in panels[1:]:
            axes.axvline(moment(line[0].minute), color=_KILL, linewidth=1.1, linestyle=(0, (4, 2)), zorder=5)
            axes.axvline(moment(closure.day * DAY), color=_BRANCH, linewidth=1.1, zorder=5)
        below = panels[-1].xaxis
        panels[-1].set_xlim(moment(0), moment(max(year.periods * year.step, line[2].minute)))
        if by_day:
            below.set_major_locator(dates.MonthLocator())
            below.set_major_formatter(
                lambda when, _: f"{dates.num2date(when):%b}" if when < year.periods + _FIRST else ""
            )
        else:
            below.set_major_formatter(dates.DateFormatter("%-d %b\n%H:%M"))
        panels[-1].tick_params(axis="x", length=4)
        for label in panels[-1].get_xticklabels():
            label.set_ha("left" if by_day else "center")
        _title(figure, flights, year)
        figure.savefig(path, dpi=130, facecolor=_PAPER)
        plt.close(figure)


def _title(figure: Any, flights: Flights, year: Year) -> None:
    first, last = moment(0), moment(year.periods * year.step - 1)
    span = "in 2013" if year.periods == 365 else f"from {first:%-d %B} to {last:%-d %B %Y}"
    height = figure.get_figheight()
    figure.text(
        0.06, 1 - 0.55 / height, f"{len(flights):,} flights out of New York {span}", size=19, weight="bold"
    )
    told = (
        "Every minute in which something happened is one epoch; the departures are read from the bus's past."
    )
    figure.text(0.06, 1 - 0.85 / height, told, size=11, color=_FAINT)


def _epochs(axes: Any, line: tuple[Moment, Moment, Moment], closure: Closure) -> None:
    """The line of epochs: where its writer was killed, where it was looked at, where it forks."""
    kill, noon, last = line
    axes.set_facecolor(_PAPER)
    axes.set_ylim(-1.6, 1.25)
    axes.axis("off")
    axes.plot([moment(0), moment(kill.minute)], [0, 0], color=_INK, linewidth=3, solid_capstyle="butt")
    axes.plot([moment(kill.minute), moment(last.minute)], [0, 0], color=_COLOURS["EWR"], linewidth=3)
    axes.plot(moment(last.minute), 0, "o", color=_COLOURS["EWR"], markersize=7, clip_on=False)
    end = {"textcoords": "offset points", "va": "center", "clip_on": False}
    axes.annotate("epoch\n0", (moment(0), 0), xytext=(-10, 0), ha="right", **end)
    axes.annotate(f"epoch\n{last.epoch:,}", (moment(last.minute), 0), xytext=(12, 0), ha="left", **end)

    axes.plot(moment(kill.minute), 0, "X", color=_KILL, markersize=13, markeredgecolor=_PAPER, zorder=6)
    upto = f"up to {moment(kill.minute):%-d %b %H:%M}, epoch {kill.epoch:,}, all survived"
    told = f"writer killed with SIGKILL\n{upto}"
    _label(axes, kill.minute, 0.35, told, _KILL, to_left=kill.minute > last.minute / 2)
    axes.plot(moment(noon.minute), 0, "o", color=_PAPER, markeredgecolor=_INK, markersize=9, zorder=6)
    told = f"read back: {moment(noon.minute):%-d %b %H:%M}"
    _label(axes, noon.minute, -0.25, told, _INK, to_left=None)

    fork, length = closure.day * DAY, last.minute * 0.045
    bend = np.linspace(0, 1, 40)
    when = [moment(int(fork + length * part)) for part in bend]
    axes.plot(when, -0.62 * (3 * bend**2 - 2 * bend**3), color=_BRANCH, linewidth=2.5, zorder=4)
    axes.plot(when[-1], -0.62, "D", color=_BRANCH, markersize=7, zorder=6)
    axes.plot(moment(fork), 0, "o", color=_BRANCH, markersize=7, zorder=6)
    cost = f"{closure.flights:,} departures of {moment(fork):%-d %b} cancelled"
    told = f"branch “newark-closed” at epoch {closure.epoch:,}\n{cost}"
    to_left = fork > last.minute / 2
    _label(axes, fork if to_left else int(fork + length), -0.68, told, _BRANCH, to_left=to_left)


def _label(axes: Any, minute: int, height: float, text: str, colour: str, *, to_left: bool | None) -> None:
    """Text beside a mark (or, of no side, at it), above or below the line."""
    axes.annotate(
        text,
        (moment(minute), height),
        xytext=({True: -9, False: 9, None: 0}[to_left], 0),
        textcoords="offset points",
        ha={True: "right", False: "left", None: "center"}[to_left],
        va="bottom" if height > 0 else "top",
        size=9.5,
        weight="bold",
        color=colour,
        linespacing=1.35,
    )


def _flown(axes: Any, year: Year, closure: Closure) -> None:
    """Departures stacked above the line, cancellations below it, and the branch's day without Newark."""
    axes.set_facecolor(_PAPER)
    edges = [moment(period * year.step) for period in range(year.periods + 1)]
    floor = np.zeros(year.periods, np.int64)
    for code, departed in zip(NEW_YORK, year.departed, strict=True):
        axes.stairs(floor + departed, edges, baseline=floor, fill=True, color=_COLOURS[code], label=code)
        floor = floor + departed
    cancelled = year.cancelled.sum(axis=0)
    axes.stairs(-cancelled, edges, fill=True, color=_LOST, label="cancelled")
    axes.axhline(0, color=_INK, linewidth=0.8)
    axes.set_ylim(-1.15 * max(cancelled.max(), floor.max() * 0.1), floor.max() * 1.04)
    axes.set_ylabel(f"departures a {'day' if year.step == DAY else 'hour'}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    axes.grid(axis="y", color=_FAINT, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", length=0)
    if year.step == DAY:
        # What the branch has instead of that day: the same, less what Newark would have sent off.
        day = closure.day
        left = int(floor[day] - year.departed[NEW_YORK.index(CLOSED)][day])
        axes.stairs(
            [left], edges[day : day + 2], fill=True, color=_BRANCH, label=f"without {CLOSED}, in the branch"
        )
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=5,
        frameon=False,
        handlelength=1,
        handleheight=1,
        borderaxespad=0.2,
    )


def _heat(figure: Any, axes: Any, flights: Flights) -> None:
    """Mean departure delay by hour of the day and day."""
    axes.set_facecolor("#f0eee8")
    shades = ["#dfe7e3", "#e9c46a", "#e07a3f", "#9b2226", "#3d0c11"]
    colours = _matplotlib(".colors").LinearSegmentedColormap.from_list("late", shades)
    grid = delays(flights)
    edges = _FIRST + np.arange(grid.shape[1] + 1)
    image = axes.pcolormesh(edges, np.arange(25), grid, cmap=colours, vmin=0, vmax=90, rasterized=True)
    axes.set_ylim(24, 5)
    axes.set_yticks([6, 12, 18, 24], ["06:00", "noon", "18:00", "24:00"])
    axes.set_ylabel("hour of departure")
    place = axes.get_position()
    bar = figure.colorbar(image, cax=figure.add_axes((0.94, place.y0, 0.009, place.height)), extend="max")
    bar.outline.set_visible(False)
    bar.set_label("mean delay, minutes")
