"""What the page of propagation is about."""

from collections.abc import Mapping

from flows.targets import ABSENT, ROWS
from flows.workloads import WORKLOADS
from peers.case import Scale
from peers.subject import Subject

ALONE = {
    "mmsb memory": "a bus without files: a write is a commit with its frame, its trace and what undoes it; "
    "of the log so much stays in memory as its budget of history says. This is what 'log off' means here",
    "mmsb process": "the same, and written to the mapped log before the commit returns; survives kill -9",
    "incremental, salsa, csp, reaktiv, observ, param, differential-dataflow, pathway": "values in memory: no "
    "log, no past states; an error undoes nothing",
    "salsa, reaktiv, observ, param": "made when asked for: so the last node is asked for after each write. "
    "salsa is told that what nodes read never changes",
    "csp": "a graph is played from a start to an end, and a write is a tick; what starting and ending take "
    "is taken off",
    "python-graphblas": "with the threads that it takes by itself, and with one, as mmsb",
    "datafrog, numpy, scipy, pandas": "everything anew, from nothing",
    "rustworkx, networkx": "the graph alone: it holds no values, and nothing is made",
}


def sizes(scale: Scale) -> Mapping[str, object]:
    """How much there is of what is measured."""
    return {"pages declared": scale.at_most(100_000)}


FLOWS = Subject(
    name="flows",
    command="bench-flows",
    title="Propagation beside its rivals",
    opening="mmsb's pages that follow from others beside libraries for that, in one run, at the same work",
    same="at the same work, in memory",
    workloads=tuple(WORKLOADS.values()),
    rows=ROWS,
    absent=ABSENT,
    rivals=tuple(
        f"flows.rivals.{name}"
        for name in (
            "ours",
            "ours_products",
            "machine",
            "with_numpy",
            "with_scipy",
            "with_graphblas",
            "with_csp",
            "with_reaktiv",
            "with_observ",
            "with_param",
            "with_pathway",
            "with_pandas",
            "with_rustworkx",
            "with_networkx",
        )
    ),
    promises=ALONE,
    sizes=sizes,
    promised="What each does",
    a_promise="does",
    packages=(
        "csp",
        "reaktiv",
        "observ",
        "param",
        "pathway",
        "python-graphblas",
        "suitesparse-graphblas",
        "scipy",
        "pandas",
        "rustworkx",
        "networkx",
    ),
    crates=("incremental", "salsa", "differential-dataflow", "datafrog", "mmsb"),
)
