"""mmsb: commits, batches, views, large pages, branches."""

import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

import mmsb
from peers.case import OURS, Place, Work, case, place
from peers.data import BATCHED, ROWS, SHORT, batch, given, values
from peers.threads import Write, threaded
from peers.workloads import WORKLOADS


def opened(at: Place, level: str | None = None) -> mmsb.Bus:
    """A bus of the case's durability, given a moment for what it puts off."""
    level = level or at.level or "process"
    bus = mmsb.open() if level == "memory" else mmsb.open(at.folder / "bus", durability=level)  # type: ignore[arg-type]
    at.after.enter_context(bus)
    time.sleep(0.3)
    return bus


def filled(bus: mmsb.Bus, name: str, size: int) -> mmsb.Page:
    """A page of `size` bytes in rows of 256, none of them zero."""
    page = bus.create_page(name, shape=(size // 256, 256), dtype="uint8")
    step = (64 << 20) // 256
    for first in range(0, len(page), step):
        page[first : first + step] = 1
    return page


@case("a call", f"{OURS}: bus.read_only")
def call(at: Place) -> Work:
    bus = opened(at, "memory")

    def run(steps: range) -> None:
        for _ in steps:
            bus.read_only  # noqa: B018 - the call is what is timed

    return Work(run)


@case("a call", f"{OURS}: bus.epoch")
def epoch(at: Place) -> Work:
    bus = opened(at, "memory")

    def run(steps: range) -> None:
        for _ in steps:
            bus.epoch  # noqa: B018

    return Work(run)


@case("commit kept up", OURS, "memory", "process")
@case("commit", OURS, "memory", "process", "disk")
def commit(at: Place) -> Work:
    page = filled(opened(at), "page", 4096)

    def run(steps: range) -> None:
        for i in steps:
            page[i & 15] = ROWS[i % 251]

    return Work(run)


@threaded(OURS, "memory", "process", "disk")
def threads(at: Place) -> Any:
    bus = opened(at)
    for name in range(64):
        bus.create_page(str(name), shape=(32, 128), dtype="uint8")

    def writer() -> Write:
        pages = [bus[str(name)] for name in range(64)]

        def write(page: int, row: int, value: int) -> None:
            pages[page][row] = SHORT[value]

        return write

    return writer


def batches(workload: str) -> None:
    @case(workload, OURS, "memory", "process", "disk")
    def many(at: Place) -> Work:
        width, rows = batch(workload)
        page = opened(at).create_page("page", shape=(BATCHED, width), dtype="uint8")
        where: Any = slice(rows.start, rows.stop) if isinstance(rows, range) else rows
        data = values(width, len(rows))

        def run(steps: range) -> None:
            for i in steps:
                page[where] = data[i % 2]

        return Work(run, parts=len(rows))


for workload in WORKLOADS:
    if workload.startswith("batch "):
        batches(workload)


@case("view unchanged", OURS)
def unchanged(at: Place) -> Work:
    page = filled(opened(at), "page", 4096)

    def run(steps: range) -> None:
        for _ in steps:
            page.array  # noqa: B018

    return Work(run)


@case("view changed", OURS)
def changed(at: Place) -> Work:
    bus = opened(at)
    pages = [filled(bus, str(name), 4096) for name in range(256)]
    for page in pages:
        page.array  # noqa: B018
    values = count()

    def prepare(_: int) -> None:
        value = next(values)
        for page in pages:
            page[value % 16] = ROWS[value % 251]

    def run(_: range) -> None:
        for page in pages:
            page.array  # noqa: B018

    return Work(run, prepare, count=1, parts=len(pages))


@case("snapshot", OURS)
def snapshot(at: Place) -> Work:
    bus = opened(at)
    filled(bus, "page", 4096)

    def run(steps: range) -> None:
        for _ in steps:
            bus.snapshot().close()

    return Work(run)


@case("with snapshot", OURS)
def with_snapshot(at: Place) -> Work:
    bus = opened(at)
    filled(bus, "page", 4096)

    def run(steps: range) -> None:
        for _ in steps:
            with bus.snapshot():
                pass

    return Work(run)


@case("row, then view", OURS)
def row_then_view(at: Place) -> Work:
    page = filled(opened(at), "page", at.scale.large)

    def run(steps: range) -> None:
        for i in steps:
            page[place(i, len(page))] = ROWS[i % 251]
            page.array  # noqa: B018

    return Work(run)


@case("64 MiB written", OURS, "memory", "process")
def whole(at: Place) -> Work:
    bus, step = opened(at), count()
    page = filled(bus, "page", at.scale.large)
    data = [np.full(page.shape, value, "uint8") for value in (3, 4)]

    def shrink(_: int) -> None:
        # The log would grow by the page with every step.
        if at.level != "memory":
            bus.squash()

    return Work(lambda _: page.__setitem__(..., data[next(step) % 2]), shrink, count=1)


@case("64 MiB updated", OURS, "process")
def updated(at: Place) -> Work:
    bus, counter = opened(at), count()
    page = bus.create_page("page", size=at.scale.large)
    page[...] = 1
    state: dict[str, Any] = {}

    def prepare(_: int) -> None:
        state["given"] = given(at.scale, next(counter), page.array)

    return Work(lambda _: mmsb.update_page(bus, page.id, state["given"]), prepare, count=1)


@case("branch", OURS)
def branch(at: Place) -> Work:
    bus, names = opened(at), count()
    filled(bus, "page", at.scale.branched)

    def run(steps: range) -> None:
        for _ in steps:
            plan = bus.branch(str(next(names)))
            plan["page"][99, :64] = 7
            plan.drop()

    return Work(run)


def reads(folder: Path) -> int:
    """Opens a bus and reads every byte of every page."""
    with mmsb.open(folder) as bus:
        return sum(int(bus[name].array.sum(dtype="uint64")) for name in bus)


def checkpoints(pages: int) -> None:
    def many(at: Place) -> tuple[mmsb.Bus, list[mmsb.Page]]:
        bus = opened(at, "process")
        with bus.transaction():
            made = [
                bus.create_page(str(n), shape=(4096,), dtype="uint8") for n in range(at.scale.at_most(pages))
            ]
        return bus, made

    @case(f"checkpoint {pages}", OURS, "disk")
    def checkpoint(at: Place) -> Work:
        (bus, made), counter = many(at), count(1)

        def prepare(_: int) -> None:
            value = next(counter)
            with bus.transaction():
                for page in made:
                    page[...] = value

        def shrink(n: int) -> None:
            bus.prune()
            prepare(n)

        return Work(lambda _: bus.checkpoint(), shrink, count=1)

    @case(f"restore {pages}", OURS, "disk")
    def restore(at: Place) -> Work:
        bus, made = many(at)
        with bus.transaction():
            for page in made:
                page[...] = 1
        bus.squash()
        bus.close()
        return Work(lambda _: reads(at.folder / "bus"), count=1)


for pages in (16, 100, 100_000):
    checkpoints(pages)
