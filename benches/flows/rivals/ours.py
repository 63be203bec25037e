"""mmsb: chains and fans, sums, one write to its end, many pages declared."""

import time
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mmsb
from flows import sums
from flows.declared import INPUTS, SOURCES, declared, inputs
from flows.nets import Node, Read, Write, kept
from flows.sinks import ROWS as SINK_ROWS
from flows.sinks import Step, sunk
from flows.workloads import FAN, FAN_CALLS, LEVELS, LINE, LINE_CALLS, WIDE, level
from peers.case import OURS, Place, Work, case


def opened(at: Place) -> mmsb.Bus:
    """A bus in memory: no files, its log forgotten beyond a budget. That is what "log off" means here."""
    bus = mmsb.open()
    at.after.enter_context(bus)
    return bus


def add(plus: float, count: int) -> Any:
    """A function of so many arrays."""
    if count == 1:
        return lambda a: a + plus
    return lambda a, b: a + b


def expression(of: list[mmsb.Page], plus: float) -> Any:
    """The same as a built-in rule."""
    sum_ = reduce(lambda a, b: a + b, [mmsb.col(page) for page in of])
    return sum_ + plus if len(of) == 1 else sum_


def small(shape: tuple[int, ...], functions: bool) -> Any:
    """Builds a graph of small pages."""

    def make(at: Place, nodes: list[Node]) -> tuple[Write, Read]:
        bus = opened(at)
        pages = [bus.create_page("0", shape=shape, dtype="float64")]
        with bus.transaction():
            for name, (numbers, plus) in enumerate(nodes, 1):
                of = [pages[number] for number in numbers]
                if functions:
                    rule = add(plus, len(of))
                    page = bus.derive(str(name), rule, inputs=of, shape=shape, dtype="float64")
                else:
                    page = bus.derive(str(name), expression(of, plus))
                pages.append(page)
        source, last = pages[0], pages[-1]

        def write(value: float) -> None:
            source[...] = value

        return write, lambda: float(last.array.flat[-1])

    return make


kept(LINE, OURS, small((), False))
kept(FAN, OURS, small((), False))
for workload in (LINE_CALLS, FAN_CALLS):
    kept(workload, f"{OURS}: scalars", small((), True))
    kept(workload, OURS, small((8,), True))


def levels(size: str, cells: int, who: str, threads: int) -> None:
    """Adds a level of pages made by so many threads."""

    @case(level(size), who, "memory")
    def run(at: Place) -> Work:
        bus = mmsb.open(threads=threads)
        at.after.enter_context(bus)
        source = bus.create_page("source", shape=(cells,), dtype="float64")
        made = [bus.derive(str(i), np.exp(mmsb.col(source)) + i) for i in range(WIDE)]
        given = [np.random.default_rng(seed).random(cells) for seed in range(2)]

        def run(steps: range) -> None:
            for step in steps:
                source[:] = given[step % 2]

        run(range(1))
        if not all(np.allclose(page.array, np.exp(given[0]) + i) for i, page in enumerate(made)):
            raise AssertionError(f"a level of {size} pages is not what numpy says")
        at.checks.append("levels: what comes out is what numpy says, with one thread and with two")
        return Work(run)


for size, cells in LEVELS.items():
    levels(size, cells, OURS, 2)
    levels(size, cells, f"{OURS}: one thread", 1)


def merged(at: Place) -> Any:
    page = opened(at).create_page("sums", shape=(sums.KEYS,), dtype="int64")
    keys, numbers = sums.rows()

    def again() -> NDArray[np.int64]:
        before = page.array.copy()
        page.merge(numbers, rows=keys, op="add")
        found: NDArray[np.int64] = page.array - before
        return found

    return again, lambda: None


def by_rule(at: Place) -> Any:
    bus, (keys, numbers) = opened(at), sums.rows()
    table = bus.create_page("rows", rows=sums.ROWS, columns={"key": "int64", "number": "int64"})
    made = bus.derive("sums", mmsb.reduce(table["number"], "sum", by=table["key"], groups=sums.KEYS))

    def again() -> NDArray[np.int64]:
        table.assign({"key": keys, "number": numbers})
        return np.asarray(made.array)

    def before() -> None:
        # What is there already would cost nothing.
        table.assign({"key": np.full(sums.ROWS, -1), "number": np.zeros(sums.ROWS, "int64")})

    return again, before


sums.accumulated(OURS, merged)
sums.accumulated(f"{OURS}: rows written, a rule keeps the sums", by_rule)


def summed(at: Place) -> Any:
    bus = opened(at)
    page = bus.create_page("cells", shape=(sums.CELLS,), dtype="float64")
    page[:] = sums.cells()
    made = bus.derive("sum", mmsb.reduce(page, "sum"))

    def exact() -> None:
        anew = bus.derive("anew", mmsb.reduce(page, "sum"))
        if anew.array.tobytes() != made.array.tobytes():
            raise AssertionError("the sum that was kept has other bits than one made from nothing")

    at.after.callback(exact)
    at.checks.append("reduce 1 M, Python: the sum that was kept has the bits of one made from nothing")

    def write(row: int, value: float) -> float:
        page[row] = value
        return float(made.array)

    return write


sums.reduced(OURS, summed)


def table(at: Place) -> tuple[mmsb.Bus, mmsb.Page, mmsb.Page]:
    bus = opened(at)
    page = bus.create_page("rows", shape=(SINK_ROWS,), dtype="int64")
    return bus, page, bus.derive("sum", mmsb.reduce(page, "sum"))


def watched(at: Place) -> Step:
    bus, page, made = table(at)
    watch = at.after.enter_context(bus.watch("sum"))

    def step(row: int, value: int) -> int:
        page[row] = value
        if watch.next(timeout=10.0) is None:
            raise AssertionError("nothing came")
        return int(made.array)

    return step


def called(at: Place) -> Step:
    bus, page, made = table(at)
    seen = [0]

    def sink(total: NDArray[np.int64]) -> NDArray[np.int64]:
        seen[0] = int(total)
        return total

    bus.derive("sink", sink, inputs=[made], shape=(), dtype="int64")

    def step(row: int, value: int) -> int:
        page[row] = value
        return seen[0]

    return step


sunk(OURS, watched)
sunk(f"{OURS}: a function that follows", called)


def pages(functions: bool) -> Any:
    def make(at: Place, count: int) -> tuple[float, float]:
        bus = opened(at)
        with bus.transaction():
            made = [bus.create_page(str(i), shape=(), dtype="int64") for i in range(SOURCES)]
            for page in made:
                page[...] = 1
        names = [str(i) for i in range(SOURCES + count)]
        start = time.perf_counter()
        with bus.transaction():
            for i in range(SOURCES, SOURCES + count):
                a, b, c = (made[k] for k in inputs(i))
                if functions:
                    page = bus.derive(names[i], adds, inputs=(a, b, c), shape=(), dtype="int64")
                else:
                    page = bus.derive(names[i], mmsb.col(a) + mmsb.col(b) + mmsb.col(c))
                made.append(page)
        return time.perf_counter() - start, int(made[-1].array)

    assert INPUTS == 3
    return make


def adds(a: NDArray[np.int64], b: NDArray[np.int64], c: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of three."""
    return a + b + c


declared(OURS, pages(False))
declared(f"{OURS}: functions", pages(True))
