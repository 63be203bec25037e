"""The list of workloads: what each counts, and the limit of the machine that stands under it."""

from peers.workloads import BIG_COMPARE, BIG_COPY, CALL, COPY, LIMITS, TOUCH, Workload

SHAPES = "Graphs of small pages"
LINES = "Chains and fans"
SINK = "One write, to its end"
MANY = "Sums, and rows by key"
PRODUCTS = "Products by a semiring"
WAYS = "Ways through a graph"
DECLARED = "Declaring"
THREADS = "One thread and two"

NETS = {
    "25-1000x5": "25 inputs, 1,000 side by side, 5 rows: 244 run",
    "4-1000x12": "4 inputs, 1,000 side by side, 12 rows: 209 run",
    "3-5x500": "3 inputs, 5 side by side, 500 rows: 2,493 run",
    "6-100x15": "6 inputs, 100 side by side, 15 rows: 539 run",
}
"""The static shapes of the public benchmark of reactive libraries for JavaScript."""
LINE, FAN = "chain", "fan"
LINE_CALLS, FAN_CALLS = "chain of functions", "fan of functions"
STEPS = {
    LINE: "a chain of 1,000",
    FAN: "one read by 1,000, and 999 that add these up in pairs",
}
P50, P99 = "write, reduce, sink: p50", "write, reduce, sink: p99"
REDUCE, BY_KEY = "reduce 1 M", "accumulate by key"
SEMIRINGS = ("plus_times", "min_plus", "max_plus")
ENTRIES = 8
"""Of each row of a sparse matrix."""
SIZES = {"65 k": 1 << 16, "1 M": 1 << 20}
"""Rows of sparse matrices."""
FLOOR, DENSE = "mat-vec of 64 rows", "dense min_plus"
FRONTIERS = {"1": 1, "100": 100, "10 k": 10_000}
"""Cells of a vector of 1 M that get better."""
LEVELS = {"large": 1 << 20, "middling": 10_000, "small": 100}
"""Cells of each of the pages of a level."""
WIDE = 8
"""Pages of that level."""
EDGE, PAGE = "declared, an edge", "declared, a page"


def sparse(semiring: str, size: str) -> str:
    """The name of a mat-vec."""
    return f"{semiring}, {size} rows"


def level(size: str) -> str:
    """The name of a level of pages of a size."""
    return f"a level of {size} pages"


def frontier(many: str) -> str:
    """The name of a mat-vec of which so few cells are new."""
    return f"frontier of {many}"


def _lines() -> list[Workload]:
    made = []
    for plain, calls in ((LINE, LINE_CALLS), (FAN, FAN_CALLS)):
        what = STEPS[plain]
        made.append(Workload(plain, LINES, f"{what}, nothing of it in Python", "node"))
        made.append(Workload(calls, LINES, f"{what}, each a function in Python", "node", CALL))
    return made


def _products() -> list[Workload]:
    made = [
        Workload(
            sparse(semiring, size),
            PRODUCTS,
            f"{rows:,} sparse rows of {ENTRIES} entries, {semiring}, times a vector that is all new",
            "entry",
            BIG_COMPARE,
            12 / (128 << 20),
        )
        for size, rows in SIZES.items()
        for semiring in SEMIRINGS
    ]
    made.append(
        Workload(FLOOR, PRODUCTS, "the same of 64 rows, plus_times: what a call costs", "product", CALL)
    )
    made.append(
        Workload(
            DENSE,
            PRODUCTS,
            "a dense matrix of 1,024 by 1,024, min_plus, times a vector that is all new",
            "product",
            BIG_COMPARE,
            (8 << 20) / (128 << 20),
        )
    )
    made += [
        Workload(
            frontier(many),
            PRODUCTS,
            f"min_plus, 1 M rows: the product is kept while {count:,} of 1 M cells of the vector get better",
            "change",
        )
        for many, count in FRONTIERS.items()
    ]
    return made


def _ways() -> list[Workload]:
    graphs = {
        "shortest paths": "the shortest paths from one vertex of 10,000, 50,000 edges",
        "reachability": "what can be reached from one vertex of 10,000, 15,000 edges",
    }
    return [
        Workload(f"{kept}, {what}", WAYS, f"{graph}, kept while {what} at a time {are} replaced", "change")
        for kept, graph in graphs.items()
        for what, are in (("one edge", "is"), ("100 edges", "are"))
    ]


_ALL = [
    *(Workload(key, LIMITS, key, "time") for key in (COPY, BIG_COPY, BIG_COMPARE, TOUCH)),
    Workload(CALL, LIMITS, "a call from Python that does nothing", "call"),
    *(Workload(key, SHAPES, f"{key}: {what}", "write") for key, what in NETS.items()),
    *_lines(),
    Workload(P50, SINK, "a row of 1,000 written, their sum seen in Python: the middle of 1,000", "write"),
    Workload(P99, SINK, "the same: 99 of 100 are faster", "write"),
    Workload(REDUCE, MANY, "the sum of 1,000,000 floats after one has changed", "change"),
    Workload(BY_KEY, MANY, "500,000 numbers added to 1,000 sums by their keys, all at once", "row"),
    *_products(),
    *_ways(),
    *(
        Workload(
            level(size),
            THREADS,
            f"{WIDE} pages of {cells:,} cells, each exp(a) + a number, of one page",
            "commit",
        )
        for size, cells in LEVELS.items()
    ),
    Workload(EDGE, DECLARED, "100,000 pages, each following from three others, for an edge", "edge"),
    Workload(PAGE, DECLARED, "the same, for a page", "page"),
]
WORKLOADS = {workload.key: workload for workload in _ALL}
