"""What propagation must reach, row by row, in the words it was set."""

from flows import floors
from flows import workloads as of
from peers.case import OURS
from peers.targets import MS, NS, US, Part, Row

MEMORY = "memory"
LARGE = f"{OURS}: pages of 64 B"
EXPRESSIONS = f"{OURS}: expressions"
SCALARS = f"{OURS}: scalars"
CALLED = f"{OURS}: a call"
GRAPHBLAS = "python-graphblas"
ONE_THREAD = f"{GRAPHBLAS}: one thread"
ALONE = f"{OURS}: one thread"


FUNCTION = f"{OURS}: a function that follows"

TOLD = {"a function that follows": FUNCTION, "a watch": OURS}
"""A sink that is called in the commit, and one that waits for it."""

HOW = {"of arrays": CALLED, "of pages": OURS}
"""A product by itself, and one that is a page: written, made and read."""


def at_most(
    what: str, workload: str, language: str, most: float, said: str, who: str = OURS, parts: float = 1.0
) -> Part:
    """A number with an end of its own."""
    return Part(
        what,
        workload,
        language,
        said,
        MEMORY,
        most=most,
        who=who,
        scale=parts,
        floor=floors.floor(workload, what),
    )


def beside(what: str, workload: str, rival: str, times: float, said: str, who: str) -> Part:
    """A number against a rival's of the same run."""
    against = (workload, rival, MEMORY, "Python")
    why = floors.floor(workload, what)
    return Part(what, workload, "Python", said, MEMORY, against=against, times=times, who=who, floor=why)


def _shapes() -> tuple[Part, ...]:
    small = zip(of.NETS, (20, 6, 65, 20), strict=True)
    large = zip(of.NETS, (50, 16, 200, 45), strict=True)
    return (
        *(at_most(f"{key}, 8 B", key, "Rust", most * US, f"<= {most} us") for key, most in small),
        *(at_most(f"{key}, 64 B", key, "Rust", most * US, f"<= {most} us", LARGE) for key, most in large),
    )


def _lines() -> tuple[Part, ...]:
    names = {of.LINE: "chain", of.FAN: "fan"}
    return tuple(
        part
        for key, name in names.items()
        for part in (
            at_most(f"{name}, functions, Rust", key, "Rust", 25 * NS, "<= 25 ns"),
            at_most(f"{name}, expressions, Rust", key, "Rust", 25 * NS, "<= 25 ns", EXPRESSIONS),
            at_most(f"{name}, expressions, Python", key, "Python", 25 * NS, "<= 25 ns"),
        )
    )


def _calls() -> tuple[Part, ...]:
    return tuple(
        part
        for key, name in ((of.LINE_CALLS, "chain"), (of.FAN_CALLS, "fan"))
        for part in (
            at_most(f"{name}, scalars", key, "Python", 300 * NS, "<= 300 ns", SCALARS),
            at_most(f"{name}, arrays", key, "Python", 1 * US, "<= 1 us"),
        )
    )


def _sparse() -> tuple[Part, ...]:
    return (
        *(
            beside(
                f"{semiring}, {size}, {how}",
                of.sparse(semiring, size),
                ONE_THREAD,
                0.25 if semiring == "max_plus" else 1.0,
                "<= 1/4 of its time" if semiring == "max_plus" else "<= its time",
                who,
            )
            for size in of.SIZES
            for semiring in of.SEMIRINGS
            for how, who in HOW.items()
        ),
        *(
            at_most(f"call floor, {how}", of.FLOOR, "Python", 1 * US, "<= 1 us", who)
            for how, who in HOW.items()
        ),
    )


ROWS = (
    Row(
        "25-1000x5 / 4-1000x12 / 3-5x500 / 6-100x15, us a write",
        "crate `incremental` 0.2.8: 89 / 26 / 330 / 85",
        "<= 20 / 6 / 65 / 20 on 8-byte pages with log off; <= 50 / 16 / 200 / 45 on 64-byte pages with diff, "
        "undo and trace on, log off",
        _shapes(),
    ),
    Row("chain 1000, fan 1000, native", "csp 0.19 C++ nodes (PyPI): 31 to 36 ns a node", "<= 25", _lines()),
    Row(
        "the same with Python rules",
        "csp 54 to 310 ns; observ 4 us; reaktiv 7 to 10 us; param 117 us",
        "<= 300 ns scalar views, <= 1 us ndarray views",
        _calls(),
    ),
    Row(
        "one write, reduce, sink, from Python",
        "pathway 0.33: p50 120 us, p99 5.5 ms",
        "p50 <= 5 us, p99 <= 50 us",
        (
            *(at_most(f"p50, {how}", of.P50, "Python", 5 * US, "<= 5 us", who) for how, who in TOLD.items()),
            *(
                at_most(f"p99, {how}", of.P99, "Python", 50 * US, "<= 50 us", who)
                for how, who in TOLD.items()
            ),
        ),
    ),
    Row(
        "bulk accumulate by key, 500 k rows",
        "pathway 11.7 us a row",
        "<= 50 ns a delta",
        (at_most("merged", of.BY_KEY, "Python", 50 * NS, "<= 50 ns"),),
    ),
    Row(
        "CSR mat-vec, 65 k and 1 M rows",
        "python-graphblas 2025.2: plus_times 1.8 to 5, min_plus 2.9 to 7, max_plus 15 to 33 ns an entry",
        "parity on plus_times and min_plus, >= 4x on max_*; call floor <= 1 us (theirs 11)",
        _sparse(),
    ),
    Row(
        "dense min_plus 1024 squared",
        "NumPy 1.8, GraphBLAS 2.9 ms",
        "<= 0.5 ms",
        tuple(
            at_most(f"mat-vec, {how}", of.DENSE, "Python", 0.5 * MS, "<= 0.5 ms", who)
            for how, who in HOW.items()
        ),
    ),
    Row(
        "frontier of 1 / 100 / 10 k in 1 M",
        "python-graphblas 38 us / 55 us / 29 ms",
        "<= 2 us / 10 us / 1 ms",
        tuple(
            at_most(f"of {many}", of.frontier(many), "Python", most, f"<= {said}")
            for many, most, said in (
                ("1", 2 * US, "2 us"),
                ("100", 10 * US, "10 us"),
                ("10 k", 1 * MS, "1 ms"),
            )
        ),
    ),
    Row(
        "exact reduce of 1 M after one change",
        "numpy recompute",
        "<= 300 ns, bit-exact",
        (
            at_most("Rust", of.REDUCE, "Rust", 300 * NS, "<= 300 ns"),
            at_most("Python", of.REDUCE, "Python", 300 * NS, "<= 300 ns"),
        ),
    ),
    Row(
        "declare 100 k pages, 300 k edges",
        "rustworkx checked add_edge 0.85 us",
        "<= 0.4 us an edge in Rust, <= 2 us a page from Python",
        (
            at_most("an edge, Rust", of.EDGE, "Rust", 0.4 * US, "<= 0.4 us"),
            at_most("a page, Python", of.PAGE, "Python", 2 * US, "<= 2 us"),
        ),
    ),
    Row(
        "8 pages of a level, two threads",
        "mmsb with one thread",
        "never slower than one",
        tuple(beside(f"{size} pages", of.level(size), ALONE, 1.0, "<= its time", OURS) for size in of.LEVELS),
    ),
)
ABSENT = (
    "a frontier is a sparse vector for python-graphblas; mmsb has no such product by itself, so its cells "
    "are written into a page whose product is kept, and python-graphblas brings its product into the one kept"
)
