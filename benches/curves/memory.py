"""Where the memory of a process goes, by what is mapped, and whether it comes back.

`python -m curves.memory PART SCALE`, in a process of its own for each part, prints points as the curves do.
"""

import gc
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from curves.points import Point

PAGES = "memory of many pages of 1 KiB"
LARGE = "memory of a page of 64 MiB"
CYCLES = "cycles"


@dataclass(frozen=True)
class Mapping:
    """A mapping of this process: of what, bytes present in it, and these divided by who shares them."""

    path: str
    rss: int
    pss: int


def mappings(smaps: str) -> Iterator[Mapping]:
    """The mappings that the kernel tells of."""
    path, rss = "", 0
    for line in smaps.splitlines():
        words = line.split(None, 5)
        if not words[0].endswith(":"):
            path = words[5] if len(words) > 5 else ""
        elif words[0] == "Rss:":
            rss = int(words[1]) * 1024
        elif words[0] == "Pss:":
            yield Mapping(path, rss, int(words[1]) * 1024)


def part(path: str, folder: str) -> str:
    """What a mapping is of."""
    if "/span-" in path or "memfd:mmsb" in path:
        return "arena"
    if path.startswith(folder):
        return "maps of the log"
    if not path or path.startswith(("[heap]", "[anon", "[stack", "/dev/zero")):
        return "heap of Python and of the core"
    return "programs and libraries"


def parts(folder: str) -> dict[str, int]:
    """Bytes present in memory by part, each page once; the arena as it is counted for RSS too."""
    found: dict[str, int] = {}
    for mapping in mappings(Path("/proc/self/smaps").read_text(encoding="utf-8")):
        name = part(mapping.path, folder)
        found[name] = found.get(name, 0) + mapping.pss
        # The kernel counts a page for each mapping of it, and the arena is mapped twice.
        found["RSS, as the kernel counts it"] = found.get("RSS, as the kernel counts it", 0) + mapping.rss
    found["in memory, each page once"] = sum(v for k, v in found.items() if not k.startswith("RSS"))
    return found


class Told:
    """Prints what is found of one family."""

    def __init__(self, family: str) -> None:
        self.family = family

    def __call__(self, x: int, what: str, value: float, unit: str = "bytes") -> None:
        """Prints a figure."""
        print(Point(self.family, x, what, unit, value, value, value, 1).line(), flush=True)

    def parts(self, x: int, folder: str, before: dict[str, int]) -> None:
        """The parts, less what there was before."""
        for name, value in sorted(parts(folder).items()):
            self(x, name, max(value - before.get(name, 0), 0))


def many_pages(pages: int) -> None:
    """Pages of 1 KiB, every byte written."""
    with tempfile.TemporaryDirectory() as folder:
        import numpy as np

        import mmsb

        told, before = Told(PAGES), parts(folder)
        data = np.full(1024, 7, "uint8")
        bus = mmsb.open(Path(folder) / "bus")
        for first in range(0, pages, 1000):
            with bus.transaction():
                for n in range(first, min(first + 1000, pages)):
                    bus.create_page(str(n), data=data)
        told(pages, "bytes of the pages", 1024 * pages)
        told.parts(pages, folder, before)
        told(pages, "arena taken from the machine", bus.stats()["memory_bytes"])
        # Written by the arena, read by nobody: the second mapping is empty until then.
        for n in range(0, pages, 4):
            bus[str(n)].array[0]
        told(pages, "RSS after a quarter of them were viewed", parts(folder)["RSS, as the kernel counts it"])
        blocks = sys.getallocatedblocks()
        held = [bus[str(n)] for n in range(min(pages, 1000))]
        per = (sys.getallocatedblocks() - blocks) / len(held)
        told(pages, "Python's blocks for a page that is held", per, "count")
        bus.close()
        del held, bus
        gc.collect()
        told(pages, "RSS when it is closed", parts(folder)["RSS, as the kernel counts it"])


def large_page(size: int) -> None:
    """A page of float64 that is written whole, changed and viewed."""
    with tempfile.TemporaryDirectory() as folder:
        import numpy as np

        import mmsb

        told, data = Told(LARGE), np.ones(size // 8)
        before = parts(folder)
        with mmsb.open(Path(folder) / "bus") as bus:
            page = bus.create_page("page", data=data)
            told(size, "bytes of the page", size)
            told.parts(size, folder, before)
            for n in range(1000):
                page[n * 8 : n * 8 + 8] = 2.0
                page.array[0]
            float(page.array.sum())
            told(size, "RSS after 1000 changes, each viewed", parts(folder)["RSS, as the kernel counts it"])


def cycles(folder: Path) -> dict[str, Callable[[int], object]]:
    """What is done over and over."""
    import mmsb

    bus = mmsb.open(folder / "kept")
    page = bus.create_page("page", shape=(4096,), dtype="uint8")
    memory = mmsb.open()
    other = memory.create_page("page", shape=(100_000,), dtype="f8")

    def reopen(n: int) -> None:
        with mmsb.open(folder / "reopened") as again:
            if "page" not in again:
                again.create_page("page", shape=(64,), dtype="uint8")
            again["page"][0] = n % 256

    def snapshot(n: int) -> None:
        page[n % 4096] = n % 256
        with bus.snapshot() as past:
            past["page"].array[0]

    def array(n: int) -> None:
        other[n % 100_000] = n
        other.array[0]

    def transaction(n: int) -> None:
        with bus.transaction():
            page[0:64] = n % 256

    def undone(n: int) -> None:
        try:
            with bus.transaction():
                page[0:64] = n % 256
                bus.create_page("never", data=page.array)
                raise KeyError(n)
        except KeyError:
            pass

    def branch(n: int) -> None:
        fork = bus.branch(f"fork {n}")
        fork["page"][0:64] = n % 256
        fork.drop()

    def made(n: int) -> None:
        bus.create_page("passing", data=page.array)
        bus.drop_page("passing")

    steps: list[Callable[[int], object]] = [reopen, snapshot, array, transaction, undone, branch, made]
    return {step.__name__: step for step in steps}


def leaks(rounds: int, each: int) -> None:
    """Repeats each cycle and counts Python's objects and blocks, and the memory of the process."""
    told = Told(CYCLES)
    with tempfile.TemporaryDirectory() as folder:
        for name, step in cycles(Path(folder)).items():
            for done in range(rounds):
                for n in range(done * each, (done + 1) * each):
                    step(n)
                gc.collect()
                x, found = (done + 1) * each, parts(folder)
                told(x, f"{name}: heap", found["heap of Python and of the core"])
                told(x, f"{name}: arena", found["arena"])
                told(x, f"{name}: blocks of Python", sys.getallocatedblocks(), "count")
                told(x, f"{name}: objects of Python", len(gc.get_objects()), "count")
                told(x, f"{name}: open files", len(list(Path("/proc/self/fd").iterdir())), "count")


PARTS: dict[str, Callable[[bool], None]] = {
    PAGES: lambda quick: many_pages(20_000 if quick else 1_000_000),
    LARGE: lambda quick: large_page((4 if quick else 64) << 20),
    CYCLES: lambda quick: leaks(5, 40 if quick else 400),
}

if __name__ == "__main__":
    PARTS[sys.argv[1]](sys.argv[2] == "quick")
