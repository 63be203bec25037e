"""reaktiv: signals, made when they are asked for; so the last one is, after each write."""

import sys

from reaktiv import Computed, Signal

from flows.nets import Node, Read, Write, kept
from flows.workloads import FAN_CALLS, LINE_CALLS
from peers.case import Place


def make(at: Place, nodes: list[Node]) -> tuple[Write, Read]:
    # It asks node after node, each inside the call of the one before.
    at.after.callback(sys.setrecursionlimit, sys.getrecursionlimit())
    sys.setrecursionlimit(100_000)
    source = Signal(0.0)
    made: list[Signal[float] | Computed[float]] = [source]

    def node(inputs: list[Signal[float] | Computed[float]], plus: float) -> Computed[float]:
        if len(inputs) == 1:
            (one,) = inputs
            return Computed(lambda: one() + plus)
        one, other = inputs
        return Computed(lambda: one() + other())

    for numbers, plus in nodes:
        made.append(node([made[number] for number in numbers], plus))
    last = made[-1]

    def write(value: float) -> None:
        source.set(value)
        last()

    return write, last


for workload in (LINE_CALLS, FAN_CALLS):
    kept(workload, "reaktiv", make)
