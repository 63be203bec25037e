"""The list of workloads: what each counts, and the limit of the machine that stands under it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """One workload. A figure of it is what one `per` takes: seconds, or bytes."""

    key: str
    section: str
    what: str
    per: str
    limit: str | None = None  # the key of a workload of the machine
    times: float = 1.0  # so many of them
    unit: str = "s"
    kept_up: bool = False  # one long sample
    once: bool = False  # in one round only


LIMITS = "The machine's limits"
COMMITS = "One delta a commit"
BATCHES = "Many deltas a commit"
READS = "Reading"
WHOLE = "Large pages and branches"
TIME = "Replay, and states of the past"
WORLD = "Checkpoints, long runs and real data"
MEMORY = "Memory"

COPY, TOUCH, APPEND, SYNC = (
    "memcpy of 4 KiB",
    "first touch of 4 KiB",
    "pwrite of 256 B",
    "pwrite of 256 B, fdatasync",
)
BIG_COPY, BIG_COMPARE, BIG_LOG = "memcpy of 64 MiB", "memcmp of 64 MiB", "memcpy and pwrite of 64 MiB"
CALL = "a call"

DENSITIES = {
    "dense": "4,096 rows side by side",
    "10 %": "a tenth of 65,536 rows, here and there",
    "1 %": "a hundredth of 65,536 rows, here and there",
}


def _batches() -> list[Workload]:
    return [
        Workload(
            f"batch {width} B {density}",
            BATCHES,
            f"rows of {width} B, {where}, one commit",
            "row",
            BIG_LOG,
            width / (64 << 20),
        )
        for width in (16, 32, 128, 1024)
        for density, where in DENSITIES.items()
    ] + [
        Workload(
            f"{count} threads, batch {width} B",
            BATCHES,
            f"4,096 rows of {width} B side by side a commit, {count} thread{'s' * (count > 1)}",
            "row of all threads together",
            BIG_LOG,
            width / (64 << 20),
        )
        for width in (16, 128)
        for count in (1, 2, 4)
    ]


def _threads() -> list[Workload]:
    return [
        Workload(
            f"64 pages, {count} threads",
            COMMITS,
            f"128 B to one of 64 pages of 4 KiB, {count} thread{'s' * (count > 1)}",
            "commit of all threads together",
            APPEND,
        )
        for count in (1, 2, 4, 16)
    ]


def _checkpoints() -> list[Workload]:
    made = []
    for pages in (16, 100, 100_000):
        what = f"{pages:,} pages of 4 KiB"
        times = pages / (64 << 20) * 4096
        made.append(
            Workload(
                f"checkpoint {pages}",
                WORLD,
                f"{what}, all new: written out and synced",
                "time",
                BIG_LOG,
                times,
            )
        )
        made.append(
            Workload(f"restore {pages}", WORLD, f"{what}: opened, every byte read", "time", BIG_COPY, times)
        )
    return made


_ALL = [
    *(
        Workload(key, LIMITS, key, "time")
        for key in (COPY, BIG_COPY, BIG_COMPARE, TOUCH, APPEND, SYNC, BIG_LOG)
    ),
    Workload(CALL, LIMITS, "a call from Python that does nothing", "call"),
    Workload("commit", COMMITS, "256 B to one of 16 rows of a page of 4 KiB", "commit", APPEND),
    Workload("commit kept up", COMMITS, "the same, for seconds on end", "commit", APPEND, kept_up=True),
    *_threads(),
    *_batches(),
    Workload(
        "4096 pages of 1 B",
        BATCHES,
        "one byte of each of 4,096 pages, one commit",
        "delta",
        BIG_LOG,
        1 / (64 << 20),
    ),
    Workload(
        "view unchanged", READS, "4 KiB as an array, nothing changed since the last time", "array", CALL
    ),
    Workload("view changed", READS, "4 KiB as an array, 256 B of them changed since", "array", CALL),
    Workload("snapshot", READS, "one state begun to read, and ended", "snapshot", CALL),
    Workload("with snapshot", READS, "the same as a `with` block", "snapshot", CALL),
    Workload("row, then view", READS, "256 B written, then all 64 MiB as an array", "time", APPEND),
    Workload("64 MiB written", WHOLE, "all of a page of 64 MiB, every byte new", "time", BIG_LOG),
    Workload("64 MiB updated", WHOLE, "64 MiB given, 0.1 % of it new", "time", BIG_COMPARE),
    Workload("branch", WHOLE, "a branch of a large page, 64 B written in it, dropped", "time", APPEND),
    Workload(
        "replay 16 B", TIME, "opened: deltas of 16 B in commits of 1,000", "delta", BIG_COPY, 16 / (64 << 20)
    ),
    Workload(
        "replay 1 KiB", TIME, "opened: deltas of 1 KiB in commits of 100", "delta", BIG_COPY, 1 / (64 << 10)
    ),
    Workload(
        "opened after a crash",
        TIME,
        "commits of 16 B, `kill -9`, opened, the last row read",
        "time",
        once=True,
    ),
    Workload(
        "past",
        TIME,
        "a page of 64 KiB as it was at any epoch, summed",
        "state",
        BIG_COPY,
        1 / 1024,
        once=True,
    ),
    *(
        Workload(
            f"epochs equal {many}",
            TIME,
            f"{what} of 16 B replayed from zero and compared, bit for bit",
            "epoch",
        )
        for many, what in (("1000", "1,000 commits"), ("many", "commits"))
    ),
    *_checkpoints(),
    Workload(
        "pages in memory",
        MEMORY,
        "pages of 1 KiB, resident memory of the whole process",
        "page",
        unit="B",
        once=True,
    ),
    Workload(
        "cycles",
        WORLD,
        "100 deltas a transaction; a page dropped and one made every tenth",
        "cycle",
        once=True,
    ),
    Workload("flights", WORLD, "the flights out of New York in 2013, a commit a minute", "minute", once=True),
]
WORKLOADS = {workload.key: workload for workload in _ALL}
