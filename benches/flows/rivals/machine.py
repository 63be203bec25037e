"""The machine itself, as Python reaches it."""

from flows.nets import Node, Read, Write, kept
from flows.workloads import FAN_CALLS, LINE_CALLS
from peers.case import MACHINE, Place, Work, case
from peers.workloads import CALL


def nothing() -> None:
    """The least that a call costs."""


@case(CALL, f"{MACHINE}: a Python function")
def call(_: Place) -> Work:
    def run(steps: range) -> None:
        for _ in steps:
            nothing()

    return Work(run)


def loop(_: Place, nodes: list[Node]) -> tuple[Write, Read]:
    """All functions one after the other, whatever changed."""
    values = [0.0] * (len(nodes) + 1)

    def one(plus: float) -> "object":
        return lambda a: a + plus

    made: list[tuple[object, tuple[int, ...]]] = []
    for inputs, plus in nodes:
        made.append((one(plus) if len(inputs) == 1 else (lambda a, b: a + b), inputs))

    def write(value: float) -> None:
        values[0] = value
        for at, (function, inputs) in enumerate(made, 1):
            if len(inputs) == 1:
                values[at] = function(values[inputs[0]])  # type: ignore[operator]
            else:
                values[at] = function(values[inputs[0]], values[inputs[1]])  # type: ignore[operator]

    return write, lambda: values[-1]


for workload in (LINE_CALLS, FAN_CALLS):
    kept(workload, f"{MACHINE}: a loop of functions", loop)
