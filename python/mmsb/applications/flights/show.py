"""What the demo shows on a terminal: progress bars, the airports at noon, the closing table."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

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
    for heading in ("board", "sched", "left", "lost", "came", "late out", "late in"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in report.noon:
        counts = (f"{row[name]:,}" for name in ("board", "scheduled", "departed", "cancelled", "arrived"))
        leaving = f"{row['departure_delay'] / row['departed']:.1f}" if row["departed"] else ""
        arriving = f"{row['arrival_delay'] / row['arrived']:.1f}" if row["arrived"] else ""
        table.add_row(f"[bold]{row['code']}[/bold] {row['name']}", *counts, leaving, arriving)
    return table


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
        f"{figures['play_seconds']:.1f} s, beside another writer)",
        "on disk": f"{_bytes(figures['disk'])}, {figures['bytes_per_delta']:.0f} bytes a delta",
        "memory": f"{_bytes(figures['memory'])} resident at most, the flights themselves included",
        "opened again after the kill": f"{figures['reopened_seconds'] * 1e3:,.0f} ms",
        "all of this": f"{figures['seconds']:.1f} s, seed {report.seed}",
    }
    for what, figure in lines.items():
        table.add_row("", what, figure)
    return table


def _bytes(count: float) -> str:
    return f"{count / 2**20:,.1f} MiB"
