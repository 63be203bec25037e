"""Why no less was reached: what is told of a target that was missed, once a full run has established it."""

from flows import workloads as of

_NODE = (
    "a node that changes gets a version of its page, a place in the directory, a record in the frame, a line "
    "in the trace and in the counters, and the version before is given back: some 2,800 counted "
    "instructions (docs/decisions/0016-what-a-node-costs.md); the rivals overwrite a number"
)
_CALL = (
    "beside what a node costs, numpy's addition by itself takes 0.7 to 1 us here; lending an array, seeing "
    "that it was given back and taking what was returned is the rest. The rivals hand over a number"
)
_NUMBER = (
    "beside what a node costs, numpy takes 0.05 us to make a number of the cell and as much to add to it; "
    "calling the function and taking what it returns is the rest. The rivals hand over the very object that "
    "was returned"
)
_DECLARED = (
    "an expression is taken apart and its types are worked out; a page is created, with its definition, name "
    "and rule in the log, and made. rustworkx adds an edge to a graph that holds nothing"
)
_KEPT = (
    "a product that is a page: the vector is written and compared, pages are copied by chunks of 8 KiB, "
    "what comes out is compared with what was there, and both are in the log"
)
_CHUNKS = (
    "the cells lie apart, and the first one in each chunk of 8 KiB has it copied, in the vector and in the "
    "product (docs/decisions/0004-chunk-size.md); each is written, compared and logged there, and its terms "
    "are exchanged in rows that lie anywhere (docs/decisions/0019-terms-exchanged.md)"
)
_CSR = "all is fetched from memory once: what is left is waiting for cells of the vector, which lie anywhere"
_LOOKED = "four arrays are looked at, and a fifth is made, which takes numpy 0.16 us"
_TREE = (
    "the five nodes of the tree that a change concerns are the least of it: the chunk of 8 KiB that the cell "
    "lies in is copied, compared and logged as in any commit, and the sum gets a version"
)
_ONE = "from Python a write of one cell is a commit, and takes what a commit takes"
_WATCH = (
    "a watch takes a snapshot and has the states compared, in Python; meanwhile both states are held, so "
    "that the next write finds no memory to use again"
)
_KEYS = "a row is a cell of a delta: it is logged with its index, and added in the order it came in"
_ALONE = (
    "so small a level is made by the thread that commits, whether it has another beside it or not: where the "
    "two take turns commit by commit, their quartiles are the same; here they take turns by samples"
)

REASONS: dict[str, str] = {
    **{f"{key}: {key}, {size}": _NODE for key in of.NETS for size in ("8 B", "64 B")},
    **{
        f"{key}: {name}, {how}": _NODE
        for key, name in ((of.LINE, "chain"), (of.FAN, "fan"))
        for how in ("functions, Rust", "expressions, Rust", "expressions, Python")
    },
    **{
        f"{key}: {name}, {how}": why
        for key, name in ((of.LINE_CALLS, "chain"), (of.FAN_CALLS, "fan"))
        for how, why in (("scalars", _NUMBER), ("arrays", _CALL))
    },
    **{
        f"{of.sparse(semiring, size)}: {semiring}, {size}, {how}": why
        for size in of.SIZES
        for semiring in of.SEMIRINGS
        for how, why in (("of arrays", _CSR), ("of pages", _KEPT))
    },
    f"{of.FLOOR}: call floor, of arrays": _LOOKED,
    f"{of.FLOOR}: call floor, of pages": _KEPT,
    f"{of.DENSE}: mat-vec, of pages": _KEPT,
    **{f"{of.frontier(many)}: of {many}": _CHUNKS for many in of.FRONTIERS},
    f"{of.REDUCE}: Rust": _TREE,
    f"{of.REDUCE}: Python": _ONE,
    f"{of.P50}: p50, a function that follows": _ONE,
    f"{of.P50}: p50, a watch": _WATCH,
    f"{of.P99}: p99, a watch": _WATCH,
    f"{of.BY_KEY}: merged": _KEYS,
    f"{of.EDGE}: an edge, Rust": _DECLARED,
    f"{of.PAGE}: a page, Python": _DECLARED,
    f"{of.level('small')}: small pages": _ALONE,
}
"""By a number's workload and what it is: `chain: chain, functions, Rust`."""


def floor(workload: str, what: str) -> str:
    """Why no less was reached; nothing where that is not established."""
    return REASONS.get(f"{workload}: {what}", "")
