"""param: reactive expressions, made when they are asked for; so the last one is, after each write."""

import sys
from typing import Any

import param

from flows.nets import Node, Read, Write, kept
from flows.workloads import FAN_CALLS, LINE_CALLS
from peers.case import Place


def make(at: Place, nodes: list[Node]) -> tuple[Write, Read]:
    # It asks node after node, each inside the call of the one before.
    at.after.callback(sys.setrecursionlimit, sys.getrecursionlimit())
    sys.setrecursionlimit(100_000)
    source = param.rx(0.0)
    made: list[Any] = [source]
    for numbers, plus in nodes:
        of = [made[number] for number in numbers]
        made.append(of[0] + plus if len(of) == 1 else of[0] + of[1])
    last = made[-1]

    def write(value: float) -> None:
        source.rx.value = value
        last.rx.value  # noqa: B018

    return write, lambda: float(last.rx.value)


for workload in (LINE_CALLS, FAN_CALLS):
    kept(workload, "param: rx", make)
