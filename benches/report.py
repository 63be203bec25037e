"""Puts the figures of `make bench` side by side: `report.py FOLDER DOCUMENT`.

The folder has one folder for each run, with criterion's results in `criterion/` and pytest-benchmark's in
`python.json`. Times are those of the run in which they were lowest, the least disturbed, on either side.
Ratios are taken inside each run; the middle one stands for all, beside the lowest and the highest. Every
figure of every run goes to a table beside the document.
"""

import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

OURS = "mmsb"
OPERATIONS = (
    "page allocation",
    "delta apply",
    "log append",
    "commit",
    "view",
    "snapshot",
    "replay",
    "checkpoint",
    "branch",
    "diff",
    "digest",
)


@dataclass(frozen=True)
class Figure:
    """One benchmark of one run: seconds for one step, the median and the middle half of the samples."""

    run: str
    language: str
    operation: str
    workload: str
    who: str
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Row:
    """What mmsb took at best, beside what something else took at best, and their ratio in each run."""

    ours: Figure
    other: Figure
    ratios: list[float]


def from_criterion(folder: Path, run: str) -> list[Figure]:
    """Criterion's figures: the median from its estimates, the middle half from its samples."""
    figures = []
    for path in sorted(folder.rglob("new/estimates.json")):
        name = json.loads((path.parent / "benchmark.json").read_text(encoding="utf-8"))
        sample = json.loads((path.parent / "sample.json").read_text(encoding="utf-8"))
        each = [time / n / 1e9 for time, n in zip(sample["times"], sample["iters"], strict=True)]
        low, _, high = statistics.quantiles(each, n=4)
        median = json.loads(path.read_text(encoding="utf-8"))["median"]["point_estimate"] / 1e9
        words = (name["group_id"], name["function_id"], name["value_str"])
        figures.append(Figure(run, "Rust", *words, low, median, high))
    return figures


def from_pytest(path: Path, run: str) -> list[Figure]:
    """The figures of pytest-benchmark."""
    figures = []
    for bench in json.loads(path.read_text(encoding="utf-8"))["benchmarks"]:
        words = (bench["group"], bench["extra_info"]["workload"], bench["extra_info"]["who"])
        stats = bench["stats"]
        figures.append(Figure(run, "Python", *words, stats["q1"], stats["median"], stats["q3"]))
    return figures


def read(folder: Path) -> list[Figure]:
    """All figures of all runs."""
    figures = []
    for run in sorted(path for path in folder.iterdir() if path.is_dir()):
        figures += from_criterion(run / "criterion", run.name)
        if (run / "python.json").exists():
            figures += from_pytest(run / "python.json", run.name)
    return figures


def best(runs: dict[str, Figure]) -> Figure:
    """The figure of the run that was disturbed least."""
    return min(runs.values(), key=lambda figure: figure.median)


def compare(figures: Iterable[Figure]) -> list[Row]:
    """Each workload beside what it is measured against, operation by operation."""
    found: dict[tuple[str, str, str], dict[str, dict[str, Figure]]] = {}
    for figure in figures:
        names = (figure.language, figure.operation, figure.workload)
        found.setdefault(names, {}).setdefault(figure.who, {})[figure.run] = figure
    rows = []
    for names, sides in found.items():
        ours = sides.pop(OURS, {})
        if not ours or not sides:
            raise ValueError(f"{' / '.join(names)}: needs mmsb and something to compare it with")
        for theirs in sides.values():
            common = [run for run in ours if run in theirs]
            ratios = [ours[run].median / theirs[run].median for run in common]
            rows.append(Row(best(ours), best(theirs), ratios))
    return sorted(rows, key=lambda row: (OPERATIONS.index(row.ours.operation), row.ours.language != "Rust"))


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    value, unit = seconds * 1e9, "ns"
    for larger in ("us", "ms", "s"):
        if value >= 999.5:
            value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"


def ratio(value: float) -> str:
    """Two digits, none of them an exponent."""
    if value < 0.01:
        return f"1/{1 / value:.0f}"
    return f"{value:.2g}" if value < 99.5 else f"{value:.0f}"


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown."""
    titles = "from operation workload median middle_half measured_against its_median ratio runs"
    heads = [title.replace("_", " ") for title in titles.split()]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        ours, other = row.ours, row.other
        cells = [
            ours.language,
            f"**{ours.operation}**",
            ours.workload,
            duration(ours.median),
            f"{duration(ours.low)} to {duration(ours.high)}",
            other.who,
            duration(other.median),
            ratio(statistics.median(row.ratios)),
            f"{ratio(min(row.ratios))} to {ratio(max(row.ratios))}",
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def said(*command: str) -> str:
    """The first line a program prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()


def processor() -> str:
    """What the processor calls itself."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name} (a virtual machine)" if any(" hypervisor" in line for line in lines) else name


def machine() -> str:
    """Where and with what it was measured."""
    import numpy as np

    import mmsb

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load, cores = os.getloadavg()[2], os.cpu_count() or 1
    busy = ": it was busy with other work too, so only the ratios compare" if load > cores else ""
    return "\n".join(
        [
            f"- {datetime.now(UTC):%Y-%m-%d}, commit {said('git', 'rev-parse', '--short', 'HEAD')}",
            f"- {processor()}, {cores} cores, {memory:.0f} GiB, Linux {platform.release()}",
            f"- load average over the last 15 minutes: {load:.1f}{busy}",
            f"- mmsb {mmsb.__version__}, {said('rustc', '--version')}, Python {platform.python_version()}, "
            f"numpy {np.__version__}, SQLite {sqlite3.sqlite_version}",
        ]
    )


def document(rows: list[Row], runs: int, where: str, raw: str) -> str:
    """The whole document."""
    return f"""# Measurements

Written by `make bench`; each figure is wall clock on one machine at one hour.

{where}
- {runs} runs; the figures of all of them are in [{raw}]({raw})

Each workload is measured beside something in the same run: a *limit*, the least that this machine takes for
such work, or a *rival*, another way to do it. The medians are those of the run in which they were lowest, and
"middle half" is the lower to the upper quartile of mmsb's samples in it. The ratio is mmsb's time over the
other's, taken inside each run: the middle one, then the lowest and the highest. Below 1 mmsb is faster.

Unless the workload says otherwise a commit is in the log and survives `kill -9`, and the rate is one that can
be kept up: the log rolls over and old versions are reclaimed meanwhile.

{table(rows)}
"""


def raw_table(figures: Iterable[Figure]) -> str:
    """Every figure, tab-separated; times in nanoseconds."""
    lines = ["run\tlanguage\toperation\tworkload\twho\tlower_quartile_ns\tmedian_ns\tupper_quartile_ns"]
    for f in figures:
        times = (f"{seconds * 1e9:.1f}" for seconds in (f.low, f.median, f.high))
        lines.append("\t".join([f.run, f.language, f.operation, f.workload, f.who, *times]))
    return "\n".join(lines) + "\n"


def main(folder: Path, to: Path) -> None:
    """Writes the document and the raw table beside it."""
    figures = read(folder)
    raw = to.with_suffix(".tsv")
    raw.write_text(raw_table(figures), encoding="utf-8")
    runs = len({figure.run for figure in figures})
    to.write_text(document(compare(figures), runs, machine(), raw.name), encoding="utf-8")
    print(to)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
