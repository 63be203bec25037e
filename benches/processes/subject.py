"""What the page of state shared between processes is about."""

from collections.abc import Mapping

from peers.case import Scale
from peers.subject import Subject
from processes.seen import series_of
from processes.state import counted
from processes.targets import ABSENT, ROWS
from processes.together import slices_of
from processes.workloads import ADDED, FIRST, SIZES, WORKLOADS, beside, seen

PROMISES = {
    "mmsb": "a bus on disk; each change is an epoch, in the mapped log before it is seen; survives kill -9. "
    "Readers have the bus open to read and take `page.array`: the bus's own memory, which stays as it is. "
    "They wait by `bus.wait`, or by a watch, which also finds out what changed, in a loop or in asyncio",
    "iceoryx2": "samples of shared memory, lent to all who have subscribed. Who comes late is sent the "
    "newest one by the publisher, which must look for them. An event beside them wakes. Survives nothing",
    "iceoryx2: blackboard": "one value in two cells; who reads it gets a copy. It wakes nobody",
    "LMDB": "MDB_NOSYNC and MDB_WRITEMAP: a transaction in the mapped file; survives kill -9. Readers look "
    "in a transaction. It wakes nobody: who waits does so at a `multiprocessing.Condition` beside it",
    "shared_memory: a Lock": "written in place; readers look while they have the lock, which is a "
    "`multiprocessing.Condition`'s where they wait. Survives nothing",
    "the machine: shared_memory, no lock": "the same with nothing around it: what is seen may be torn",
    "Redis": "over loopback TCP, no save, no append-only file. Who looks gets the value; who waits has "
    "subscribed, and is sent it, by the request that sets it too. Survives nothing",
    "Ray": "objects in shared memory that never change. An actor, which is a process, keeps the newest one's "
    "reference and gives it to those who ask, at once or when there is another. Survives nothing",
}
SEEN = (
    "From the moment before the change is made until its first word has been read in the other process, both "
    "by CLOCK_MONOTONIC. The next change is made when the reader has looked at all of this one and {}. "
    "Nobody is pinned to a core. A sample is a percentile of one series of changes."
)
NOTES = {
    seen(True, "8 B", "p50"): SEEN.format("sleeps again"),
    seen(False, "8 B", "p50"): SEEN.format("spins again; the writer rests by spinning, too"),
    beside("read", 1): "A read is one of all 512 words, which are compared: they must be of one state.",
    FIRST: "The process has everything imported. A connection, where there is one, is a part of opening.",
    ADDED: "The sum over all processes, servers too, of Pss in /proc/PID/smaps_rollup, after less before: "
    "what several have counts once. Who adds far less than 64 MiB has copied nothing; 1 B is no growth.",
}


def sizes(scale: Scale) -> Mapping[str, object]:
    """How much there is of what is measured."""
    made = {
        f"changes of {name} a sample": series_of(scale, words, True).changes for name, words in SIZES.items()
    }
    return made | {"seconds a sample of what is read all the time": slices_of(scale, 1).seconds}


PROCESSES = Subject(
    name="processes",
    command="bench-processes",
    title="State shared between processes, beside its rivals",
    opening="a state that one process writes and others see, by mmsb and in other ways, in one run",
    same="with the same processes and the same state",
    workloads=tuple(WORKLOADS.values()),
    rows=ROWS,
    absent=ABSENT,
    rivals=tuple(
        f"processes.rivals.{name}"
        for name in (
            "ours",
            "machine",
            "with_iceoryx2",
            "with_shared",
            "with_lmdb",
            "with_redis",
            "with_ray",
        )
    ),
    promises=PROMISES,
    sizes=sizes,
    promised="How each shares it",
    a_promise="how",
    crates=("iceoryx2",),
    packages=("iceoryx2", "lmdb", "redis", "hiredis", "redis-server", "ray"),
    notes=NOTES,
    counted=counted,
)
