"""What the demo shows on a terminal: progress bars, the airports at noon, what follows, the closing table."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mmsb.applications.flights.following import FEW
from mmsb.applications.flights.source import moment

if TYPE_CHECKING:
    from mmsb.applications.flights.demo import Report


class Bars:
    """A progress bar for each writer."""

    def __init__(self, console: Console, total: int) -> None:
        """Bars of `total` minutes each."""
        columns = (
            TextColumn("{task.description:>28}"),
            BarColumn(40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        labels = {"writer": "minutes, writer to be killed", "undisturbed": "minutes, undisturbed"}
        self._tasks = {name: self._progress.add_task(label, total=total) for name, label in labels.items()}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, **played: int) -> None:
        """How many minutes each has played."""
        for name, count in played.items():
            self._progress.update(self._tasks[name], completed=count)


def noon_table(report: Report) -> Table:
    """The airports at noon."""
    proof = next(proof for proof in report.proofs if proof.claim.startswith("the airports at"))
    title = proof.claim.removesuffix(" are what the file says").replace("the", "The", 1)
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("airport", no_wrap=True, max_width=20, overflow="ellipsis")
    for heading in ("board", "sched", "left", "cancelled", "came", "late out", "late in"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in report.noon:
        counts = (f"{row[name]:,}" for name in ("board", "scheduled", "departed", "cancelled", "arrived"))
        leaving = f"{row['departure_delay'] / row['departed']:.1f}" if row["departed"] else ""
        arriving = f"{row['arrival_delay'] / row['arrived']:.1f}" if row["arrived"] else ""
        table.add_row(f"[bold]{row['code']}[/bold] {row['name']}", *counts, leaving, arriving)
    return table


def following_table(report: Report) -> Table:
    """What the pages that follow said, a column a moment."""
    table = Table(
        title="What follows from those: mean minutes late out, times in the air",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
    )
    table.add_column("", no_wrap=True, min_width=15)
    for said in report.following:
        table.add_column(f"{moment(said['minute']):%H:%M on %-d %B %Y}", no_wrap=True, max_width=32)
    lines = {
        "latest carriers": _latest,
        "least late": _least,
        "worst airport": _worst,
        "routes open": _open,
        "shortest ways": _ways,
    }
    for what, line in lines.items():
        table.add_row(what, *(line(said) for said in report.following))
    return table


def _late(entry: dict[str, Any]) -> str:
    name = entry["name"]
    for form in (" Inc.", " Co.", " Corporation"):
        name = name.removesuffix(form)
    return f"{entry['departure']:5.1f} {entry['code']} {name}"


def _latest(said: dict[str, Any]) -> str:
    return "\n".join(map(_late, said["carriers"][:3]))


def _least(said: dict[str, Any]) -> str:
    return "\n".join(map(_late, said["carriers"][-1:]))


def _worst(said: dict[str, Any]) -> str:
    worst = said["worst_airport"]
    return _late(worst) if worst else f"none has {FEW} departures"


def _open(said: dict[str, Any]) -> str:
    return f"{said['routes']['open']:5,} of {said['routes']['all']:,}"


def _ways(said: dict[str, Any]) -> str:
    lines = (
        f"{way['minutes'] // 60:2} h {way['minutes'] % 60:02} {'-'.join(way['stops'])}"
        for way in said["ways"]
    )
    return "\n".join(lines) or "none"


def closing_table(report: Report) -> Table:
    """Each proof with its figure, then the figures."""
    table = Table(title="What was proved", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("claim", max_width=58)
    table.add_column("figure", max_width=58)
    for proof in report.proofs:
        table.add_row(
            "[green]holds[/green]" if proof.holds else "[bold red]FAILS[/bold red]", proof.claim, proof.figure
        )
    figures = report.figures
    table.add_section()
    lines = {
        "played": ", ".join(f"{figures[name]:,} {name}" for name in ("flights", "events", "epochs")),
        "speed of one writer": f"{figures['deltas_per_second']:,.0f} deltas/s ({figures['deltas']:,} in "
        f"{figures['play_seconds']:.1f} s, beside all the others)",
        "on disk": f"{_bytes(figures['disk'])}, {figures['bytes_per_delta']:.0f} bytes a delta",
        "memory": f"{_bytes(figures['memory'])} resident at most, the flights themselves included",
        "opened again after the kill": f"{figures['reopened_seconds'] * 1e3:,.0f} ms from copied files, "
        f"{figures['taken_over_seconds'] * 1e3:,.0f} ms to go on with the bus",
        "all of this": f"{figures['seconds']:.1f} s, seed {report.seed}",
    }
    for what, figure in lines.items():
        table.add_row("", what, figure)
    return table


def _bytes(count: float) -> str:
    return f"{count / 2**20:,.1f} MiB"
