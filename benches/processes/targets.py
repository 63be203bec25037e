"""What state shared between processes must reach, row by row, in the words it was set."""

from peers.case import OURS
from peers.targets import NS, US, Part, Row
from processes.workloads import ADDED, AGAIN, FIRST, READERS, SCANNED, SIZES, beside, seen

ASYNC = f"{OURS}: async for update in bus.watch"


def most(what: str, workload: str, language: str, most: float, said: str, who: str = OURS) -> Part:
    """A number with an end of its own."""
    return Part(what, workload, language, said, "", most=most, who=who)


def shown(what: str, workload: str, rate: bool = False) -> Part:
    """A number that is told beside the others'."""
    return Part(what, workload, "Python", "beside it", "", rate=rate)


def _others(percentile: str) -> tuple[Part, ...]:
    return tuple(
        shown(f"{size}, {how}, {percentile}", seen(waits, size, percentile))
        for size in SIZES
        for how, waits in (("waiting", True), ("spinning", False))
        if (size, percentile) != ("8 B", "p50")
    )


def _together() -> tuple[Part, ...]:
    return tuple(
        shown(f"{name}, {'1 reader' if count == 1 else f'{count} readers'}", beside(what, count), rate=True)
        for what, name in (("write", "writes"), ("read", "reads"))
        for count in READERS
        if count or what == "write"
    )


ROWS = (
    Row(
        "change visible in another process",
        "iceoryx2 92 to 326 ns (Rust), 8 us (Python)",
        "<= 300 ns spinning in Rust; Python <= 5 us spinning, <= 15 us blocked, <= 50 us asyncio",
        (
            most("Rust, spinning", seen(False, "8 B", "p50"), "Rust", 300 * NS, "<= 300 ns"),
            most("Python, spinning", seen(False, "8 B", "p50"), "Python", 5 * US, "<= 5 us"),
            most("Python, blocked", seen(True, "8 B", "p50"), "Python", 15 * US, "<= 15 us"),
            most("Python, asyncio", seen(True, "8 B", "p50"), "Python", 50 * US, "<= 50 us", ASYNC),
            *_others("p50"),
            *_others("p99"),
        ),
    ),
    Row("4 KiB written while others read all the time", "", "beside the others'", _together()),
    Row(
        "64 MiB opened and read by another process",
        "",
        "beside the others'",
        (
            shown("its first value", FIRST),
            shown("all of it, first time", SCANNED),
            shown("all of it again", AGAIN),
            shown("memory of a reader", ADDED),
        ),
    ),
)
ABSENT = "from Rust mmsb and iceoryx2 alone are measured, with a reader that spins"
