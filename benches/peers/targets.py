"""What the core must reach, row by row, in the words it was set."""

from dataclasses import dataclass

from peers import floors
from peers.case import MACHINE, OURS
from peers.workloads import BIG_COMPARE, BIG_LOG


@dataclass(frozen=True)
class Part:
    """One number of a row: a figure of ours, and what it must be."""

    what: str
    workload: str
    language: str
    target: str
    level: str = "process"
    most: float | None = None  # seconds or bytes
    against: tuple[str, str, str, str] | None = None  # a figure, and at most so many times it
    times: float = 1.0
    rate: bool = False  # told as so many a second
    scale: float = 1.0  # of the figure, before it is told and judged
    floor: str = ""  # why no less was reached, where it was missed
    who: str = OURS


@dataclass(frozen=True)
class Row:
    """One operation: what others take, as known before; the target in its own words; its numbers."""

    operation: str
    known: str
    target: str
    parts: tuple[Part, ...]


def _limit(workload: str) -> tuple[str, str, str, str]:
    return workload, MACHINE, "", "Rust"


GIB, US, NS, MS = float(1 << 30), 1e-6, 1e-9, 1e-3

ROWS = (
    Row(
        "commit of one 256 B delta from Python, survives kill -9",
        "LMDB nosync 2.0 us, SQLite WAL 10 us, Redis over loopback",
        "<= 1.0 us in pre-faulted bursts of <= 1 M; the sustained figure beside it",
        (
            Part("burst", "commit", "Python", "<= 1.0 us", most=1.0 * US, floor=floors.PYTHON_COMMIT),
            Part("kept up", "commit kept up", "Python", "beside it"),
        ),
    ),
    Row(
        "the same from Rust",
        "redb none-durable",
        "<= 250 ns, likewise",
        (
            Part("burst", "commit", "Rust", "<= 250 ns", most=250 * NS, floor=floors.COMMIT),
            Part("kept up", "commit kept up", "Rust", "beside it"),
        ),
    ),
    Row(
        "batched deltas, one epoch, columnar call",
        "earlier sketch claims 2.2 M/s of *empty* deltas (117 to 188 k/s of 128 B real ones)",
        ">= 20 M/s of 16 B, >= 5 M/s of 128 B, log on, one thread",
        tuple(
            Part(
                f"{width} B {density}, {language}",
                f"batch {width} B {density}",
                language,
                target,
                most=most,
                rate=True,
                floor=floors.SPARSE if density != "dense" else "",
            )
            for width, target, most in ((16, ">= 20 M/s", 50 * NS), (128, ">= 5 M/s", 200 * NS))
            for density in ("dense", "10 %")
            for language in ("Python", "Rust")
        ),
    ),
    Row(
        "durable commit (power loss), one client",
        "SQLite 92 to 262 us, LMDB 138 to 375 us",
        "<= 1.3x a bare pwrite + fdatasync of the same bytes in the same run",
        (
            Part(
                "Rust",
                "commit",
                "Rust",
                "<= 1.3x",
                "disk",
                against=("commit", f"{MACHINE}: pwrite, fdatasync", "disk", "Rust"),
                times=1.3,
            ),
            Part(
                "Python",
                "commit",
                "Python",
                "<= 1.3x",
                "disk",
                against=("commit", f"{MACHINE}: os.pwrite, os.fdatasync", "disk", "Python"),
                times=1.3,
            ),
        ),
    ),
    Row(
        "the same, 16 clients, group commit",
        "the same",
        ">= 8x one client",
        tuple(
            Part(
                language,
                "64 pages, 16 threads",
                language,
                "<= 1/8 of one client's time",
                "disk",
                against=("64 pages, 1 threads", OURS, "disk", language),
                times=1 / 8,
                floor=floors.CLIENTS,
            )
            for language in ("Rust", "Python")
        ),
    ),
    Row(
        "`page.array` of a 4 KiB page, unchanged / after a change",
        "LMDB get + frombuffer 0.79 us, shared_memory, Ray get 94 us",
        "<= 100 ns / <= 450 ns",
        (
            Part("unchanged", "view unchanged", "Python", "<= 100 ns", "", most=100 * NS),
            Part(
                "after a change",
                "view changed",
                "Python",
                "<= 450 ns",
                "",
                most=450 * NS,
                floor=floors.CHANGED,
            ),
        ),
    ),
    Row(
        "snapshot open and close",
        "redb 0.66 us",
        "<= 50 ns Rust; Python <= 250 ns open and close, <= 400 ns as `with`",
        (
            Part("Rust", "snapshot", "Rust", "<= 50 ns", "", most=50 * NS, floor=floors.SNAPSHOT),
            Part(
                "Python", "snapshot", "Python", "<= 250 ns", "", most=250 * NS, floor=floors.PYTHON_SNAPSHOT
            ),
            Part(
                "Python, `with`", "with snapshot", "Python", "<= 400 ns", "", most=400 * NS, floor=floors.WITH
            ),
        ),
    ),
    Row(
        "full-page write of 64 MiB",
        "numpy copy",
        ">= 0.8x of one memcpy plus its log write",
        (
            Part(
                "Rust",
                "64 MiB written",
                "Rust",
                "<= 1.25x",
                against=_limit(BIG_LOG),
                times=1.25,
                floor=floors.WHOLE,
            ),
            Part(
                "Python",
                "64 MiB written",
                "Python",
                "<= 1.25x",
                against=_limit(BIG_LOG),
                times=1.25,
                floor=floors.WHOLE,
            ),
        ),
    ),
    Row(
        "`update_page` of 64 MiB where 0.1 % changed",
        "",
        "compare at >= 0.8x memcmp of the same run, log only what changed",
        (
            Part("Rust", "64 MiB updated", "Rust", "<= 1.25x", against=_limit(BIG_COMPARE), times=1.25),
            Part("Python", "64 MiB updated", "Python", "<= 1.25x", against=_limit(BIG_COMPARE), times=1.25),
        ),
    ),
    Row(
        "branch of a 1 GiB bus, and a first 64 B write in it",
        "copy: 200 ms",
        "<= 20 us",
        (
            Part("Rust", "branch", "Rust", "<= 20 us", "process", most=20 * US),
            Part("Python", "branch", "Python", "<= 20 us", "", most=20 * US),
        ),
    ),
    Row(
        "replay",
        "earlier sketch 240 k/s",
        ">= 10 M deltas/s of 16 B, >= 1 GB/s of payload from uncompressed segments",
        (
            Part("16 B", "replay 16 B", "Rust", ">= 10 M/s", most=100 * NS, rate=True, floor=floors.REPLAY),
            Part(
                "bytes of 1 KiB",
                "replay 1 KiB",
                "Rust",
                ">= 1 G/s",
                most=1 * NS,
                rate=True,
                scale=1 / 1024,
                floor=floors.REPLAY_LARGE,
            ),
        ),
    ),
    Row(
        "open after a crash",
        "fjall > 10 s",
        "replay budget 1 s by checkpoints",
        (Part("Rust", "opened after a crash", "Rust", "<= 1 s", most=1.0),),
    ),
    Row(
        "`bus.at(e)` anywhere in a million epochs, and one 64 KiB page read",
        "replay from zero",
        "<= 50 ms",
        (Part("Python", "past", "Python", "<= 50 ms", "", most=50 * MS, floor=floors.PAST),),
    ),
    Row(
        "one row written, then the whole 64 MiB page viewed, repeatedly",
        "copy: 13 ms",
        "<= 40 us here (one remapped piece), nothing gathered",
        (Part("Python", "row, then view", "Python", "<= 40 us", "", most=40 * US),),
    ),
    Row(
        "memory: 1 M pages of 1 KiB, by RSS",
        "earlier sketch 1.42 GiB (claimed 0.95)",
        "<= 1.15 GiB",
        (
            Part(
                "1 M pages",
                "pages in memory",
                "Python",
                "<= 1.15 GiB",
                most=1.15 * GIB,
                scale=1e6,
                floor=floors.MEMORY,
            ),
        ),
    ),
)
ABSENT = "what other processes see is measured apart, by `make bench-processes`"
