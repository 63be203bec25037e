"""The list of workloads: what each counts, and the limit of the machine that stands under it."""

from peers.workloads import LIMITS, Workload

WAITED = "Seen by a process that waits"
SPUN = "Seen by a process that spins"
TOGETHER = "Written while others read"
OPENED = "Opened and read by another process"
MEMORY = "Memory that a reader adds"

SIZES = {"8 B": 1, "4 KiB": 512, "1 MiB": 1 << 17}
"""Words of 8 B of the states that are seen."""
READERS = (0, 1, 2, 4)
SHARED, LARGE = 512, 8 << 20
"""Words of the state that is written while others read, and of the one that is opened."""
PERCENTILES = {"p50": 50, "p99": 99}
WORD_WAITED, WORD_SPUN, SUMMED = "a word seen, waiting", "a word seen, spinning", "64 MiB summed"
FIRST, SCANNED, AGAIN, ADDED = "64 MiB opened", "64 MiB scanned", "64 MiB scanned again", "memory of a reader"


def seen(waits: bool, size: str, percentile: str) -> str:
    """The name of what a change takes until it is seen."""
    return f"seen {'waiting' if waits else 'spinning'}, {size}: {percentile}"


def beside(what: str, readers: int) -> str:
    """The name of what is done while so many processes read."""
    return f"{what}, {readers} reader{'s' * (readers != 1)}"


def _seen() -> list[Workload]:
    told = {"p50": "the middle one", "p99": "99 of 100 are faster"}
    return [
        Workload(
            seen(waits, size, percentile),
            WAITED if waits else SPUN,
            f"{size} changed, seen by another process that {'waits' if waits else 'spins'}: {which}",
            "change",
            WORD_WAITED if waits else WORD_SPUN,
        )
        for waits in (True, False)
        for size in SIZES
        for percentile, which in told.items()
    ]


def _together() -> list[Workload]:
    made = []
    for count in READERS:
        while_ = f"4 KiB, all of it new, while {count} processes read" if count else "4 KiB, nobody reads"
        made.append(Workload(beside("write", count), TOGETHER, f"a write of {while_}", "write"))
        made.append(
            Workload(
                beside("processor time", count), TOGETHER, f"the writer's processor time, {while_}", "write"
            )
        )
        if count:
            what = f"a read of all of 4 KiB, {count} process{'es' * (count > 1)}, while another writes"
            made.append(Workload(beside("read", count), TOGETHER, what, "read of all processes together"))
    return made


WORKLOADS = {
    workload.key: workload
    for workload in (
        Workload(WORD_WAITED, LIMITS, "a word of shared memory, seen after a semaphore", "change"),
        Workload(WORD_SPUN, LIMITS, "a word of shared memory, looked at again and again", "change"),
        Workload(SUMMED, LIMITS, "64 MiB of a process's own memory, summed by numpy", "time"),
        *_seen(),
        *_together(),
        Workload(FIRST, OPENED, "64 MiB opened by a process that was ready to, its first value read", "time"),
        Workload(SCANNED, OPENED, "all of it summed, for the first time", "time", SUMMED),
        Workload(AGAIN, OPENED, "all of it summed once more", "time", SUMMED),
        Workload(
            ADDED,
            MEMORY,
            "memory of all processes together that came with one more that has read all of 64 MiB",
            "reader",
            unit="B",
        ),
    )
}
