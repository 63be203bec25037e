"""observ: state that is watched, and functions of it, made when they are asked for; so the last one is."""

import sys
from collections.abc import Callable
from typing import Any

from observ import computed, reactive

from flows.nets import Node, Read, Write, kept
from flows.workloads import FAN_CALLS, LINE_CALLS
from peers.case import Place


def make(at: Place, nodes: list[Node]) -> tuple[Write, Read]:
    # It asks node after node, each inside the call of the one before.
    at.after.callback(sys.setrecursionlimit, sys.getrecursionlimit())
    sys.setrecursionlimit(100_000)
    state = reactive({"source": 0.0})
    made: list[Callable[[], float]] = [lambda: state["source"]]

    def node(inputs: list[Callable[[], float]], plus: float) -> Any:
        if len(inputs) == 1:
            (one,) = inputs
            return computed(lambda: one() + plus)
        one, other = inputs
        return computed(lambda: one() + other())

    for numbers, plus in nodes:
        made.append(node([made[number] for number in numbers], plus))
    last = made[-1]

    def write(value: float) -> None:
        state["source"] = value
        last()

    return write, last


for workload in (LINE_CALLS, FAN_CALLS):
    kept(workload, "observ", make)
